"""From the `data` section of an experiment to arrays: reading, splitting, preprocessing."""
