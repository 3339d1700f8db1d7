"""Floor 5: verbs. Each returns a record and prints nothing."""
