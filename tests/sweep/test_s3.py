"""A sweep whose storage is S3: a population whose driver is killed after an exploit ends as an unbroken one does."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from ganray.runs.trials import read_trials
from ganray.storage import open_store
from tests.helpers.runs import ganray as command_line
from tests.helpers.runs import kill_driver, wait_until
from tests.helpers.sweeps import LR, SMALL, sweeping

pytestmark = pytest.mark.cluster

PBT = ["sweep.scheduler={kind: pbt, every: 640, quantile: 0.5, resample: 0}", "sweep.max_concurrent=1", "train.keep_checkpoints=9"]
PBT += ["train.total_images=2560", f"sweep.start_from=[{{{LR}: 1e-4}}, {{{LR}: 1e-3}}]", "use_gpu=false"]


def trials_of(storage: str, name: str) -> list[dict[str, Any]]:
    """Return a sweep's trials as they were last written."""
    return [asdict(trial) for trial in read_trials(open_store(storage).child(f"sweeps/{name}"))]


def outcome(trials: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return what does not depend on when a trial ran."""
    return [(trial["status"], trial["images"], trial["params"], trial["lineage"], trial["score"], trial["curve"]) for trial in trials]


@pytest.mark.slow
def test_a_population_on_s3_whose_driver_was_killed_ends_as_an_unbroken_one(bucket: str) -> None:
    whole = command_line("sweep", "jobs/quickstart.yaml", *SMALL, *PBT, f"storage={bucket}", "name=whole")
    assert whole.returncode == 0, whole.stderr
    with sweeping(bucket, *PBT) as driver:
        wait_until(lambda: any(trial["lineage"] for trial in trials_of(bucket, "tiny")), driver)
        kill_driver(driver)
    assert {trial["status"] for trial in trials_of(bucket, "tiny")} != {"finished"}
    again = command_line("sweep", "jobs/quickstart.yaml", *SMALL, *PBT, f"storage={bucket}", "--json")
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert (found["ended"], [trial["images"] for trial in found["trials"]]) == ("done", [2560, 2560])
    assert any(trial["lineage"] for trial in found["trials"])
    assert outcome(found["trials"]) == outcome(trials_of(bucket, "whole"))
    assert found["version"].startswith(f"{bucket}/models/tiny/")
