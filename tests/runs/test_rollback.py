"""Rollbacks after a divergence, and clones of another run's state: new attempts, each committed once."""

from pathlib import Path

import pytest

from ganray.runs.checkpoint import STATE, read_checkpoint, serialise
from ganray.runs.run import Run
from ganray.runs.status import EndReason, Progress
from ganray.storage import open_store
from tests.helpers.records import best_at


def checkpoint(run: Run, images: int, *, attempt: int = 0, progress: Progress | None = None) -> None:
    files = {STATE: serialise({"images_seen": images, "attempt": attempt})}
    run.checkpoints.save(files, images_seen=images, attempt=attempt, progress=progress or Progress(trained_s=images / 100))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with checkpoints at 100 and 200 images."""
    run = Run(open_store(tmp_path), "runs/r")
    checkpoint(run, 100)
    checkpoint(run, 200)
    return run


def test_a_rollback_starts_a_new_attempt_from_the_latest_checkpoint_then_from_the_one_before(run: Run) -> None:
    fresh = {"images_seen": 0, "attempt": 0}
    positions = []
    for attempt in range(4):
        target = run.checkpoints.roll_back(attempt=attempt, fresh=fresh, max_rollbacks=3)
        latest = run.checkpoints.latest()
        assert latest.state() == {"images_seen": target.images_seen, "attempt": attempt + 1}
        positions.append((latest.name, target.progress.ended))
    assert positions == [
        ("001-000000000200", None),
        ("002-000000000100", None),
        ("003-000000000000", None),
        ("004-000000000000", EndReason.DIVERGED),
    ]


def test_progress_after_a_rollback_is_rolled_back_to_next_time(run: Run) -> None:
    run.checkpoints.roll_back(attempt=0, fresh={}, max_rollbacks=3)
    checkpoint(run, 300, attempt=1, progress=Progress(trained_s=3.0, num_rollbacks=1))
    target = run.checkpoints.roll_back(attempt=1, fresh={}, max_rollbacks=3)
    assert (target.images_seen, target.progress.num_rollbacks) == (300, 2)
    assert read_checkpoint(run.store, "002-000000000300").progress.rolled_back


def test_a_clone_takes_the_donors_state_once_and_keeps_its_own_best(run: Run, tmp_path: Path) -> None:
    donor = Run(open_store(tmp_path), "runs/donor")
    checkpoint(donor, 300, attempt=2)
    own = best_at(200)
    checkpoint(run, 250, progress=Progress(best=own))
    for _ in range(2):
        run.checkpoints.clone(donor.checkpoints, "002-000000000300")
    latest = run.checkpoints.latest()
    assert (latest.name, latest.progress.best, latest.progress.cloned_from) == ("003-000000000300", own, "donor@002-000000000300")
    assert latest.state() == {"images_seen": 300, "attempt": 3}
    assert len(run.checkpoints.names()) == 4
