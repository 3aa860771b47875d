"""Training several contenders in one process, in turns, so that a shared machine's moods hit all of them."""

import time
from collections.abc import Sequence
from typing import Protocol


class Contender(Protocol):
    """Something that trains step by step."""

    name: str

    def step(self) -> None:
        """Train on the next batch."""

    def foresee(self, share_done: float) -> None:
        """Hear, after each turn, how large a share of the run is done, 0 to 1."""


def take_turns(contenders: Sequence[Contender], *, seconds: float, turn: float) -> list[tuple[float, int]]:
    """Train each for some seconds of its own, a turn at a time, and return the seconds and steps that each took."""
    spent = [0.0 for _ in contenders]
    steps = [0 for _ in contenders]
    while min(spent) < seconds:
        for number, contender in enumerate(contenders):
            start = time.perf_counter()
            took = 0.0
            while took < min(turn, seconds - spent[number]):
                contender.step()
                steps[number] += 1
                took = time.perf_counter() - start
            spent[number] += took
            contender.foresee(min(spent[number] / seconds, 1.0))
    return list(zip(spent, steps, strict=True))
