"""Bad networks and servers: what arrives is right, or one clear error comes; never wrong bytes, and never a loss that nobody hears of."""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from ganray.errors import StorageError
from ganray.registry.registry import Registry
from ganray.storage import ObjectStore, open_store
from tests.chaos.__main__ import run
from tests.helpers.artifacts import artifact
from tests.helpers.faults import Faults, faulty_way_to
from tests.helpers.s3_server import S3Server, running_server
from tests.storage.test_errors import SECRETS


def test_a_storm_of_faults_changes_no_byte_and_loses_nothing(bucket: str, s3_server: S3Server, tmp_path: Path) -> None:
    name = bucket.split("/")[2]
    report, faults, seconds = run(s3_server.endpoint_url, name, tmp_path, operations=160, threads=4, seed=7, one_in=6)
    print(report.line(faults, seconds))
    assert (report.wrong, report.strange) == ([], [])
    assert sum(report.operations.values()) == 160
    assert sum(faults.injected.values()) >= 20
    store = open_store(f"s3://{name}/chaos-7")
    for left in store.leftovers():  # an upload whose beginning was answered to nobody: empty, and found
        assert left.size == 0
        store.remove_leftover(left.key)
    assert not store.leftovers()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(20 << 20))
    return path


def calls(store: ObjectStore, file: Path, copy: Path) -> dict[str, Callable[[], object]]:
    return {
        "read": lambda: store.read("there"),
        "write": lambda: store.write("a", b"x" * 1000),
        "write if absent": lambda: store.write_if_absent("b", b"x" * 1000),
        "upload": lambda: store.upload(file, "c"),
        "download": lambda: store.download("large", copy),
        "list": store.list,
    }


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("reset before", "no connection to|breaks off"),
        ("500", "answers InternalError after|answers 500"),
        ("503", "answers ServiceUnavailable after|answers 503"),
        ("slow down", "answers SlowDown after|answers 503"),
        ("silence", "no connection to"),
        ("truncated", "breaks off or changes|no connection to|breaks off"),
        ("flipped down", "breaks off or changes"),
    ],
)
def test_a_fault_that_does_not_end_ends_in_one_clear_error(
    bucket: str, s3_server: S3Server, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, message: str
) -> None:
    store = open_store(bucket)
    store.write("there", b"y" * 1000)
    store.upload(file, "large")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr("ganray.storage.s3.connection.READ_TIMEOUT_S", 0.5)
    monkeypatch.setattr("ganray.storage.s3.transfer.ATTEMPTS", 2)
    affected = 0
    with faulty_way_to(s3_server.endpoint_url, Faults(one_in=1, seed=0, kinds=(kind,))) as way:
        for name, call in calls(open_store(f"{bucket}?endpoint_url={way}"), file, tmp_path / "copy").items():
            if kind in ("truncated", "flipped down") and name not in ("read", "download"):
                continue
            with pytest.raises(StorageError, match=message) as caught:
                call()
            assert "\n" not in str(caught.value)
            assert not [secret for secret in SECRETS if secret in str(caught.value)]
            affected += 1
    assert affected >= 2
    assert not (tmp_path / "copy").exists()
    assert {info.key for info in store.list()} <= {"there", "large", "a", "b"}
    left = store.leftovers()
    assert left == [] or kind == "silence"  # an upload that was begun, and its id never heard of: for gc to find
    for info in left:
        store.remove_leftover(info.key)
    assert store.leftovers() == []


def test_a_byte_that_is_flipped_once_is_asked_for_again(bucket: str, s3_server: S3Server, tmp_path: Path) -> None:
    store = open_store(bucket)
    store.write("written", b"x" * 1000)
    (tmp_path / "file").write_bytes(b"y" * 1000)
    store.upload(tmp_path / "file", "uploaded")
    for kind in ("flipped down", "truncated"):
        for key in ("written", "uploaded"):
            with faulty_way_to(s3_server.endpoint_url, Faults(one_in=1, seed=0, kinds=(kind,), most=1)) as way:
                faulty = open_store(f"{bucket}?endpoint_url={way}")
                assert faulty.read(key) == store.read(key)
            with faulty_way_to(s3_server.endpoint_url, Faults(one_in=1, seed=0, kinds=(kind,), most=1)) as way:
                open_store(f"{bucket}?endpoint_url={way}").download(key, tmp_path / "copy")
                assert (tmp_path / "copy").read_bytes() == store.read(key)


def test_a_flipped_byte_of_an_upload_never_becomes_an_object(bucket: str, s3_server: S3Server, file: Path) -> None:
    store = open_store(bucket)
    with faulty_way_to(s3_server.endpoint_url, Faults(one_in=1, seed=0, kinds=("flipped up",))) as way:
        faulty = open_store(f"{bucket}?endpoint_url={way}")
        for call in (lambda: faulty.write("a", b"x" * 1000), lambda: faulty.upload(file, "b")):
            with pytest.raises(StorageError):
                call()
    assert store.list() == []
    assert store.leftovers() == []


@contextmanager
def stopped_for(pid: int, seconds: float, *, after: float) -> Iterator[None]:
    """Stop a process a while after the block begins, and let it go on later."""

    def stop() -> None:
        time.sleep(after)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.parametrize("stops_s", [2, pytest.param(30, marks=pytest.mark.chaos)])
def test_a_server_that_stops_in_mid_transfer_and_goes_on_costs_time_alone(s3_server: S3Server, tmp_path: Path, stops_s: float) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "file").write_bytes(os.urandom(60 << 20))
    digest = hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest()
    with running_server(tmp_path / "server") as server:
        server.client().create_bucket(Bucket="stopping")
        slow = Faults(one_in=1, seed=0, kinds=("throttled",))
        with faulty_way_to(server.endpoint_url, slow) as way:
            store = open_store(f"s3://stopping/prefix?endpoint_url={way}")
            with stopped_for(server.pid, stops_s, after=0.5):
                start = time.monotonic()
                assert store.upload(tmp_path / "file", "large") == digest
                assert time.monotonic() - start > stops_s
            with stopped_for(server.pid, stops_s, after=0.5):
                assert store.download("large", tmp_path / "copy") == digest
        assert hashlib.sha256((tmp_path / "copy").read_bytes()).hexdigest() == digest


class WithoutConditions(BaseHTTPRequestHandler):
    """A server that keeps objects and ignores conditions, as older ones do."""

    protocol_version = "HTTP/1.1"
    objects: ClassVar[dict[str, bytes]] = {}

    def do_PUT(self) -> None:
        self.objects[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_DELETE(self) -> None:
        self.objects.pop(self.path, None)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.usefixtures("s3_server")
def test_a_server_that_ignores_conditions_is_found_out_once_and_not_published_to() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), WithoutConditions)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    store = open_store(f"s3://bucket/prefix?endpoint_url=http://127.0.0.1:{server.server_address[1]}&path_style=true")
    with pytest.raises(StorageError, match=r"ignores the conditions of conditional writes.+; publish to AWS"):
        Registry(store).publish("m", artifact(), {}, key="a")
    assert WithoutConditions.objects == {}
    server.shutdown()


def test_a_server_that_keeps_conditions_is_asked_once(bucket: str, s3_server: S3Server) -> None:
    faults = Faults(one_in=1e9, seed=0)
    with faulty_way_to(s3_server.endpoint_url, faults) as way:
        store = open_store(f"{bucket}?endpoint_url={way}")
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: store.check_conditional_writes(), range(8)))
    assert faults.requests == 4
    assert open_store(bucket).list() == []
