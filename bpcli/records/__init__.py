"""Floor 0: what studies return. Frozen records that say everything a renderer needs and print nothing."""
