"""A derivation as one page that stands alone."""
