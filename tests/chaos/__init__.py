"""The sender's chaos: rounds of random kills, pauses, orders and faults of the provider, judged by its ledger."""
