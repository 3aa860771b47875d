"""What a user may get wrong: one line that names field, problem and remedy, exit code 2 or 3, and nothing written."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ganray.registry.promotion import promote_if_better
from ganray.registry.registry import Registry
from ganray.storage import open_store
from tests.helpers.artifacts import PROTOCOL, artifact
from tests.helpers.commands import ganray_here
from tests.helpers.refusals import as_root, mistake, mounted, objects
from tests.helpers.runs import ganray, train

pytestmark = pytest.mark.e2e

QUICKSTART = "jobs/quickstart.yaml"
SECONDS_TO_SAY_SO = 20  # what a mistake may take that needs no work to be seen, on a busy machine; Ray's own time-outs are longer


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a published model with one version, its best."""
    registry = Registry(open_store(tmp_path))
    number = registry.publish("m", artifact(), {"images_seen": 1}, key="a")
    promote_if_better(registry.model("m"), number, 1.0, PROTOCOL, rescore={}.get)
    return tmp_path / "models/m"


@pytest.mark.parametrize(
    ("override", "field", "says"),
    [
        ("train.bach_size=64", "train.bach_size", "there is no such field; did you mean batch_size?"),
        ("workers=two", "workers", "expected an integer, got 'two'; the default is 1"),
        ("optimizer.generator.lr=[1]", "optimizer.generator.lr", "expected a number, got [1]; the default is 0.0002"),
        (
            "train.batch_size=50",
            "train.batch_size",
            "50 does not split over 2 workers into whole groups of networks.ghost_batch=32; use 64",
        ),
        ("storage=gs://bucket/x", "storage", "unsupported scheme gs://; name a folder or s3://bucket/prefix"),
        ("seed", "seed", "is not an override; write it as key=value"),
    ],
)
def test_a_job_that_cannot_be_is_refused(override: str, field: str, says: str, tmp_path: Path) -> None:
    named, line = mistake(ganray_here("train", QUICKSTART, f"storage={tmp_path / 'store'}", override))
    assert named == field
    assert says in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no such job file"),
        (b"train: [", "is not valid YAML"),
        (b"just words", "is not a job file"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_job_file_that_cannot_be_read_is_refused(content: bytes | None, says: str, tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    if content is not None:
        job.write_bytes(content)
    field, line = mistake(ganray_here("train", str(job), f"storage={tmp_path / 'store'}"))
    assert field == str(job)
    assert says in line
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("arguments", "field", "says"),
    [
        (["generate", "ARTIFACT"], "ganray generate", "missing option '--out'"),
        (["generate", "ARTIFACT", "--out", "x.png", "--num", "0"], "ganray generate", "0 is not in the range"),
        (["generat"], "ganray", "no such command 'generat'"),
        (["publish", "RUN"], "ganray publish", "missing option '--storage'"),
        (["publish", "../other", "--storage", "STORE"], "RUN", "invalid name '../other'"),
        (["publish", "nobody", "--storage", "STORE"], "RUN", "there is no run 'nobody' in"),
        (["models", "list", "nothing", "--storage", "STORE"], "NAME", "there is no model 'nothing' in"),
        (["generate", "STORE/models/nothing", "--out", "x.png"], "STORE/models/nothing", "holds no published generator"),
        (["generate", "STORE/models/nothing", "--out", "x.jpg"], "--out", "unsupported format '.jpg'"),
        (["generate", "STORE/models/nothing", "--out", "x.png", "--num", "5000"], "--out", "one .png file of 5000 samples is too large"),
    ],
)
def test_a_command_about_what_is_not_there_is_refused(arguments: list[str], field: str, says: str, tmp_path: Path) -> None:
    here = [argument.replace("STORE", str(tmp_path)).replace("x.", f"{tmp_path}/x.") for argument in arguments]
    named, line = mistake(ganray_here(*here))
    assert named == field.replace("STORE", str(tmp_path))
    assert says in line
    assert list(tmp_path.iterdir()) == []


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def change(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")


@pytest.mark.parametrize(
    ("file", "damage", "says"),
    [
        ("0001/generator.safetensors", cut, r"has \d+ bytes, and \d+ were published"),
        ("0001/generator.safetensors", change, "does not have the published SHA-256"),
        ("0001/config.json", Path.unlink, "is missing"),
        ("0001/manifest.json", cut, "is broken"),
        ("best.json", cut, "is broken"),
    ],
)
def test_an_artifact_that_is_not_what_was_published_is_refused(
    model: Path, file: str, damage: Callable[[Path], None], says: str, tmp_path: Path
) -> None:
    damage(model / file)
    field, line = mistake(ganray_here("generate", str(model), "--out", str(tmp_path / "grid.png"), "--local"))
    assert field == str(model / file)
    assert re.search(says, line)
    assert not (tmp_path / "grid.png").exists()


def test_a_listing_names_the_file_that_is_broken(model: Path, tmp_path: Path) -> None:
    cut(model / "0001/metrics.json")
    field, _ = mistake(ganray_here("models", "list", "--storage", str(tmp_path)))
    assert field == str(model / "0001/metrics.json")


@pytest.mark.parametrize("nobody", ["127.0.0.1:1", "ray://nowhere.invalid:10001"])
def test_an_address_where_no_cluster_is_is_refused_within_seconds(nobody: str, tmp_path: Path) -> None:
    start = time.monotonic()
    field, line = mistake(ganray("train", QUICKSTART, f"storage={tmp_path / 'store'}", "--address", nobody), exit_code=3)
    assert time.monotonic() - start < SECONDS_TO_SAY_SO
    assert field == "--address"
    assert f"no Ray cluster answers at '{nobody}'" in line
    assert list(tmp_path.iterdir()) == []


def test_more_workers_than_this_machine_can_hold_are_refused(tmp_path: Path) -> None:
    workers = 4 * os.cpu_count()
    field, line = mistake(train(tmp_path / "store", f"workers={workers}", f"train.batch_size={16 * workers}"))
    assert field == "workers"
    assert f"{workers} workers need {workers} CPUs" in line
    assert objects(tmp_path) == []


@as_root
@pytest.mark.parametrize("out", ["grid.png", "folder"])
def test_samples_that_a_full_disk_cannot_hold_are_an_error(model: Path, out: str, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-o", "size=8k") as disk:
        (disk / "other").write_bytes(bytes(4096))
        field, line = mistake(ganray_here("generate", str(model), "--num", "256", "--out", str(disk / out), "--local"), exit_code=3)
        assert field == "--out"
        assert "no space left on device; free some space" in line
        assert not (disk / out).is_file()
