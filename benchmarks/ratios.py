"""Timing of A against B, alternating, so that load on a shared machine affects both."""

import statistics
import time
from collections.abc import Callable


def seconds(function: Callable[[], object]) -> float:
    """Return the duration of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def alternate(a: Callable[[], object], b: Callable[[], object], *, pairs: int) -> list[float]:
    """Return the ratio of durations, a / b, for each pair of calls after a warm-up; the order alternates."""
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
    """Return the median, quartiles and range of ratios, as text."""
    low, high = statistics.quantiles(ratios, n=4)[::2]
    spread = f"quartiles {low:.2f} to {high:.2f}, range {min(ratios):.2f} to {max(ratios):.2f}"
    return f"median {statistics.median(ratios):.2f}, {spread} ({len(ratios)} pairs)"
