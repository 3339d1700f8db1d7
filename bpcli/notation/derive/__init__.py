"""Backward equations derived from forward ones, symbolically and step by step."""
