"""The provider, played by a seeded program that keeps its own ledger."""
