"""Layers, parts and examples as tables."""
