"""Floor 7: the command line. One short file for each command; heavy imports happen inside commands."""
