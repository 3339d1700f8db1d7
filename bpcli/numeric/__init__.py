"""Floor 0: numbers. NumPy and the standard library only."""
