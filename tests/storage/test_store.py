"""What every store does, case by case, on a folder and on a real S3 server."""

import hashlib
import os
import pickle
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ganray.storage import MissingObject, ObjectStore, open_store
from tests.helpers.processes import pool

KINDS = ("local", "s3")


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return open_store(request.getfixturevalue("bucket") if request.param == "s3" else tmp_path / "store")


def test_what_was_written_is_read(store: ObjectStore) -> None:
    store.write("a/b.bin", b"\0one")
    store.write("empty", b"")
    store.write("a/b.bin", b"\0two")
    assert (store.read("a/b.bin"), store.read("empty")) == (b"\0two", b"")


def test_reading_a_key_that_is_not_there_raises_missing_object(store: ObjectStore, tmp_path: Path) -> None:
    store.write("a/b", b"x")
    for read in (store.read, store.read_tagged, lambda key: store.download(key, tmp_path / "copy")):
        for key in ("b", "a", "a/c"):
            with pytest.raises(MissingObject):
                read(key)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a/.", "a\0b"])
def test_an_invalid_key_is_refused(store: ObjectStore, key: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    calls: list[Callable[[], object]] = [
        lambda: store.read(key),
        lambda: store.write(key, b""),
        lambda: store.write_if_absent(key, b""),
        lambda: store.write_if_unchanged(key, b"", "tag"),
        lambda: store.delete(key),
        lambda: store.upload(tmp_path / "file", key),
        lambda: store.download(key, tmp_path / "copy"),
        lambda: store.child(f"{key}/"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="invalid object key"):
            call()
    assert store.list() == []


def test_list_gives_keys_below_a_prefix_in_order(store: ObjectStore) -> None:
    before = time.time()
    for key in ("b", "a/2", "a/10", "a/x/y", "ab", "a-/c"):
        store.write(key, b"x" * len(key))
    assert [info.key for info in store.list()] == ["a-/c", "a/10", "a/2", "a/x/y", "ab", "b"]
    assert [info.key for info in store.list("a/")] == ["a/10", "a/2", "a/x/y"]
    assert [info.key for info in store.list("a")] == ["a-/c", "a/10", "a/2", "a/x/y", "ab"]
    assert [info.key for info in store.list("a/x/y")] == ["a/x/y"]
    assert store.list("none/") == []
    assert all(info.size == len(info.key) and before - 2 < info.modified < time.time() + 2 for info in store.list())


def test_list_has_more_than_one_page(store: ObjectStore) -> None:
    keys = [f"{number:04}" for number in range(1005)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: store.write(key, b""), keys))
    assert [info.key for info in store.list()] == keys


def test_an_empty_store_lists_nothing_and_is_not_made_by_opening(store: ObjectStore, tmp_path: Path) -> None:
    assert store.list() == []
    assert not (tmp_path / "store").exists()


def test_delete_removes_and_does_not_mind_absence(store: ObjectStore) -> None:
    store.write("a/b", b"x")
    store.delete("a/b")
    store.delete("a/b")
    assert store.list() == []


def test_write_if_absent_writes_once(store: ObjectStore) -> None:
    assert store.write_if_absent("claim/1", b"first")
    assert not store.write_if_absent("claim/1", b"second")
    assert store.read("claim/1") == b"first"


def test_write_if_unchanged_replaces_only_what_was_read(store: ObjectStore) -> None:
    assert not store.write_if_unchanged("pointer", b"x", "tag")
    store.write("pointer", b"one")
    data, tag = store.read_tagged("pointer")
    assert data == b"one"
    assert store.write_if_unchanged("pointer", b"two", tag)
    assert not store.write_if_unchanged("pointer", b"three", tag)
    assert store.read("pointer") == b"two"
    store.delete("pointer")
    assert not store.write_if_unchanged("pointer", b"four", store_tag(store, b"two"))
    assert [info.key for info in store.list()] == ["other"]


def store_tag(store: ObjectStore, data: bytes) -> str:
    store.write("other", data)
    return store.read_tagged("other")[1]


def test_of_racing_threads_one_writes_if_absent(store: ObjectStore) -> None:
    for round_number in range(3):
        line = threading.Barrier(8)

        def claim(number: int, key: str = f"round/{round_number}", line: threading.Barrier = line) -> bool:
            line.wait()
            return store.write_if_absent(key, str(number).encode())

        with ThreadPoolExecutor(8) as threads:
            won = list(threads.map(claim, range(8)))
        assert won.count(True) == 1
        assert store.read(f"round/{round_number}") == str(won.index(True)).encode()


def test_threads_that_swap_a_counter_lose_no_count(store: ObjectStore) -> None:
    store.write("counter", b"0")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: add_by_swapping(store, 3), range(8)))
    assert store.read("counter") == b"24"


def test_processes_that_swap_a_counter_lose_no_count_and_one_claims(store: ObjectStore) -> None:
    store.write("counter", b"0")
    with pool(4) as processes:
        won = processes.starmap(add_and_claim, [(store, 10)] * 4, chunksize=1)
    assert store.read("counter") == b"40"
    assert sum(won) == 1


def add_and_claim(store: ObjectStore, times: int) -> bool:
    add_by_swapping(store, times)
    return store.write_if_absent("claim", str(os.getpid()).encode())


def add_by_swapping(store: ObjectStore, times: int) -> None:
    for _ in range(times):
        swapped = False
        while not swapped:
            data, tag = store.read_tagged("counter")
            swapped = store.write_if_unchanged("counter", str(int(data) + 1).encode(), tag)


def test_readers_see_a_whole_object_while_it_is_replaced(store: ObjectStore) -> None:
    contents = [bytes([number]) * 300_000 for number in range(2)]
    store.write("object", contents[0])

    def replace_often() -> None:
        for number in range(20):
            store.write("object", contents[number % 2])

    seen = []
    with ThreadPoolExecutor(1) as thread:
        writes = thread.submit(replace_often)
        while not writes.done():
            seen.append(store.read("object"))
    writes.result()
    assert len(seen) > 1
    assert set(seen) <= set(contents)


@pytest.mark.parametrize("size", [0, 1000, 40 << 20])
def test_files_of_any_size_go_up_and_come_back(store: ObjectStore, tmp_path: Path, size: int) -> None:
    source, copy = tmp_path / "source", tmp_path / "folder" / "copy"
    source.write_bytes(os.urandom(size))
    store.upload(source, "large/file")
    store.download("large/file", copy)
    assert hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()
    assert [(info.key, info.size) for info in store.list()] == [("large/file", size)]
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_a_child_is_the_same_store_one_level_down(store: ObjectStore) -> None:
    below = store.child("runs/").child("one")
    below.write("a", b"x")
    assert store.read("runs/one/a") == b"x"
    assert [info.key for info in below.list()] == ["a"]
    store.write("runs/one-more/a", b"y")
    assert [info.key for info in below.list()] == ["a"]
    assert open_store(below.uri).read("a") == b"x"
    assert not below.uri.endswith("/")


def test_a_store_that_was_used_can_be_pickled(store: ObjectStore) -> None:
    store.write("a", b"x")
    copy = pickle.loads(pickle.dumps(store))
    assert copy == store
    assert copy.read("a") == b"x"


def test_an_open_object_is_read_at_any_position(store: ObjectStore) -> None:
    content = os.urandom(300_000)
    store.write("a/b", content)
    with store.open("a/b") as file:
        assert (file.seek(0, os.SEEK_END), file.read(1)) == (300_000, b"")
        for start, size in ((0, 10), (299_995, 10), (150_000, 100_000), (300_000, 5), (7, 0)):
            file.seek(start)
            assert file.read(size) == content[start : start + size]
            assert file.tell() == min(start + size, 300_000)
        file.seek(-4, os.SEEK_END)
        assert file.read() == content[-4:]
    store.write("empty", b"")
    with store.open("empty") as file:
        assert file.read() == b""
    with pytest.raises(MissingObject):
        store.open("a/c")


def test_a_range_is_read_without_the_rest(store: ObjectStore) -> None:
    content = os.urandom(300_000)
    store.write("a/b", content)
    for start, length in ((0, 10), (299_995, 5), (299_995, 10), (150_000, 100_000), (300_000, 5), (400_000, 5), (7, 0)):
        assert store.read_range("a/b", start, length) == content[start : start + length]
    store.write("empty", b"")
    assert store.read_range("empty", 0, 5) == b""
    with pytest.raises(MissingObject):
        store.read_range("a/c", 0, 5)


def test_pyarrow_reads_parquet_through_an_open_object(store: ObjectStore, tmp_path: Path) -> None:
    table = pa.table({"image": [os.urandom(1000) for _ in range(500)], "label": list(range(500))})
    pq.write_table(table, tmp_path / "table", row_group_size=100)
    store.upload(tmp_path / "table", "tables/one.parquet")
    with pickle.loads(pickle.dumps(store)).open("tables/one.parquet") as file:
        parquet = pq.ParquetFile(file)
        assert parquet.read_row_group(3) == table.slice(300, 100)
        assert parquet.read() == table


def test_the_check_for_writing_leaves_nothing(store: ObjectStore) -> None:
    store.check_writable()
    assert store.list() == []
