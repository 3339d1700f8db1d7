"""Floor 3: memory and wiring. Knows layers and losses, knows no kind of them."""
