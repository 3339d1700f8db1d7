"""Layers with parameters, with chance, or that reshape; one file each."""
