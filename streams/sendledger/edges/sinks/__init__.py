"""Databases of others that are kept up to date from the compacted topics (DESIGN §8)."""
