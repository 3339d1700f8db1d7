"""bpcli: a command-line workbench for back-propagation."""

__version__ = "0.1.0"
