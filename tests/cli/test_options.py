"""Arguments that no file, number or storage can be: one line, and nothing written."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganray.cli import group
from ganray.errors import GanrayError

LONG = "x" * 300


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["generate", "A", "--out", LONG], "the path, of 300 characters, is too long"),
        (["generate", "A", "--out", "x.png", "--public-key", LONG], "the path, of 300 characters, is too long"),
        (["generate", "A", "--out", "x.png", "--seed", str(1 << 63)], "is not in the range 0<=x<=9223372036854775807"),
        (["generate", "A", "--out", "x.png", "--seed", "nan"], "is not a valid integer"),
        (["generate", "A", "--out", "x", "--num", str(1 << 60)], "is not in the range"),
        (["generate", LONG, "--out", "x.png", "--local"], "the path, of 300 characters, is too long"),
        (["generate", "s3:/bucket/m", "--out", "x.png", "--local"], "'s3:' begins neither a path nor a URI"),
        (["generate", "file://host/m", "--out", "x.png", "--local"], "a file:// URI names another machine"),
        (["generate", "", "--out", "x.png", "--local"], "is empty"),
        (["provenance", LONG], "the path, of 300 characters, is too long"),
        (["models", "gc", "--storage", "HERE", "--days", "nan"], "nan is not a finite number"),
        (["models", "gc", "--storage", "HERE", "--days", "inf"], "is not in the range"),
        (["models", "gc", "--storage", "HERE", "--days", "1e300"], "is not in the range"),
        (["models", "list", "--storage", "gs://bucket"], "unsupported scheme gs://"),
        (["models", "list", "--storage", ""], "is empty"),
        (["train", LONG], "cannot be read (File name too long)"),
    ],
)
def test_an_argument_that_cannot_be_costs_one_line(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(group, [argument.replace("HERE", str(tmp_path)) for argument in arguments])
    line = str(done.exception) if isinstance(done.exception, GanrayError) else done.output.splitlines()[-1]
    assert isinstance(done.exception, GanrayError | SystemExit), done.exception
    assert says in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "list"],
        ["models", "show", "m"],
        ["models", "best", "m"],
        ["models", "verify", "m"],
        ["models", "gc"],
        ["models", "promote", "m", "0001", "--why", "x"],
        ["models", "rollback", "m", "--why", "x"],
        ["models", "delete", "m", "0001", "--why", "x"],
        ["runs", "list"],
        ["runs", "show", "r"],
        ["publish", "r"],
        ["report", "s"],
    ],
    ids=" ".join,
)
def test_a_storage_that_does_not_exist_is_an_error(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    missing = tmp_path / "missing"
    done = CliRunner().invoke(group, [*arguments, "--storage", str(missing)])
    assert isinstance(done.exception, GanrayError)
    assert str(done.exception) == f"--storage: there is no folder {missing}; name what the job's `storage` says"
    assert list(tmp_path.iterdir()) == []


def test_a_storage_that_is_there_and_holds_nothing_is_none(tmp_path: Path) -> None:
    assert CliRunner().invoke(group, ["models", "list", "--storage", str(tmp_path)]).output == f"no models in {tmp_path}\n"
    assert CliRunner().invoke(group, ["runs", "list", "--storage", str(tmp_path)]).output == f"no runs in {tmp_path}\n"


@pytest.mark.parametrize(
    ("imports", "without"),
    [
        ("ganray.cli, ganray.registry.registry, ganray.registry.alias", "torch numpy pyarrow ray boto3 pandas"),
        ("ganray.cli, ganray.runs.overview", "torch ray boto3 pandas"),
        ("ganray.cli, ganray.generation.batch", "ray pyarrow boto3 pandas optuna"),
        ("ganray.cli, ganray.train.train", "torch boto3 optuna ray.tune"),
        ("ganray.train.controller.policies, ganray.train.controller.limits, ganray.train.controller.process_group", "torch boto3 ray.tune"),
        ("ganray.train.progress", "torch numpy pandas ray.train ray.data boto3"),
        ("ganray.track.__main__, ganray.track.tensorboard", "torch ray"),
    ],
    ids=["models", "runs", "generate --local", "train", "Ray Train's controller", "the progress actor", "TensorBoard"],
)
def test_a_command_starts_without_what_it_does_not_need(imports: str, without: str) -> None:
    code = f"import sys, {imports}; print(sorted(set({without.split()}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
