"""`trace`: the worked derivation of a network's next training steps."""
