"""`ganray train` takes the file that `ganray init` wrote, as it is but for its length."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_the_file_of_init_trains(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "birds" / name).mkdir(parents=True)
        for number in range(60):
            Image.fromarray(random.integers(0, 256, (24, 24, 3)).astype(np.uint8)).save(tmp_path / f"birds/{name}/{number}.png")
    (tmp_path / "birds/dog/7.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    ganray = [sys.executable, "-m", "ganray"]
    subprocess.run([*ganray, "init", "birds"], cwd=tmp_path, check=True, capture_output=True)
    short = ["train.total_images=256", "evaluate.num_samples=256", "evaluate.extractor={kind: classifier, fit_images: 1000}"]
    done = subprocess.run([*ganray, "train", "birds.yaml", *short, "--json"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images_seen"] == 256
    assert (tmp_path / "store/models/birds/0001/manifest.json").is_file()
