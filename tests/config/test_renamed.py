"""Renamed fields: an error in a job file or override, and read as they are in what earlier versions stored."""

from pathlib import Path

import pytest

from ganray.config import check_job, load_job
from ganray.config.renamed import RENAMED, modernise, new_path
from ganray.errors import ConfigError

OLD_JOB = {
    "networks": {"kind": "dcgan", "norm_group": 8},
    "train": {"average_half_life": {"start": 1000, "end": 5000}},
    "publish": {"when_done": False},
    "guard": {"max_returns": 1, "on_collapse": "stop"},
    "sweep": {
        "space": {"networks.norm_group": {"choice": [8, 16]}, "seed": {"randint": [0, 9]}},
        "start_from": [{"networks.norm_group": 8}],
    },
}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("networks.norm_group=8", "networks.norm_group: there is no such field; it is now networks.ghost_batch"),
        ("train.average_half_life=1e4", "train.average_half_life: there is no such field; it is now train.ema_half_life"),
        ("publish.when_done=false", "publish.when_done: there is no such field; it is now publish.auto"),
        ("guard.max_returns=1", "guard.max_returns: there is no such field; it is now divergence.max_rollbacks"),
        ("guard.on_collapse=stop", "guard.on_collapse: there is no such field; it is now divergence.on_collapse"),
        ("data.source.image_column=photo", "data.source.image_column: there is no such field; it is now data.source.column"),
        ("guard=null", "guard: there is no such field; it is now divergence"),
    ],
)
def test_an_old_name_is_an_error_that_names_the_new_one(tmp_path: Path, override: str, message: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("name: x\n")
    with pytest.raises(ConfigError) as raised:
        load_job(path, [override])
    assert message in str(raised.value)


def test_a_stored_job_is_read_with_todays_names() -> None:
    job = check_job(modernise(OLD_JOB))
    assert job.networks.ghost_batch == 8
    assert job.train.ema_half_life.end == 5000
    assert (job.publish.auto, job.divergence.max_rollbacks, job.divergence.on_collapse) == (False, 1, "stop")
    assert set(job.sweep.space) == {"networks.ghost_batch", "seed"}
    assert job.sweep.start_from == [{"networks.ghost_batch": 8}]


def test_reading_changes_neither_its_argument_nor_a_job_of_today() -> None:
    before = repr(OLD_JOB)
    modern = modernise(OLD_JOB)
    assert repr(OLD_JOB) == before
    assert modernise(modern) == modern
    today = check_job({}).model_dump(mode="json")
    assert modernise(today) == today


def test_every_new_name_is_a_field_of_today() -> None:
    job = check_job({"data": {"source": {"kind": "parquet", "path": "x"}}}).model_dump()
    for old, new in RENAMED.items():
        assert new_path(old) == new
        section = job
        for part in new.split("."):
            section = section[part]
    assert new_path("guard.on_collapse") == "divergence.on_collapse"
    assert new_path("train.batch_size") is None
