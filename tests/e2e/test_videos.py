"""Videos that move, from the source that makes them to published, traceable animations."""

import json
from pathlib import Path

import pytest

from tests.helpers.runs import ganray

pytestmark = pytest.mark.e2e

BRIEF = ["networks.width=8", "networks.latent_dim=8", "networks.motion_dim=4", "networks.ghost_batch=8", "train.precision=float32"]
BRIEF += ["train.total_images=96", "train.log_every=32", "train.samples_every=96", "resources.cpus_per_worker=0.5", "workers=2"]
BRIEF += ["data.resolution=16", "data.modality={kind: video, frames: 3, every: 4}", "evaluate=none"]


def succeed(*arguments: str) -> str:
    """Return what a command that ended well has printed."""
    done = ganray(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_videos_are_learned_published_written_and_traced(address: str, tmp_path: Path) -> None:
    store, out = tmp_path / "store", tmp_path / "out"
    printed = json.loads(succeed("train", "jobs/moving.yaml", *BRIEF, f"storage={store}", "--address", address, "--json"))
    assert (printed["ended"], printed["images_seen"]) == ("done", 96)
    assert [path.suffix for path in sorted((store / "runs/moving/samples").iterdir())] == [".png", ".webp"]
    succeed("publish", "moving", "--storage", str(store))
    version = store / "models/moving/0001"
    assert (version / "samples.webp").exists()
    succeed("generate", str(version), "--num", "2", "--out", str(out), "--class", "Bag", "--local")
    assert "equal within 0 grey levels" in succeed("provenance", str(out / "000001.webp"), "--storage", str(store))
