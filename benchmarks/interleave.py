"""Interleaved training of several contenders in one process, so that load on a shared machine affects all of them."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol


class Contender(Protocol):
    """Something that trains step by step."""

    name: str

    def step(self) -> None:
        """Train on the next batch."""

    def set_progress(self, done: float) -> None:
        """Learn, after each turn, what fraction of the run is done, 0 to 1."""


def interleave(
    contenders: Sequence[Contender], *, seconds: float, turn: float, clock: Callable[[], float] = time.perf_counter
) -> list[tuple[float, int]]:
    """Train each for `seconds` of its own by a clock, `turn` at a time (round robin); return the seconds and steps of each."""
    spent = [0.0 for _ in contenders]
    steps = [0 for _ in contenders]
    while min(spent) < seconds:
        for number, contender in enumerate(contenders):
            start = clock()
            took = 0.0
            while took < min(turn, seconds - spent[number]):
                contender.step()
                steps[number] += 1
                took = clock() - start
            spent[number] += took
            contender.set_progress(min(spent[number] / seconds, 1.0))
    return list(zip(spent, steps, strict=True))
