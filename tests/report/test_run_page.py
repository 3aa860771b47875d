"""The page of a run: self-contained, with every section, and drawn by a browser without network in any width and scheme."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ganray.cli import group
from ganray.errors import ConfigError
from ganray.modalities.image import grid_png, split_grid
from ganray.report.figures import MAX_POINTS, thin
from ganray.report.images import find_neighbours, page_image, read_grids
from ganray.report.run_page import render_run
from ganray.runs.run import Run
from ganray.storage import open_store
from tests.helpers.browser import LOOK, Browser
from tests.helpers.drawn import COPIED, drawn_job, fakes, reals, write_dataset, write_run

SECTIONS = ["scores", "samples", "reals-and-fakes", "nearest", "losses", "discriminator-and-diversity", "gradient-norms", "penalties"]
SECTIONS += ["throughput", "schedules", "checkpoints-and-events", "events", "lineage", "job"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the command wrote about a run."""
    storage = tmp_path_factory.mktemp("storage")
    write_run(str(storage), "quickstart")
    out = storage / "drawn.html"
    done = CliRunner().invoke(group, ["report", "quickstart", "--storage", str(storage), "--out", str(out)])
    assert done.exit_code == 0, done.output
    return out


def test_the_page_is_self_contained_and_has_every_section(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r'<section id="([a-z-]+)"', text) == SECTIONS
    markup = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r'(src|href)="(?!data:)', markup)
    assert len(re.findall(r"<script", text)) == 3  # plotly.js once, what calls it, and the slider
    for said in (
        "frechet of the best",
        "Protocol: decided by frechet, 256 samples, seed 0, 5 neighbours, extractor e, dataset f.",
        "1, 12 s without training, 100 images trained again",
        "message rank &lt;1&gt; died",
        "&lt;drawn&gt; data: 40 samples of 1 x 16 x 16",
        "/models/drawn/0001",
        "total_images: 1000",
        "40 that were compared.",
    ):
        assert said in markup, said


def test_a_run_that_has_just_begun_has_a_page_too(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    run = Run(store, "runs/new")
    run.record(drawn_job("new"), write_dataset(store))
    text = render_run(run)
    assert re.findall(r'<section id="([a-z-]+)"', text) == ["schedules", "lineage", "job"]
    assert "not scored yet" in text


def test_a_run_whose_data_is_gone_has_a_page_without_it(tmp_path: Path) -> None:
    run = write_run(str(tmp_path))
    for shard in (tmp_path / "datasets/drawn").glob("*.parquet"):
        shard.unlink()
    found = re.findall(r'<section id="([a-z-]+)"', render_run(run))
    assert [name for name in SECTIONS if name not in found] == ["reals-and-fakes", "nearest"]


def test_a_copied_sample_is_found_beside_its_original(tmp_path: Path) -> None:
    found = find_neighbours(fakes(), write_dataset(open_store(tmp_path)))
    assert (found.num_searched, found.num_reals) == (40, 40)
    assert found.of_fakes > 40
    assert found.of_reals > 40  # no sample is its own neighbour
    copied = find_neighbours(fakes()[:1], write_dataset(open_store(tmp_path)))
    assert copied.of_fakes == pytest.approx(2, abs=0.5)
    image = Image.open(io.BytesIO(bytes_of(copied.source)))
    pairs = split_grid(image_png(image), (1, 16, 16))
    assert (pairs[0] == fakes()[0]).all()
    assert (pairs[1] == reals()[COPIED]).all()


def test_a_grid_is_taken_apart_as_it_was_laid_out() -> None:
    for shape in ((10, 3, 12, 20), (64, 1, 16, 16), (7, 4, 80, 64), (1, 2, 8, 8)):
        images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        assert (split_grid(grid_png(images), shape[1:])[: len(images)] == images).all()


def test_large_grids_become_small_and_many_become_few(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 3, 256, 256), dtype=np.uint8)
    png = grid_png(noise)
    assert len(page_image(png)) < len(png) / 10
    run = Run(open_store(tmp_path), "runs/r")
    for seen in range(100):
        run.write_samples(seen * 10, {".png": grid_png(noise[:1, :1, :16, :16])})
    grids = read_grids(run.store)
    assert (len(grids), grids[0].images_seen, grids[-1].images_seen) == (24, 0, 990)


def test_a_long_log_is_thinned_and_keeps_its_end_and_mean() -> None:
    points = [(float(seen), float(seen)) for seen in range(10_001)]
    thinned = thin(points)
    assert len(thinned) <= MAX_POINTS
    assert thinned[-1][0] == 10_000
    assert np.mean([value for _, value in thinned]) == pytest.approx(5000, rel=1e-2)
    assert thin(points[:10]) == points[:10]


def test_a_name_that_a_run_and_a_sweep_have_is_asked_for_and_a_wrong_one_costs_a_line(tmp_path: Path) -> None:
    write_run(str(tmp_path))
    open_store(tmp_path).write("sweeps/drawn/job.json", b"{}")
    run = ["report", "--storage", str(tmp_path), "--out", str(tmp_path / "page.html")]
    for name, problem in (
        ("drawn", "NAME: a run and a sweep are named 'drawn'; say runs/drawn or sweeps/drawn"),
        ("none", f"NAME: there is no run or sweep 'none' in {tmp_path}"),
        ("sweeps/drawn", "NAME: sweep 'sweeps/drawn' has no trials yet"),
        ("../etc", "NAME: invalid name '../etc'"),
    ):
        with pytest.raises(ConfigError, match=re.escape(problem)):
            CliRunner().invoke(group, [*run, name], catch_exceptions=False)
    assert not (tmp_path / "page.html").exists()
    assert CliRunner().invoke(group, [*run, "runs/drawn"], catch_exceptions=False).exit_code == 0


@pytest.mark.e2e
@pytest.mark.parametrize(("width", "dark"), [(390, True), (1600, False)])
def test_a_browser_without_network_draws_every_chart(page: Path, browser: Browser, width: int, dark: bool) -> None:
    view = browser.visit(page.as_uri(), LOOK, width=width, dark=dark)
    assert view.errors == []
    assert {url.partition(":")[0] for url in view.requests} == {"file", "data"}
    assert len(view.result["marks"]) == 4 + 1 + 2 + 1 + 1 + 2 + 2 + 1
    assert min(view.result["marks"].values()) >= 1
    assert view.result["overflow"] <= 0
    assert all(drawn == given for drawn, given in view.result["widths"])
    assert min(view.result["images"]) > 100
    pixels = np.asarray(Image.open(io.BytesIO(view.screenshot)).convert("L")).astype(int)
    assert view.result["dark"] == dark == bool(np.median(pixels) < 60)


@pytest.mark.e2e
def test_the_slider_goes_back_in_time_and_a_click_on_the_legend_hides_a_curve(page: Path, browser: Browser) -> None:
    script = """(async () => {
      const slider = document.querySelector(".slider input"), image = document.getElementById("grid"), newest = image.src;
      slider.value = 0;
      slider.dispatchEvent(new Event("input"));
      await image.decode();
      const chart = document.getElementById("losses-0");
      const shown = () => chart._fullData.map((trace) => trace.visible);
      const before = shown();
      await Plotly.restyle(chart, { visible: "legendonly" }, [0]);
      const [said, legend] = [document.querySelector(".slider output").value, chart.querySelector(".legend").textContent];
      return [said, image.src !== newest, before, shown(), legend];
    })()"""
    said, is_other, before, after, legend = browser.visit(page.as_uri(), script, width=1200).result
    assert (said, is_other) == ("250 images", True)
    assert (before, after) == ([True, True], ["legendonly", True])
    assert "discriminator" in legend
    assert "generator" in legend


@pytest.mark.e2e
def test_the_pointer_says_what_happened_and_when(page: Path, browser: Browser) -> None:
    script = """(async () => {
      const chart = document.getElementById("checkpoints-and-events-0");
      const curve = chart.data.findIndex((trace) => trace.name === "lost worker");
      Plotly.Fx.hover(chart, [{ curveNumber: curve, pointNumber: 0 }]);
      await new Promise(requestAnimationFrame);
      return chart.querySelector(".hoverlayer").textContent;
    })()"""
    said = browser.visit(page.as_uri(), script, width=1200).result
    assert "lost worker at 600 images, attempt 0" in said
    assert "rank <1> died" in said


def bytes_of(source: str) -> bytes:
    """Return the file in a data URI."""
    return base64.b64decode(source.partition(",")[2])


def image_png(image: Image.Image) -> bytes:
    """Return an image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
