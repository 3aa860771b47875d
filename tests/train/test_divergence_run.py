"""A run that diverges rolls back, under new attempts, and in the end fails instead of publishing what is broken."""

import json
from pathlib import Path

import pytest

from tests.helpers.runs import train

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

EXPLODING = [  # rates that rise until no network survives them
    "networks={kind: r3gan, width: 16, depth: 1, latent_dim: 16}",
    "optimizer.generator.lr={start: 1e-5, end: 1.0}",
    "optimizer.discriminator.lr={start: 1e-5, end: 1.0}",
    "evaluate.every=1000000",
    "divergence.max_rollbacks=1",
]


def test_a_run_that_diverges_rolls_back_and_then_gives_up_in_one_line(tmp_path: Path) -> None:
    done = train(tmp_path, *EXPLODING)
    assert done.returncode == 4, done.stderr
    lines = done.stderr.splitlines()
    assert any("training has diverged" in line for line in lines)
    assert any(line.startswith("rolling back to ") and line.endswith(" images for attempt 1") for line in lines)
    assert lines[-1].startswith("error: optimizer: training diverged 2 times, the last time after ")
    assert not list(tmp_path.glob("models/*/*"))

    records = [json.loads(line) for part in sorted(tmp_path.glob("runs/tiny/metrics/*")) for line in part.read_text().splitlines()]
    diverged = [record["attempt"] for record in records if record.get("event") == "diverged"]
    assert diverged == [0, 1]
    attempts = {checkpoint.parent.name[:3] for checkpoint in tmp_path.glob("runs/tiny/checkpoints/*/manifest.json")}
    assert {"001", "002"} <= attempts

    again = train(tmp_path, *EXPLODING)
    assert again.returncode == 4
    assert again.stderr.splitlines()[-1] == lines[-1]
