"""The search for the mistake behind a wrong gradient, or behind a wrong number of a derivation made by hand."""
