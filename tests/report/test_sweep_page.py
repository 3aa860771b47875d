"""The report of a sweep: self-contained, with every section, and drawn by a browser without network in any width and scheme."""

import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ganray.cli import group
from ganray.config import Job, Sweep, check_job
from ganray.errors import ConfigError
from ganray.modalities.image import grid
from ganray.report.figures import round_numbers
from ganray.report.importance import importances
from ganray.report.parallel_coordinates import parallel_coordinates
from ganray.report.sweep_figures import best_so_far, lineage, spending
from ganray.report.sweep_page import FINALISTS, render
from ganray.runs.run import JOB
from ganray.runs.trials import Trial, TrialStatus, write_trials
from ganray.storage import open_store
from tests.helpers.browser import LOOK, Browser

RATE, GAMMA = "optimizer.generator.lr", "penalties.r1_gamma"
CHARTS = ["best-score-over-images-spent", "learning-curves", "parallel-coordinates", "importance", "lineage"]


def sweep_job() -> Job:
    """Return the job of a population's sweep."""
    space = {RATE: {"loguniform": [1e-5, 1e-2]}, GAMMA: {"choice": [0, 0.1, 1]}}
    return check_job({"name": "drawn", "sweep": {"space": space, "trials": 12, "scheduler": {"kind": "pbt", "every": 300}}})


def sweep_of(job: Job) -> Sweep:
    """Return a job's sweep section."""
    assert job.sweep is not None
    return job.sweep


def twelve_trials() -> list[Trial]:
    """Return trials whose score is the farther from 1 the farther their rate is from 1e-3; one diverged, one copied another."""
    random, trials = np.random.default_rng(0), []
    for number in range(12):
        params = {RATE: float(10 ** random.uniform(-5, -2)), GAMMA: [0, 0.1, 1][random.integers(3)]}
        trial = Trial(number, params, budget=900, status=TrialStatus.FINISHED, images=900, busy_s=60.0)
        trial.score = trial.last = 1 + abs(math.log10(params[RATE]) + 3)
        trial.curve = [[images, trial.score * 900 / images] for images in (300, 600, 900)]
        trial.rungs = [{"images": int(images), "score": score, "last": score, "at": number + images} for images, score in trial.curve]
        trials.append(trial)
    trials[5].status, trials[5].reason, trials[5].score, trials[5].curve = TrialStatus.DIVERGED, "training <has> diverged", None, []
    exploit: Any = {"images": 300, "from": 7, "checkpoint": "000-300", "before": {**trials[3].params, RATE: 0.5}, "after": trials[3].params}
    trials[3].lineage = [{**exploit, "score": 3.0, "donor_score": 2.0}]
    return trials


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the command wrote about such a sweep, which has a finalist with a grid of samples."""
    storage, job = tmp_path_factory.mktemp("storage"), sweep_job()
    store = open_store(storage / "sweeps/drawn")
    store.write(JOB, job.model_dump_json().encode())
    write_trials(store, twelve_trials())
    row = {"trial": 7, "images_seen": 900, "score": 1.5, "first_score": 1.2, "protocol": {"num_samples": 2000}}
    store.write(FINALISTS, json.dumps({"rows": [{**row, "first_protocol": {"num_samples": 1000}}]}).encode())
    image = io.BytesIO()
    grid(np.random.default_rng(0).integers(0, 256, (64, 3, 32, 32), dtype=np.uint8)).save(image, "PNG")
    store.write("finalists/0007.png", image.getvalue())
    out = storage / "drawn.html"
    done = CliRunner().invoke(group, ["report", "drawn", "--storage", str(storage), "--out", str(out)])
    assert done.exit_code == 0, done.output
    return out


def test_the_page_is_self_contained_and_has_every_section(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r'<section id="([a-z-]+)"', text) == ["finalists", *CHARTS, "trials"]
    markup, scripts = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL), re.findall(r"<script", text)
    assert not re.search(r'(src|href)="(?!data:)', markup)
    assert len(scripts) == 2  # plotly.js once, and what calls it
    assert "training &lt;has&gt; diverged" in markup
    assert "<b>1.5</b> on 2,000 samples" in markup


def test_the_field_that_decides_is_found_to_be_important() -> None:
    ranked = sorted((trial for trial in twelve_trials() if trial.score is not None), key=lambda trial: trial.score or 0.0)
    found = importances(sweep_of(sweep_job()), ranked)
    assert found[RATE] > found[GAMMA]
    assert importances(sweep_of(sweep_job()), ranked[:3]) == {}


def test_what_was_spent_is_added_up_in_the_order_of_time() -> None:
    reached = spending(twelve_trials())
    assert [images for images, _, _ in reached][:3] == [300, 600, 900]
    assert reached[-1][0] == 12 * 900


def test_the_best_score_so_far_never_gets_worse() -> None:
    figure = best_so_far(sweep_of(sweep_job()), twelve_trials())
    assert figure is not None
    _, steps = figure.data
    assert list(steps.y) == sorted(steps.y, reverse=True)
    assert steps.y[-1] == min(trial.score for trial in twelve_trials() if trial.score is not None)


def test_axes_are_logarithmic_where_the_space_is_and_categories_are_evenly_spaced() -> None:
    trials = [Trial(number, {RATE: rate, GAMMA: 0.1}, budget=1, score=1.0) for number, rate in enumerate((1e-5, 1e-2, 1e-3, 10**-3.5))]
    figure = parallel_coordinates(sweep_of(sweep_job()), trials)
    assert figure is not None
    heights = [line.y for line in reversed(figure.data)]
    assert [height[0] for height in heights] == pytest.approx([0, 1, 2 / 3, 0.5])
    assert {height[1] for height in heights} == {0.5}
    assert {"1e-05", "0.001", "0.1", "<b>generator.lr</b>"} <= {note.text for note in figure.layout.annotations}


def test_a_trial_without_a_field_leaves_a_gap() -> None:
    figure = parallel_coordinates(sweep_of(sweep_job()), [Trial(0, {RATE: 1e-3}, budget=1, score=1.0)])
    assert figure is not None
    assert figure.data[0].y[1] is None


def test_members_take_the_colour_of_the_founder_whose_weights_they_copied() -> None:
    figure = lineage(twelve_trials())
    assert figure is not None
    pieces = [(line.y[0], tuple(line.x), line.line.color) for line in figure.data if line.mode == "lines"]
    colours = {(member, images): colour for member, images, colour in pieces}
    assert colours["0003", (300, 900)] == colours["0007", (0, 900)] != colours["0003", (0, 300)]


@pytest.mark.parametrize(("low", "high", "log"), [(0.0, 1.0, False), (-5.0, -2.0, True), (5.0, 5.0, False), (3.0, 47.0, False)])
def test_axes_have_a_handful_of_round_ticks(low: float, high: float, log: bool) -> None:
    ticks = [math.log10(tick) if log else tick for tick in round_numbers(low, high, log=log)]
    assert 1 <= sum(low <= tick <= high for tick in ticks) <= 7


def test_a_sweep_that_has_just_begun_has_a_page_too(tmp_path: Path) -> None:
    trial = Trial(0, {RATE: 1e-3, GAMMA: 0}, budget=300, status=TrialStatus.RUNNING)
    text = render(sweep_job(), [trial], open_store(tmp_path))
    assert re.findall(r'<section id="([a-z-]+)"', text) == ["trials"]
    assert "<script" not in text


def test_a_sweep_that_is_not_there_costs_a_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="NAME: there is no run or sweep 'none' in"):
        CliRunner().invoke(group, ["report", "none", "--storage", str(tmp_path)], catch_exceptions=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.e2e
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1600])
def test_a_browser_without_network_draws_every_chart(page: Path, browser: Browser, width: int, dark: bool) -> None:
    view = browser.visit(page.as_uri(), LOOK, width=width, dark=dark)
    assert view.errors == []
    assert {url.partition(":")[0] for url in view.requests} == {"file", "data"}
    assert list(view.result["marks"]) == [f"{chart}-0" for chart in CHARTS]
    assert min(view.result["marks"].values()) >= 2
    assert view.result["overflow"] <= 0
    assert all(drawn == given for drawn, given in view.result["widths"])
    pixels = np.asarray(Image.open(io.BytesIO(view.screenshot)).convert("L")).astype(int)
    assert view.result["dark"] == dark == bool(np.median(pixels) < 60)
    ink = pixels > 150 if dark else pixels < 105
    assert ink.mean() > 0.01  # text, and the strong lines of good trials: visible in either scheme


@pytest.mark.e2e
def test_the_pointer_names_a_trial_and_no_button_sends_the_data_away(page: Path, browser: Browser) -> None:
    script = """(async () => {
      const chart = document.querySelector("#learning-curves .chart");
      Plotly.Fx.hover(chart, [{ curveNumber: chart.data.length - 1, pointNumber: 2 }]);
      await new Promise(requestAnimationFrame);
      const buttons = [...document.querySelectorAll(".modebar-btn")].map((button) => button.dataset.title);
      return [chart.querySelector(".hoverlayer").textContent, buttons];
    })()"""
    said, buttons = browser.visit(page.as_uri(), script, width=1200).result
    best = min((trial for trial in twelve_trials() if trial.score is not None), key=lambda trial: trial.score or 0.0)
    assert f"trial {best.name}" in said
    assert f"{RATE} = {best.params[RATE]:.4g}" in said
    assert not [title for title in buttons if title and re.search("share|cloud|upload", title, re.IGNORECASE)]


@pytest.mark.e2e
def test_printed_charts_fit_a_sheet(page: Path, browser: Browser) -> None:
    script = """(async () => {
      const widths = () => [...document.querySelectorAll(".chart")].map((chart) => chart.querySelector("svg").clientWidth);
      dispatchEvent(new Event("beforeprint"));
      const printed = widths();
      dispatchEvent(new Event("afterprint"));
      return [printed, widths()];
    })()"""
    printed, after = browser.visit(page.as_uri(), script, width=1600).result
    assert set(printed) == {700}
    assert min(after) > 1000
