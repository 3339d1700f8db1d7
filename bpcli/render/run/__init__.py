"""A training as it goes, and its layers."""
