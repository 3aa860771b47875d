"""Batches of what several requests ask for: while one is generated, those that come wait for the next, and go into it together.

Ray Serve's own batching closes a batch some time after its first request, even while another runs: under load, batches of one or two.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ganray.modalities.codec import Samples
from ganray.serve.engine import Piece

Waiting = tuple[Piece, asyncio.Future[Samples]]


class Batcher:
    """Generates pieces in batches of at most `limit` samples, or of one piece, one batch at a time.

    `run` is called in a thread of its own, `observe` with the number of samples of each batch.
    """

    def __init__(self, run: Callable[[Sequence[Piece]], list[Samples]], *, limit: int, observe: Callable[[int], None]) -> None:
        self._run, self._limit, self._observe, self._thread = run, limit, observe, ThreadPoolExecutor(1)
        self._waiting: deque[Waiting] = deque()
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, piece: Piece) -> Samples:
        """Return a piece's samples. Raises what `run` raised for its batch."""
        future: asyncio.Future[Samples] = asyncio.get_running_loop().create_future()
        self._waiting.append((piece, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run_all())
        return await future

    async def _run_all(self) -> None:
        """Run batches until nobody waits."""
        try:
            while batch := self._take():
                self._observe(sum(piece.num for piece, _ in batch))
                try:
                    made = await asyncio.get_running_loop().run_in_executor(self._thread, self._run, [piece for piece, _ in batch])
                except Exception as error:  # of any kind: it is that of the requests
                    _answer(batch, [error] * len(batch))
                else:
                    _answer(batch, made)
        finally:
            self._running = None

    def _take(self) -> list[Waiting]:
        """Take the next batch from those that wait, without those that were given up."""
        batch: list[Waiting] = []
        num = 0
        while self._waiting and (not batch or num + self._waiting[0][0].num <= self._limit):
            piece, future = self._waiting.popleft()
            if not future.done():
                batch.append((piece, future))
                num += piece.num
        return batch


def _answer(batch: Sequence[Waiting], results: Sequence[Samples | Exception]) -> None:
    for (_, future), result in zip(batch, results, strict=True):
        if future.done():  # its request was given up
            continue
        future.set_exception(result) if isinstance(result, Exception) else future.set_result(result)
