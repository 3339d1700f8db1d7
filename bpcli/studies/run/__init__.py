"""Training and what it leaves behind: run folders, checkpoints, model files."""
