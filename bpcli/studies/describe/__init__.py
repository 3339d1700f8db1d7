"""What there is: the layers of an experiment, every registered part, the configs that come with the package."""
