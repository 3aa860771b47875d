"""A worker that is frozen counts as dead after a while, and the run's record tells what that cost."""

import json
from pathlib import Path

import pytest

from tests.helpers.processes import freeze
from tests.helpers.runs import checkpoints, train_workers, training, wait_until


@pytest.mark.e2e
@pytest.mark.slow
def test_a_frozen_worker_is_replaced_and_the_record_tells_of_it(tmp_path: Path) -> None:
    limits = ["train.worker_timeout=3", "train.max_failures=1", "train.samples_every=1000000", "evaluate.every=1000000"]
    with training(tmp_path, "workers=1", "train.total_images=12800", *limits) as driver:
        wait_until(lambda: len(checkpoints(tmp_path)) >= 1, driver)
        (worker,) = train_workers(driver.pid)
        freeze(worker)
        output, _ = driver.communicate(timeout=200)
        assert not Path(f"/proc/{worker}").exists()
    assert driver.returncode == 0, output
    events = [json.loads(line) for line in (tmp_path / "runs/tiny/events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events if event["event"] != "checkpoint"] == [
        *("start", "training", "lost_worker", "training", "recovery", "publish", "end")
    ]
    by_kind = {event["event"]: event for event in events}
    assert by_kind["lost_worker"]["message"] == "rank 0 did not answer any more"
    assert by_kind["recovery"]["seconds"] > 3
    assert by_kind["recovery"]["images_again"] == by_kind["lost_worker"]["images_seen"] - by_kind["recovery"]["images_seen"]
    assert len([event for event in events if event["event"] == "checkpoint"]) == 12800 // 3200
    assert by_kind["end"]["reason"] == "done"
