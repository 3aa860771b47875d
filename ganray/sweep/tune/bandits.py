"""Population-based bandits, apart from other schedulers: their Gaussian process imports scikit-learn, which takes seconds."""

from ray.tune.schedulers.pb2 import PB2

from ganray.sweep.tune.population import Population


class Pb2(Population, PB2):
    """Population-based bandits."""

    tries = 1  # its model takes each exploration for one that is under way
    fits_scores = True
