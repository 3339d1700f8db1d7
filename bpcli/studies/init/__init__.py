"""Writing a first experiment: looking at the data, and what would suit it."""
