"""What a training leaves on the disk, and when: a new folder, checkpoints, the model."""
