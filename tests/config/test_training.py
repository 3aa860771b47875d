"""How a global batch is dealt out: whole ghost batches, every sample once, as evenly as they go."""

import pytest

from ganray.config.training import deal, share_of


@pytest.mark.parametrize(
    ("size", "parts", "ghost_batch", "sizes"),
    [
        (64, 1, 16, [64]),
        (64, 2, 16, [32, 32]),
        (64, 3, 16, [16, 16, 32]),
        (64, 4, 16, [16, 16, 16, 16]),
        (64, 5, 16, [16, 16, 16, 16]),  # no part without a ghost batch
        (64, 3, 1, [21, 21, 22]),
        (96, 3, 32, [32, 32, 32]),
        (2, 2, 1, [1, 1]),
    ],
)
def test_shares_are_whole_ghost_batches_and_cover_the_batch_in_order(size: int, parts: int, ghost_batch: int, sizes: list[int]) -> None:
    shares = list(deal(size, parts, ghost_batch=ghost_batch))
    assert [share.size for share in shares] == sizes
    assert [share.start for share in shares] == [sum(sizes[:number]) for number in range(len(sizes))]


def test_a_worker_s_share_is_its_part_of_the_batch() -> None:
    shares = [share_of(rank, 3, batch_size=64, ghost_batch=16) for rank in range(3)]
    assert shares == list(deal(64, 3, ghost_batch=16))
