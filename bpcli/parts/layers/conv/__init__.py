"""Convolutions: where their windows stand, the kernel they share, and the layers."""
