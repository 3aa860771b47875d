"""Short forms of `make chaos`: a run that is killed ends with the generator of one that is not, and leaves nothing."""

from pathlib import Path

import pytest

from tests.chaos.cluster import reign
from tests.chaos.kills import KILLS
from tests.chaos.rounds import JOB, LARGE
from tests.chaos.run_cluster import run_cluster

FEW = ["train.total_images=6400", "train.checkpoint_every=800", "evaluate.every=6400", "publish.every=6400", "train.max_failures=9"]


def play(folder: Path, *, seed: int, kinds: list[str], job: list[str]) -> None:
    with run_cluster(folder) as cluster:
        (played,) = reign(cluster, seconds=0, kills=len(kinds), seed=seed, kinds=kinds, job=job)
    assert (played.wrong, played.leaks) == ([], [])
    assert played.kills.total() >= 1


@pytest.mark.slow
def test_a_run_is_killed_twice_and_ends_as_if_it_was_not(tmp_path: Path) -> None:
    play(tmp_path, seed=7, kinds=["controller", "raylet"], job=FEW)


@pytest.mark.slow
def test_whatever_is_killed_a_run_ends_as_if_it_was_not(tmp_path: Path) -> None:
    play(tmp_path, seed=1, kinds=list(KILLS), job=[*JOB, LARGE])
