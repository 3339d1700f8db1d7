"""Data sources, one file or folder each."""
