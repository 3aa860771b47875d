"""Requests that come while a batch is generated share the next one."""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from ganray.modalities.codec import Samples
from ganray.serve.batching import Batcher
from ganray.serve.engine import Piece


def piece(number: int, *, num: int = 1) -> Piece:
    return cast(Piece, SimpleNamespace(num=num, number=number))


class Runs:
    """Runs that wait until they may go on, and note what they were given; number 13 fails."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started, self.may_end = threading.Event(), threading.Event()

    def __call__(self, pieces: Sequence[Any]) -> list[Samples]:
        self.batches.append([each.number for each in pieces])
        self.started.set()
        assert self.may_end.wait(10)
        if 13 in self.batches[-1]:
            raise ValueError("thirteen")
        return [np.full(each.num, each.number) for each in pieces]


def run_beside(runs: Runs, first: Piece, later: Sequence[Piece], *, limit: int = 100, given_up: int | None = None) -> list[Any]:
    """Ask for one piece, and for others once it is being generated; return all results, and the sizes of the batches."""
    sizes: list[int] = []

    async def asked() -> list[Any]:
        batcher = Batcher(runs, limit=limit, observe=sizes.append)
        tasks = [asyncio.create_task(cast(Coroutine[Any, Any, Any], batcher(first)))]
        await asyncio.to_thread(runs.started.wait, 10)
        tasks += [asyncio.create_task(cast(Coroutine[Any, Any, Any], batcher(each))) for each in later]
        await asyncio.sleep(0)
        if given_up is not None:
            tasks[given_up].cancel()
            await asyncio.sleep(0)
        runs.may_end.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        runs.may_end.set()
        again = await batcher(piece(99))
        assert again.tolist() == [99], "it goes on after all"
        return results

    results = asyncio.run(asked())
    return [*results, sizes]


def test_those_that_wait_go_into_one_batch_in_their_order() -> None:
    runs = Runs()
    *results, sizes = run_beside(runs, piece(1), [piece(2, num=3), piece(3), piece(4, num=2)])
    assert runs.batches == [[1], [2, 3, 4], [99]]
    assert [result.tolist() for result in results] == [[1], [2, 2, 2], [3], [4, 4]]
    assert sizes == [1, 6, 1]


def test_a_batch_has_no_more_samples_than_the_limit_but_any_one_piece() -> None:
    runs = Runs()
    run_beside(runs, piece(1, num=9), [piece(2, num=3), piece(3, num=3), piece(4, num=1), piece(5, num=9), piece(6)], limit=6)
    assert runs.batches == [[1], [2, 3], [4], [5], [6], [99]]


def test_an_error_is_that_of_its_batch_alone() -> None:
    runs = Runs()
    first, *failed, last, _ = run_beside(runs, piece(1), [piece(13), piece(2), piece(3, num=99)])
    assert first.tolist() == [1]
    assert [str(error) for error in failed] == ["thirteen", "thirteen"]
    assert len(last) == 99


@pytest.mark.parametrize("given_up", [0, 1])
def test_who_gave_up_costs_nobody_else_an_answer(given_up: int) -> None:
    runs = Runs()
    *results, _ = run_beside(runs, piece(1), [piece(2), piece(3)], given_up=given_up)
    assert isinstance(results.pop(given_up), asyncio.CancelledError)
    assert [result.tolist() for result in results] == [[number] for number in (1, 2, 3) if number != given_up + 1]
    assert runs.batches[:2] == ([[1], [2, 3]] if given_up == 0 else [[1], [3]])
