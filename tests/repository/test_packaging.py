"""What is installed: a wheel with all that errors and commands point to, an editable install for type checkers, and `make`'s .venv."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ganray.config import load_job

REPOSITORY = Path(__file__).parents[2]
NEEDED = ["pyproject.toml", "README.md", "LICENSE"]
RIGHT = """#!/bin/sh
[ "$1$2" = -mvenv ] || exit 0
mkdir -p .venv/bin
cp "$0" .venv/bin/python
cp "$0" .venv/bin/pip
"""
WRONG = '#!/bin/sh\n[ "$1" = -m ] && mkdir -p .venv/bin && cp "$0" .venv/bin/python\nexit 1\n'
NO_VENV = '#!/bin/sh\n[ "$1" = -m ] && mkdir -p .venv/bin && exit 1\nexit 0\n'


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packaged."""
    tree = tmp_path_factory.mktemp("tree")
    for name in NEEDED:
        shutil.copy(REPOSITORY / name, tree)
    for name in ("ganray", "jobs"):
        shutil.copytree(REPOSITORY / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return tree


def build(tree: Path, kind: str) -> zipfile.ZipFile:
    """Return a wheel of a tree, as pip has it built."""
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}('dist-{kind}'))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tree, capture_output=True)
    (wheel,) = (tree / f"dist-{kind}").iterdir()
    return zipfile.ZipFile(wheel)


@pytest.mark.e2e
def test_a_wheel_has_the_jobs_and_data(tree: Path, tmp_path: Path) -> None:
    with build(tree, "wheel") as wheel:
        wheel.extractall(tmp_path)
    jobs = sorted(path.name for path in (tmp_path / "ganray/jobs").iterdir() if path.is_file())
    assert jobs == sorted(path.name for path in (REPOSITORY / "jobs").glob("*.yaml"))
    assert all(load_job(tmp_path / "ganray/jobs" / name) for name in jobs)
    assert {path.name for path in (REPOSITORY / "jobs/kubernetes").iterdir()} == {
        path.name for path in (tmp_path / "ganray/jobs/kubernetes").iterdir()
    }
    data = [
        "py.typed",
        "data/bundled/fashion-mnist-test.parquet",
        "metrics/weights/fashion-mnist.safetensors",
        "report/templates/base.html.j2",
        "serve/page.html.j2",
        "serve/page.js",
    ]
    assert all((tmp_path / "ganray" / name).is_file() for name in data)


@pytest.mark.e2e
def test_an_editable_install_is_a_path_that_type_checkers_follow(tree: Path) -> None:
    with build(tree, "editable") as wheel:
        (path,) = (name for name in wheel.namelist() if name.startswith("__editable__"))
        assert wheel.read(path).decode().strip() == str(tree)


def make(folder: Path, python: str) -> subprocess.CompletedProcess[str]:
    """Return a call of make that installs, with a script for Python."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, folder)
    script = folder / "python"
    script.write_text(python)
    script.chmod(0o755)
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}  # not of the make that runs tests
    return subprocess.run(["make", f"PYTHON={script}", ".venv/installed"], cwd=folder, capture_output=True, text=True, env=own)


@pytest.mark.parametrize(("python", "says"), [(WRONG, "is not Python 3.11 or 3.12; install one"), (NO_VENV, "makes no venv; install one")])
def test_make_with_a_python_that_will_not_do_leaves_nothing_behind(tmp_path: Path, python: str, says: str) -> None:
    done = make(tmp_path, python)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[0]
    assert not (tmp_path / ".venv").exists()
    assert make(tmp_path, RIGHT).returncode == 0


@pytest.mark.parametrize("leftover", [None, WRONG])
def test_make_replaces_a_venv_that_will_not_do(tmp_path: Path, leftover: str | None) -> None:
    (tmp_path / ".venv/bin").mkdir(parents=True)
    if leftover:
        (tmp_path / ".venv/bin/python").write_text(leftover)
        (tmp_path / ".venv/bin/python").chmod(0o755)
    assert make(tmp_path, RIGHT).returncode == 0
    assert (tmp_path / ".venv/bin/python").read_text() == RIGHT


def test_make_keeps_a_venv_that_will_do(tmp_path: Path) -> None:
    assert make(tmp_path, RIGHT).returncode == 0
    (tmp_path / ".venv/kept").touch()
    (tmp_path / ".venv/installed").unlink()
    assert make(tmp_path, WRONG).returncode == 0
    assert (tmp_path / ".venv/kept").exists()
