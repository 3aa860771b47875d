"""The page about a sweep: whole in itself, with every section, and drawn by a browser as it should be."""

import io
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ganray.cli import group
from ganray.config import Job, check_job
from ganray.modalities.image import grid
from ganray.runs.layout import write_json
from ganray.storage import open_store
from ganray.sweep.charts import axis
from ganray.sweep.finalists import FINALISTS
from ganray.sweep.proposals import propose
from ganray.sweep.records import DIVERGED, FINISHED, JOB, Trial, write_trials
from ganray.sweep.report import importances, render, spending

RATE, GAMMA = "optimizer.generator.lr", "penalties.r1_gamma"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--hide-scrollbars", "--window-size=1000,2600"]


def sweep_job() -> Job:
    """Return the job of a population's sweep."""
    space = {RATE: {"loguniform": [1e-5, 1e-2]}, GAMMA: {"choice": [0, 0.1, 1]}}
    return check_job({"name": "drawn", "sweep": {"space": space, "trials": 12, "scheduler": {"kind": "pbt", "every": 300}}})


def trials_of(job: Job) -> list[Trial]:
    """Return trials whose score is the farther from 0 the farther their rate is from 1e-3, one of which diverged."""
    trials = []
    for number in range(12):
        trial = Trial(number, propose(job.sweep, trials), 900, FINISHED, 900, busy_s=60.0)
        trial.score = trial.last = 1 + abs(np.log10(trial.point[RATE]) + 3)
        trial.curve = [[images, trial.score * 900 / images] for images in (300, 600, 900)]
        trial.legs = [{"images": images, "score": score, "last": score, "at": number + images} for images, score in trial.curve]
        trials.append(trial)
    trials[5].status, trials[5].reason, trials[5].score, trials[5].curve = DIVERGED, "training <has> diverged", None, []
    trials[3].lineage = [{"images": 300, "from": 7, "checkpoint": "000-000000000300", "before": {}, "after": trials[3].point}]
    return trials


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A storage with such a sweep, and a finalist with a grid of samples."""
    job, store = sweep_job(), open_store(tmp_path / "sweeps/drawn")
    write_json(store, JOB, job.model_dump(mode="json"))
    write_trials(store, trials_of(job))
    row = {"trial": 7, "images_seen": 900, "score": 1.5, "first_score": 1.2, "protocol": {"num_samples": 2000}}
    write_json(store, FINALISTS, {"rows": [{**row, "first_protocol": {"num_samples": 1000}}]})
    picture = io.BytesIO()
    grid(np.random.default_rng(0).integers(0, 256, (64, 3, 32, 32), dtype=np.uint8)).save(picture, "PNG")
    store.write("finalists/0007.png", picture.getvalue())
    return tmp_path


def page_of(storage: Path) -> Path:
    """Return the file that the command wrote."""
    out = storage / "drawn.html"
    done = CliRunner().invoke(group, ["sweep-report", "drawn", "--storage", str(storage), "--out", str(out)])
    assert done.exit_code == 0, done.output
    return out


def test_the_page_is_whole_in_itself_and_has_every_section(storage: Path) -> None:
    text = page_of(storage).read_text()
    assert re.findall(r'<section id="([a-z-]+)"', text) == [
        "finalists",
        "best-so-far",
        "every-trial",
        "fields",
        "importance",
        "lineage",
        "trials",
    ]
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "<script" not in text
    assert "training &lt;has&gt; diverged" in text
    assert "0003 copied 0007 at 300 images" in text
    assert "<b>1.5</b> on 2,000 samples, first 1.2 on 1,000" in text


def test_the_field_that_decides_is_found_to_be_important() -> None:
    job = sweep_job()
    ranked = sorted((trial for trial in trials_of(job) if trial.score is not None), key=lambda trial: trial.score)
    found = importances(job, ranked)
    assert found[RATE] > found[GAMMA]


def test_what_was_spent_is_added_up_in_the_order_of_time() -> None:
    ends = spending(trials_of(sweep_job()))
    assert [images for images, _ in ends][:3] == [300, 600, 900]
    assert ends[-1][0] == 12 * 900


def test_a_sweep_that_has_just_begun_has_a_page_too(storage: Path) -> None:
    job = sweep_job()
    text = render(job, [Trial(0, {RATE: 1e-3, GAMMA: 0}, 300, "running")], open_store(storage / "none"))
    assert re.findall(r'<section id="([a-z-]+)"', text) == ["trials"]


def test_a_sweep_that_is_not_there_costs_a_line(tmp_path: Path) -> None:
    from ganray.errors import GanrayError

    with pytest.raises(GanrayError, match="SWEEP: there is no sweep 'none' with trials"):
        CliRunner().invoke(group, ["sweep-report", "none", "--storage", str(tmp_path)], catch_exceptions=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("values", "ticks"), [([0.0, 1.0], 6), ([1e-5, 1e-2], 4), ([5.0, 5.0], 1), ([3.0, 47.0], 5)])
def test_axes_have_a_handful_of_ticks_within_them(values: list[float], ticks: int) -> None:
    scale = axis(values, 0, 100)
    assert 1 <= len(scale.ticks()) <= max(ticks, 6)
    assert all(0 <= scale.at(tick) <= 100 for tick in scale.ticks())


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_a_browser_draws_the_page(storage: Path) -> None:
    page, shot = page_of(storage), storage / "page.png"
    command = ["chromium", *FLAGS, f"--user-data-dir={storage / 'profile'}", f"--screenshot={shot}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert pixels.shape == (2600, 1000, 3)
    blue = (abs(pixels - np.array([12, 92, 148])).max(axis=2) < 30).sum()
    assert blue > 500  # lines of good trials
    rows = (pixels.min(axis=2) < 200).any(axis=1)
    assert rows[:2000].mean() > 0.5  # the page is full, not a heading over nothing
    colourful = (pixels.max(axis=2) - pixels.min(axis=2) > 60).sum()
    assert colourful > 20_000  # the finalist's grid
