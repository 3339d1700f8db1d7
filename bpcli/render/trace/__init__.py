"""A derivation, drawn: for the terminal, as Markdown, LaTeX, HTML and JSON."""
