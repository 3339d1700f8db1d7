"""Parts that a file states as formulas: the forward equations are written there, the backward ones are derived."""
