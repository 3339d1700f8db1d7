"""A computational graph on a terminal, as a picture and as a page."""
