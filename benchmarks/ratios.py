"""Timing A against B, alternating, so that a shared machine's moods hit both."""

import statistics
import time
from collections.abc import Callable


def seconds(function: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def alternate(a: Callable[[], object], b: Callable[[], object], *, pairs: int) -> list[float]:
    """Return, for each pair of calls, how many times longer `a` took than `b`; which goes first alternates."""
    a(), b()
    ratios = []
    for number in range(pairs):
        if number % 2:
            took_b, took_a = seconds(b), seconds(a)
        else:
            took_a, took_b = seconds(a), seconds(b)
        ratios.append(took_a / took_b)
    return ratios


def summary(ratios: list[float]) -> str:
    """Return the median of ratios and their spread."""
    low, high = statistics.quantiles(ratios, n=4)[::2]
    spread = f"quartiles {low:.2f} to {high:.2f}, range {min(ratios):.2f} to {max(ratios):.2f}"
    return f"median {statistics.median(ratios):.2f}, {spread} ({len(ratios)} pairs)"
