"""Videos that move, from the source that makes them to published, traceable animations."""

import json
from pathlib import Path

import pytest

from tests.helpers.commands import succeed_here
from tests.helpers.fashion import few_images

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("ray_address")]

BRIEF = ["networks.width=8", "networks.latent_dim=8", "networks.motion_dim=4", "networks.ghost_batch=8", "train.precision=float32"]
BRIEF += ["train.total_images=96", "train.log_every=32", "train.samples_every=96", "workers=1"]
BRIEF += ["data.resolution=16", "data.modality={kind: video, frames: 3, every: 4}", "evaluate=none"]


def test_videos_are_learned_published_written_and_traced(tmp_path: Path) -> None:
    store, out = tmp_path / "store", tmp_path / "out"
    with few_images(640):  # clips of 10,000 garments take most of a minute
        printed = json.loads(succeed_here("train", "jobs/moving.yaml", *BRIEF, f"storage={store}", "--json"))
    assert (printed["ended"], printed["images_seen"]) == ("done", 96)
    assert [path.suffix for path in sorted((store / "runs/moving/samples").iterdir())] == [".png", ".webp"]
    succeed_here("publish", "moving", "--storage", str(store))
    version = store / "models/moving/0001"
    assert (version / "samples.webp").exists()
    succeed_here("generate", str(version), "--num", "2", "--out", str(out), "--class", "Bag", "--local")
    assert "equal within 0 grey levels" in succeed_here("provenance", str(out / "000001.webp"), "--storage", str(store))
