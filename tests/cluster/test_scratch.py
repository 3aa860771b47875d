"""Temporary folders: each is removed with its process, or by a later one once its process has certainly ended, and not before."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ganray.cluster.process import own_identity
from ganray.cluster.scratch import mark_session, remove_dead, scratch_folder

OWN = own_identity()
HOLD = """import sys, tempfile
from ganray.cluster import scratch
from ganray.cluster.scratch import mark_session, scratch_folder
tempfile.tempdir = sys.argv[1]
if sys.argv[3] != "janitor":
    scratch.remove_after_death = lambda folder: None
folder = scratch_folder("test")
mark_session(folder.name, sys.argv[2])
print(folder.name, flush=True)
sys.stdin.read()"""
SESSION = "session_2026-11-26_02-37-07_542080_28054"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that temporary folders are made in."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_behind(place: Path, session: str = "none", *, janitor: str = "none") -> Path:
    """Return the folder of a process that was killed, with nothing that removes it."""
    command = [sys.executable, "-c", HOLD, str(place), session, janitor]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        folder = Path(holder.stdout.readline().strip())
        remove_dead()
        assert folder.exists(), "its process lives"
        holder.kill()
    return folder


def test_a_killed_process_s_folder_is_removed_when_another_one_is_made(place: Path) -> None:
    folder = left_behind(place)
    assert folder.exists()
    with scratch_folder("test") as own:
        assert not folder.exists()
        assert list(place.iterdir()) == [Path(own)]
    assert list(place.iterdir()) == []


def test_a_killed_process_s_folder_goes_by_itself(place: Path) -> None:
    folder = left_behind(place, janitor="janitor")
    until = time.monotonic() + 20
    while folder.exists():
        assert time.monotonic() < until, "it is left"
        time.sleep(0.05)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: "ganray-abcdef",
        lambda name: name.replace("ganray", "other"),
        lambda name: "-".join([*name.split("-")[:4], "0" * 12, "another-machine"]),
        lambda name: name.replace(f"-{name.split('-')[2]}-", f"-{OWN['pid']}-").replace(name.split("-")[3], OWN["started"]),
    ],
    ids=["unmarked", "another program's", "another boot's", "a living one's"],
)
def test_a_folder_whose_process_may_live_stays(place: Path, rename: Callable[[str], str]) -> None:
    folder = left_behind(place)
    kept = folder.rename(place / rename(folder.name))
    remove_dead()
    assert kept.exists()


def test_a_link_in_the_place_of_a_folder_is_not_followed(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "file").touch()
    folder = left_behind(place)
    name = folder.name
    folder.rename(place / "kept")
    folder.with_name(name).symlink_to(elsewhere)
    remove_dead()
    assert (elsewhere / "file").exists()


SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.mark.parametrize("janitor", ["none", "janitor"])
def test_what_a_killed_driver_s_ray_has_left_is_ended(place: Path, tmp_path_factory: pytest.TempPathFactory, janitor: str) -> None:
    logs = tmp_path_factory.mktemp("ray") / SESSION / "logs"
    logs.mkdir(parents=True)
    with (
        (logs / "raylet.out").open("wb") as output,
        subprocess.Popen([*SLEEP, f"--session-dir=/tmp/ray/{SESSION}"]) as agent,
        subprocess.Popen(["ray::Agent", *SLEEP[1:]], executable=sys.executable, pass_fds=[output.fileno()]) as titled,
        subprocess.Popen(SLEEP, pass_fds=[output.fileno()]) as driver,  # another one, which the dead one's Ray served
        subprocess.Popen([*SLEEP, f"--session-dir=/tmp/ray/{SESSION}7"]) as other,
        subprocess.Popen(SLEEP, stdin=(logs / "raylet.out").open()) as reader,
    ):
        try:
            left_behind(place, SESSION, janitor=janitor)
            if janitor == "none":
                remove_dead()
            assert (agent.wait(10), titled.wait(10)) == (-9, -9)
            time.sleep(0.1)
            assert [process.poll() for process in (driver, other, reader)] == [None] * 3
        finally:
            for process in (agent, titled, driver, other, reader):
                process.kill()


def test_a_session_that_is_no_session_ends_nothing(place: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "/python"]) as other:
        try:
            folder = left_behind(place, "python")
            mark_session(str(folder), ".*")
            remove_dead()
            assert not folder.exists()
            assert other.poll() is None
        finally:
            other.kill()
