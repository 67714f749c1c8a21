"""Bytes to values and back, in the provider's forms; the only home of lxml."""
