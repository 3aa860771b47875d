"""What is a folder's alone: its path, and what killed writers leave."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ganray.errors import StorageError
from ganray.storage import MissingObject, open_store


def test_what_a_killed_writer_left_in_a_folder_is_not_listed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write("a/b", b"x")
    (tmp_path / "a" / ".tmp-0123").write_bytes(b"half")
    assert store.write_if_unchanged("a/b", b"y", store.read_tagged("a/b")[1])
    assert [info.key for info in store.list()] == ["a/b"]
    for name in (".tmp-0123", "a/.lock"):
        with pytest.raises(ValueError, match="invalid object key"):
            store.write(name, b"x")


def test_a_writer_killed_midway_leaves_the_old_object(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write("a", b"before")
    code = (
        "import os, sys; from pathlib import Path; from ganray.storage.files import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as file: file.write(b'half'); file.flush(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")]).returncode == -9
    assert [(info.key, store.read(info.key)) for info in store.list()] == [("a", b"before")]
    assert len(list(tmp_path.glob(".tmp-*"))) == 1


def test_deleting_leaves_no_empty_folders_but_the_store_s_own(tmp_path: Path) -> None:
    store = open_store(tmp_path).child("store")
    for key in ("a/b/c", "a/d"):
        store.write(key, b"x")
    store.delete("a/b/c")
    assert sorted(path.name for path in (tmp_path / "store/a").iterdir()) == ["d"]
    store.delete("a/d")
    store.delete("a/d")
    assert list((tmp_path / "store").iterdir()) == []


def test_a_writer_makes_a_folder_again_that_was_removed_as_empty(tmp_path: Path) -> None:
    store, over = open_store(tmp_path), threading.Event()

    def delete() -> None:
        while not over.is_set():
            store.delete("a/b/c")

    thread = threading.Thread(target=delete)
    thread.start()
    try:
        for _ in range(100):
            store.write("a/b/c", b"x")
    finally:
        over.set()
        thread.join()


def test_a_folder_is_opened_by_path_or_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a b/", Path("a b"), tmp_path / "a b", f"file://{tmp_path}/a%20b", "./x/../a b", "~/a b"):
        assert open_store(name).uri == str(tmp_path / "a b")


def test_opening_a_folder_does_not_import_boto3(tmp_path: Path) -> None:
    code = "import sys; from ganray.storage import open_store; open_store('x').write('a', b''); sys.exit('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("read", ["read", "read_tagged", "download"])
def test_a_pipe_in_an_object_s_place_is_said_and_not_waited_for(read: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    store = open_store(tmp_path)
    with pytest.raises(StorageError, match=r"cannot read .*/a: it is not a regular file"):
        getattr(store, read)("a", *([tmp_path / "b"] if read == "download" else []))
    (tmp_path / "c").mkdir()
    with pytest.raises(MissingObject):
        store.read("c")
