"""Columns of a table: which are read and as what, what stands for a missing value, and the source that has them."""
