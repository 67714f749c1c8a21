"""Exports and SQL: the topics, read once into a DuckDB file, and what is written out of it (DESIGN §8)."""
