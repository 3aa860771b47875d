"""What a submitted job takes along: ganray, the job and small files that it names; never data, storages or environments."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from ganray.config import Job, load_job
from ganray.errors import ConfigError
from ganray.submission import package as packaging
from ganray.submission.ignored import files_below
from ganray.submission.package import Package, build_package, places
from tests.helpers.runs import REPOSITORY

JOB = "mine.yaml"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a job, and with what nobody means to send."""
    files = {JOB: "storage: s3://bucket/ganray\nname: mine\n", "images/1.png": "x", "notes/a.md": "x", "notes/b.log": "x"}
    files |= {".gitignore": "*.log\n", "notes/.rayignore": "c.md\n", "notes/c.md": "x", "signing.pem": "key"}
    files |= {"store/runs/a/job.json": "{}", "env/pyvenv.cfg": "", "env/lib/a.py": "", "notes/__pycache__/a.pyc": "x"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def build(*include: str, **overrides: str) -> tuple[Package, set[str]]:
    """Return the package of the job, and the names in it without ganray's own."""
    target = Path.cwd() / "package.zip"
    target.unlink(missing_ok=True)
    package = build_package(Path(JOB), job(**overrides), target, include=map(Path, include))
    return package, {name for name in zipfile.ZipFile(target).namelist() if not name.startswith("ganray/")}


def job(**overrides: str) -> Job:
    return load_job(JOB, {name.replace("__", "."): value for name, value in overrides.items()})


def test_a_package_holds_ganray_and_the_job_and_nothing_that_lies_about() -> None:
    package, names = build()
    assert names == {"jobs/mine.yaml"}
    own = {name for name in zipfile.ZipFile(package.path).namelist() if name.startswith("ganray/")}
    assert {"ganray/cli/__init__.py", "ganray/metrics/weights/fashion-mnist.safetensors", "ganray/py.typed"} <= own
    assert not [name for name in own if "__pycache__" in name or name.startswith("ganray/jobs")]
    assert package.num_files == len(own) + 1
    assert package.num_bytes == sum(entry.file_size for entry in zipfile.ZipFile(package.path).infolist())
    assert f"{package.num_files} files, {package.num_bytes / 1e6:.1f} MB, zipped " in package.describe()


def test_the_same_files_are_the_same_package_whenever_it_is_built() -> None:
    first = build()[0].path.read_bytes()
    Path(JOB).touch()
    assert build()[0].path.read_bytes() == first


def test_what_is_included_goes_along_but_for_what_ignore_files_name() -> None:
    assert build("notes", "images/1.png")[1] == {"jobs/mine.yaml", "notes/a.md", "notes/.rayignore", "images/1.png"}


def test_a_key_that_the_job_names_goes_along() -> None:
    assert build(publish__signing_key="signing.pem")[1] == {"jobs/mine.yaml", "signing.pem"}


@pytest.mark.parametrize(
    ("include", "says"),
    [
        ("env", "is a Python environment"),
        ("store", "is a storage of ganray's"),
        (".", "is a Python environment"),
        ("gone", "there is no file or folder gone"),
        ("..", "lies outside the working directory"),
        ("notes/../../x", "lies outside the working directory"),
    ],
)
def test_what_nobody_means_to_send_is_refused(include: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as raised:
        build(include)
    assert raised.value.field == "--include"


def test_an_ignored_folder_is_not_included_by_its_name(folder: Path) -> None:
    (folder / ".gitignore").write_text("/notes/\n")
    with pytest.raises(ConfigError, match=r"notes has no file that \.gitignore and \.rayignore leave in"):
        build("notes")


def test_more_than_a_job_takes_along_is_refused_with_the_largest_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaging, "MAX_BYTES", 1000)
    (folder / "images/2.png").write_bytes(b"x" * 2000)
    with pytest.raises(ConfigError, match=r"more than a job takes along.*the largest is images/2\.png"):
        build("images")


@pytest.mark.parametrize(
    ("field", "place"), [("data.source", {"kind": "folder", "path": "images"}), ("train.start_from", "store"), ("storage", "./store")]
)
def test_a_place_of_this_machine_is_refused(field: str, place: object) -> None:
    with pytest.raises(ConfigError, match="is a place of this machine, which a Ray job does not take along"):
        build_package(Path(JOB), load_job(JOB, {field: place}), Path("package.zip"))


def test_data_that_is_included_may_be_named() -> None:
    source = {"kind": "folder", "path": "images"}
    build_package(Path(JOB), load_job(JOB, {"data.source": source}), Path("package.zip"), include=[Path("images")])
    assert "images/1.png" in zipfile.ZipFile("package.zip").namelist()


def test_every_place_of_a_job_is_found() -> None:
    overrides = {"data.source": {"kind": "folder", "path": "/a"}, "train.start_from": "s3://b/c", "publish.signing_key": "k.pem"}
    overrides |= {"evaluate.extractor": {"kind": "rotation", "weights": "w.safetensors"}}
    found = places(load_job(JOB, overrides))
    assert found == {
        "storage": "s3://bucket/ganray",
        "data.source.path": "/a",
        "train.start_from": "s3://b/c",
        "evaluate.extractor.weights": "w.safetensors",
        "publish.signing_key": "k.pem",
    }
    json.dumps(found)


def test_the_checkout_s_own_ignore_files_hold_for_ganray_s_files(tmp_path: Path) -> None:
    for name in (".gitignore", ".rayignore"):
        shutil.copy(REPOSITORY / name, tmp_path)
    for name in ("ganray/a.py", "ganray/data/a.parquet", "ganray/x.egg-info/a.txt", "ganray/.coverage", "ganray/build/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = {path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path / "ganray", root=tmp_path)}
    assert found == {"ganray/a.py", "ganray/data/a.parquet", "ganray/build/a.py"}
