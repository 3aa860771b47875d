"""A table is trained from CSV to rows with rules and given columns; a run that goes on equals an unbroken one bit by bit."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.commands import succeed_here
from tests.helpers.tables import people

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("ray_address")]

JOB = "jobs/adult.yaml"
BRIEF = ["networks.width=16", "networks.latent_dim=8", "train.batch_size=50", "train.log_every=500", "train.samples_every=1000"]
BRIEF += ["train.checkpoint_every=1000", "train.max_seconds=null", "resources.cpus_per_worker=0.5", "data.source.names=null"]
BRIEF += ["evaluate={every: 2000, num_samples: 512}", "data.modality.rules=[started <= left]", "name=people", "publish.model=people"]
BRIEF += ["optimizer.generator.lr=1e-3", "optimizer.discriminator.lr=1e-3"]  # a schedule would stretch over `train.total_images`


def train(table: Path, store: Path, rows: int) -> dict[str, Any]:
    """Return the result of a run on so many rows."""
    more = [f"data.source.path={table}", f"storage={store}", f"train.total_images={rows}", "--json"]
    printed: dict[str, Any] = json.loads(succeed_here("train", JOB, *BRIEF, *more))
    return printed


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of people."""
    path, columns = tmp_path_factory.mktemp("table") / "people.csv", people(1500)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns.column_names, *zip(*(column.to_pylist() for column in columns.columns), strict=True)])
    return path


def test_a_table_is_learned_scored_and_completed(table: Path, tmp_path: Path) -> None:
    printed = train(table, tmp_path / "store", 2000)
    assert {"metric/quality", "metric/shapes", "metric/pairs", "metric/tstr", "metric/closest_record"} <= set(printed["scores"])
    out = tmp_path / "rows.csv"
    where = ["--where", "income=>50K", "--out", str(out), "--num", "150"]
    succeed_here("generate", f"{tmp_path}/store/models/people", *where)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (len(rows), {row["income"] for row in rows}) == (150, {">50K"})
    assert all(not row["left"] or row["started"] <= row["left"] for row in rows)


@pytest.mark.slow
def test_a_run_on_a_table_that_goes_on_ends_as_an_unbroken_one(table: Path, tmp_path: Path) -> None:
    whole, half = tmp_path / "whole", tmp_path / "half"
    for store, rows in ((whole, 2000), (half, 1000), (half, 2000)):
        train(table, store, rows)
    ends = [sorted((store / "runs/people/checkpoints").iterdir())[-1] / "generator.safetensors" for store in (whole, half)]
    assert ends[0].read_bytes() == ends[1].read_bytes()
