"""A job file for data that nobody has trained on yet: a look at the samples, a recipe that fits them, and why."""
