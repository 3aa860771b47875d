"""`ganray runs`: what runs a storage has, for people and for scripts."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganray.cli import group
from ganray.errors import ConfigError
from ganray.runs.checkpoint import STATE, serialise
from ganray.runs.run import Run
from ganray.runs.status import Progress
from ganray.storage import open_store
from tests.helpers.records import best_at
from tests.runs.test_run import JOB, dataset


@pytest.fixture
def storage(tmp_path: Path) -> str:
    """A storage with one run, half trained and scored."""
    store = open_store(tmp_path)
    run = Run(store, "runs/r")
    run.record(JOB, dataset(store))
    run.save_checkpoint({STATE: serialise({})}, images_seen=500, attempt=0, progress=Progress(best=best_at(500, 2.5)))
    return str(tmp_path)


def output_of(*arguments: str) -> str:
    done = CliRunner().invoke(group, ["runs", *arguments], catch_exceptions=False, standalone_mode=False)
    return done.stdout


def test_list_shows_status_progress_and_score(storage: str) -> None:
    header, line = output_of("list", "--storage", storage).splitlines()
    assert header.split() == ["run", "status", "images", "score", "updated", "driven", "by"]
    assert line.startswith("r    unfinished  500/1,000  frechet 2.5  ")
    (run,) = json.loads(output_of("list", "--storage", storage, "--json"))
    assert (run["name"], run["status"], run["images_seen"], run["driver"]) == ("r", "unfinished", 500, None)


def test_show_describes_one_run(storage: str) -> None:
    assert "500 of 1,000" in output_of("show", "r", "--storage", storage)
    assert json.loads(output_of("show", "r", "--storage", storage, "--json"))["status"] == "unfinished"
    with pytest.raises(ConfigError, match="there is no run 'x'"):
        output_of("show", "x", "--storage", storage)
