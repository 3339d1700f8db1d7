"""What a disk, a kill or a power cut can do to a program, and what is left then."""
