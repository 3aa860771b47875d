"""What servers and buckets of others do: no checksums, other regions, archives, public reading, odd keys, codes of their own."""

import io
import logging
import os
import pickle
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore import exceptions
from botocore.stub import Stubber
from ray.exceptions import RayTaskError
from ray.train import WorkerGroupError

from ganray.cluster.errors import unwrap
from ganray.data.sources.rows import source_errors
from ganray.errors import GanrayError, StorageError
from ganray.storage import ObjectStore, open_store
from tests.helpers.s3_server import PUBLIC, S3Server
from tests.storage.test_errors import complaint

REFUSALS = [  # code, status, what else the answer says, what the line says
    (
        "InvalidObjectState",
        403,
        {"StorageClass": "GLACIER"},
        r"some/prefix/a is archived, as in Glacier; restore it \(aws s3api restore-object",
    ),
    ("PermanentRedirect", 301, {}, "the bucket is in another region; name the bucket's region"),
    ("AuthorizationHeaderMalformed", 400, {"Region": "eu-west-1"}, "the bucket is in region eu-west-1; name the bucket's region"),
    ("InvalidRequest", 400, {}, "answers InvalidRequest to GetObject; .+ AWS_REQUEST_CHECKSUM_CALCULATION=when_required"),
    ("AccountProblem", 403, {}, "the server answers AccountProblem to GetObject"),
    ("TooManyBuckets{0}\x1b[31m", 400, {}, "the server answers TooManyBuckets031m to GetObject"),
    ("", 418, {}, "the server answers 418 to GetObject"),
]


@pytest.mark.parametrize(("code", "status", "details", "line"), REFUSALS, ids=[str(case[1]) + case[0][:20] for case in REFUSALS])
def test_any_refusal_is_one_line_with_the_servers_code(bucket: str, code: str, status: int, details: dict[str, str], line: str) -> None:
    for call in (lambda store: store.read("a"), lambda store: store.read_at_most("a", 9)):
        store = open_store(bucket)
        with Stubber(store.connection.client) as stub:
            stub.add_client_error("get_object", code, http_status_code=status, service_error_meta=details)
            with pytest.raises(StorageError, match=line) as caught:
                call(store)
        assert "\n" not in str(caught.value)


def test_a_head_is_explained_by_the_get_that_follows(bucket: str) -> None:
    store = open_store(bucket)
    for status in (301, 400, 403):
        with Stubber(store.connection.client) as stub:
            stub.add_client_error("head_object", str(status), http_status_code=status)
            headers = {"HTTPHeaders": {"x-amz-bucket-region": "eu-west-1"}}
            stub.add_client_error("get_object", "PermanentRedirect", http_status_code=301, response_meta=headers)
            with pytest.raises(StorageError, match="the bucket is in region eu-west-1"):
                store.open("a")


@pytest.mark.parametrize(
    "error",
    [
        exceptions.InvalidRegionError(region_name="no such"),
        exceptions.ConfigParseError(path="config"),
        exceptions.InvalidProxiesConfigError(),
        exceptions.HTTPClientError(error="hunter2"),
    ],
)
def test_any_error_of_boto3_is_one_line(bucket: str, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    store = open_store(bucket)

    def refuse(**_: object) -> None:
        raise error

    monkeypatch.setattr(store.connection.client, "get_object", refuse)
    assert f"boto3 ends with {type(error).__name__}; check" in complaint(lambda: store.read("a"))


def test_markers_of_folders_are_no_objects_and_keys_that_are_no_paths_are_named(bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(bucket)
    keys = ["", "pics/", "pics/a.png", "pics//b.png", "/c.png", "pics/../d.png", "full/"]
    modified = pa.scalar(0, pa.timestamp("s", "UTC")).as_py()
    entries = [{"Key": f"some/prefix/{key}", "Size": 0 if key in ("", "pics/") else 9, "LastModified": modified} for key in keys]
    with Stubber(store.connection.client) as stub, caplog.at_level(logging.WARNING):
        stub.add_response("list_objects_v2", {"Contents": entries})
        assert [info.key for info in store.list()] == ["pics/a.png"]
    (record,) = caplog.records
    assert "left out 4 objects below s3://" in record.getMessage()
    assert "'pics//b.png'" in record.getMessage()


def test_the_marker_of_the_prefix_itself_is_no_object(bucket: str, s3_server: S3Server) -> None:
    store = open_store(bucket)
    store.write("a", b"x")
    s3_server.client().put_object(Bucket=store.bucket, Key="some/prefix/")
    assert [info.key for info in store.list()] == ["a"]


@pytest.fixture(scope="module")
def public(s3_server: S3Server) -> str:
    """The URI of a public bucket with a Parquet file."""
    client, content = s3_server.client(), io.BytesIO()
    pq.write_table(pa.table({"image": [os.urandom(100)] * 9}), content)
    client.create_bucket(Bucket=PUBLIC)
    client.put_object(Bucket=PUBLIC, Key="data/one.parquet", Body=content.getvalue())
    return f"s3://{PUBLIC}/data"


def without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


def read_rows(store: ObjectStore) -> int:
    (info,) = store.list()
    with store.open(info.key) as file:
        return pq.ParquetFile(file).read().num_rows


def test_a_public_bucket_is_read_without_credentials(public: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(monkeypatch)
    store = pickle.loads(pickle.dumps(open_store(f"{public}?anonymous=true")))
    assert read_rows(store) == 9
    assert store.uri == f"{public}?anonymous=true"
    assert "access is denied" in complaint(lambda: open_store(f"{bucket}?anonymous=true").write("a", b"x"))


class Gateway(BaseHTTPRequestHandler):
    """A server that has a bucket's server below a path of its own."""

    upstream = ""

    def do_GET(self) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() in ("range", "if-match")}
        request = urllib.request.Request(self.upstream + self.path.removeprefix("/gateway"), headers=headers, method=self.command)
        try:
            answer: Any = urllib.request.urlopen(request if self.path.startswith("/gateway/") else f"{self.upstream}/nowhere/x")
        except urllib.error.HTTPError as error:
            answer = error
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() in ("content-length", "content-range", "content-type", "etag", "last-modified"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.read())

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def gateway(s3_server: S3Server) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Gateway,), {"upstream": s3_server.endpoint_url}))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/gateway"
    server.shutdown()
    server.server_close()


def test_an_endpoint_with_a_path_holds_for_parquet_too(public: str, gateway: str) -> None:
    assert read_rows(open_store(f"{public}?endpoint_url={gateway}&anonymous=true")) == 9


def test_a_server_that_ignores_ranges_is_no_server_of_parts(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganray.storage.s3.transfer.ATTEMPTS", 1)
    store = open_store(bucket)
    with Stubber(store.connection.client) as stub:
        stub.add_response("head_object", {"ContentLength": 9, "ETag": '"1"'})
        stub.add_response("get_object", {"Body": io.BytesIO(b"beginning")})
        stub.add_response("get_object", {"Body": io.BytesIO(b"beginning")})
        file = store.open("a")
        assert file.read(5) == b"begin"
        assert "content breaks off or changes" in complaint(lambda: file.read(4))


def test_a_range_costs_one_request(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganray.storage.s3.transfer.ATTEMPTS", 1)
    store = open_store(bucket)
    with Stubber(store.connection.client) as stub:
        stub.add_response("get_object", {"Body": io.BytesIO(b"middle"), "ContentRange": "bytes 3-8/90", "ContentLength": 6})
        assert store.read_range("a", 3, 6) == b"middle"
        stub.add_response("get_object", {"Body": io.BytesIO(b"begin"), "ContentLength": 90})  # of a server that ignores ranges
        assert "content breaks off or changes" in complaint(lambda: store.read_range("a", 3, 5))
        stub.add_response("get_object", {"Body": io.BytesIO(b"mid"), "ContentRange": "bytes 3-8/90", "ContentLength": 6})
        assert "content breaks off or changes" in complaint(lambda: store.read_range("a", 3, 6))


def test_an_object_that_is_replaced_while_it_is_read_is_told(bucket: str) -> None:
    store = open_store(bucket)
    store.write("a", b"one" * 1000)
    with store.open("a") as file:
        assert file.read(3) == b"one"
        store.write("a", b"two" * 1000)
        assert "some/prefix/a was replaced while it was read" in complaint(lambda: file.read(3))


class Server(BaseHTTPRequestHandler):
    """A server that knows no checksums."""

    protocol_version = "HTTP/1.1"
    refused = ("x-amz-checksum", "x-amz-sdk-checksum", "x-amz-trailer")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refuses = any(name.lower().startswith(self.refused) for name in self.headers)
        answer = b"<Error><Code>InvalidArgument</Code><Message>unsupported header</Message></Error>" if refuses else b""
        self.send_response(400 if refuses else 200)
        self.send_header("ETag", f'"{len(body)}"')
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def without_checksums(s3_server: S3Server) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"s3://bucket/prefix?endpoint_url=http://127.0.0.1:{server.server_address[1]}&path_style=true"
    server.shutdown()
    server.server_close()


def test_a_server_that_refuses_checksums_is_written_to_without_where_boto3_is_set_so(
    without_checksums: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"four")

    def calls() -> list[Any]:
        store = open_store(without_checksums)
        return [
            lambda: store.write("a", b"x"),
            lambda: store.write_if_absent("a", b"x"),
            lambda: store.write_if_unchanged("a", b"x", "tag"),
            lambda: store.upload(tmp_path / "file", "a"),
        ]

    for call in calls():
        assert "AWS_REQUEST_CHECKSUM_CALCULATION=when_required" in complaint(call)
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    for call in calls():
        call()
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "perhaps")
    for call in calls():
        assert "boto3 ends with InvalidChecksumConfigError; check the AWS_ variables" in complaint(call)


@pytest.mark.usefixtures("s3_server")
def test_an_error_that_a_worker_met_says_so_and_one_of_this_process_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(monkeypatch)

    def meet(*, as_source: bool) -> GanrayError:
        with pytest.raises(GanrayError) as error, source_errors() if as_source else nullcontext():
            open_store("s3://some-bucket").read("a")
        return error.value

    line = (
        "cannot read from s3://some-bucket: there are no credentials (on the workers); on every node of the cluster, set AWS_ACCESS_KEY_ID"
    )
    for as_source in (False, True):
        met = pickle.loads(pickle.dumps(meet(as_source=as_source)))
        assert unwrap(met) is met
        for wrapped in (
            RayTaskError("task", "traceback", met),
            WorkerGroupError("failed", {1: met}),
            WorkerGroupError("failed", {0: RayTaskError("task", "", met)}),
        ):
            found = unwrap(wrapped)
            assert type(found) is type(met)
            assert line in str(found)
        plain = type(met)("field", "problem", "remedy")
        assert unwrap(RayTaskError("task", "traceback", plain)) is plain
