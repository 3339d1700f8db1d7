"""Floor 4: what stands in an experiment file, and what is wrong with it."""
