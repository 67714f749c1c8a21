"""Thin shells on Faust around the pure core."""
