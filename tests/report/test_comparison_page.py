"""The page of several runs: their curves in one chart each, and what differs between them."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganray.cli import group
from ganray.errors import ConfigError
from tests.helpers.browser import LOOK, Browser
from tests.helpers.drawn import write_run


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the command wrote about two runs, one of them half trained."""
    storage = tmp_path_factory.mktemp("storage")
    write_run(str(storage), "quickstart")
    write_run(str(storage), "birds", level=2.0, until=500, loss={"kind": "hinge"})
    out = storage / "both.html"
    done = CliRunner().invoke(group, ["report", "quickstart", "birds", "--storage", str(storage), "--out", str(out)])
    assert done.exit_code == 0, done.output
    return out


def test_runs_share_their_charts_and_differences_are_named(page: Path) -> None:
    text = page.read_text()
    sections = [
        "runs",
        "differences",
        "samples",
        "scores",
        "losses",
        "discriminator-and-diversity",
        "gradient-norms",
        "penalties",
        "throughput",
    ]
    assert re.findall(r'<section id="([a-z-]+)"', text) == sections
    differences = text.split('<section id="differences"')[1].split("</section>")[0]
    assert re.findall(r"<td>([^<]*)</td>", differences) == ["loss.kind", "non-saturating", "hinge"]
    assert "Newest samples" in text
    assert "cannot be compared" not in text


def test_a_sweep_is_not_compared_with_a_run(page: Path) -> None:
    (page.parent / "sweeps/s").mkdir(parents=True)
    (page.parent / "sweeps/s/job.json").write_text("{}")
    with pytest.raises(ConfigError, match="NAME: s is a sweep, and only runs are compared; name trials of it, as sweeps/s/trials/0000"):
        CliRunner().invoke(group, ["report", "quickstart", "s", "--storage", str(page.parent)], catch_exceptions=False)


@pytest.mark.e2e
def test_a_browser_draws_a_curve_for_each_run(page: Path, browser: Browser) -> None:
    view = browser.visit(page.as_uri(), LOOK, width=390, dark=True)
    assert view.errors == []
    assert view.result["overflow"] <= 0
    assert len(view.result["marks"]) == 4 + 2 + 4 + 2 + 3 + 2
    assert min(view.result["marks"].values()) >= 2
