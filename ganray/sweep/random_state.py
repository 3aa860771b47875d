"""Seeding of the global random generators, from which Ray Tune and its searchers draw."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np


@contextlib.contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Seed the global generators by a key while the block runs, and leave them as they were."""
    states = random.getstate(), np.random.get_state()
    random.seed(repr(key))
    np.random.seed(random.getrandbits(32))
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
