"""Independent witnesses of a derivative, and the cases in which every part is held against them."""
