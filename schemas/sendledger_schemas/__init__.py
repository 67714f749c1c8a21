"""The contract of Sendledger: ids, events, topics. Everything that other programs may rely on (DESIGN §2, §3)."""
