"""The derivation of a formula on the terminal, as a page, and as JSON."""
