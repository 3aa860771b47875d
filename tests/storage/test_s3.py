"""What is S3's alone: other clients, refusals in other words, and answers that get lost."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from socket import SHUT_RDWR, create_connection, create_server, socket
from threading import Thread
from urllib.parse import urlsplit

import pytest
from botocore.stub import Stubber

from ganray.errors import StorageError
from ganray.storage import open_store
from tests.helpers.s3_server import S3Server


def aws(*arguments: str) -> str:
    """Run the AWS command line in this process's environment."""
    return subprocess.run([sys.executable, "-m", "awscli", *arguments], capture_output=True, text=True, check=True).stdout


def test_settings_in_an_s3_uri_are_kept(s3_server: S3Server) -> None:
    uri = "s3://name/some/prefix?endpoint_url=http://127.0.0.1:9000&region=eu-west-1&path_style=false"
    assert open_store(uri.replace("prefix?", "prefix/?")).uri == uri
    assert open_store(uri).child("a").uri == uri.replace("prefix", "prefix/a")
    client = open_store(uri).connection.client
    assert (client.meta.endpoint_url, client.meta.region_name) == ("http://127.0.0.1:9000", "eu-west-1")


@pytest.mark.parametrize("size", [1000, 20 << 20])
def test_the_aws_command_line_reads_what_is_written_and_the_other_way_round(bucket: str, tmp_path: Path, size: int) -> None:
    store, data = open_store(bucket), bytes(range(250)) * (size // 250)
    (tmp_path / "file").write_bytes(data)
    store.upload(tmp_path / "file", "from/ganray")
    aws("s3", "cp", f"{bucket}/from/ganray", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == data
    aws("s3", "cp", str(tmp_path / "file"), f"{bucket}/from/aws")
    assert store.read("from/aws") == data
    assert [(info.key, info.size) for info in store.list("from/")] == [("from/aws", len(data)), ("from/ganray", len(data))]


def test_what_marks_a_folder_for_other_tools_is_not_listed(bucket: str, s3_server: S3Server) -> None:
    s3_server.client().put_object(Bucket=bucket.split("/")[2], Key="some/prefix/folder/")
    assert open_store(bucket).list() == []


@pytest.mark.parametrize(("code", "status"), [("PreconditionFailed", 412), ("NoSuchKey", 404)])
def test_a_lost_condition_is_false_however_the_server_says_it(bucket: str, code: str, status: int) -> None:
    store = open_store(bucket)
    with Stubber(store.connection.client) as stub:
        for write in (lambda: store.write_if_unchanged("pointer", b"x", "tag"), lambda: store.write_if_absent("pointer", b"x")):
            stub.add_client_error("put_object", code, http_status_code=status)
            assert not write()
            stub.assert_no_pending_responses()


@pytest.mark.parametrize("code", ["ConditionalRequestConflict", "OperationAborted"])
def test_a_conflict_with_a_write_under_way_is_asked_again(bucket: str, code: str) -> None:
    store = open_store(bucket)
    for ends_with, won in ((None, True), ("PreconditionFailed", False)):
        with Stubber(store.connection.client) as stub:
            for _ in range(2):
                stub.add_client_error("put_object", code, http_status_code=409)
            stub.add_client_error("put_object", ends_with, http_status_code=412) if ends_with else stub.add_response("put_object", {})
            assert store.write_if_unchanged("pointer", b"x", "tag") is won
            stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "status", "problem"),
    [
        ("NotImplemented", 501, "lacks conditional writes"),
        ("ExpiredToken", 400, "expired; renew them"),
        ("RequestTimeTooSkewed", 403, "clock is wrong; set it"),
        ("SlowDown", 503, "answers SlowDown after 1 attempt; run the same command again"),
        ("NoSuchBucket", 404, "there is no bucket"),
        ("PermanentRedirect", 301, "in another region; name the bucket's region"),
    ],
)
def test_what_the_test_server_does_not_answer_is_explained_too(bucket: str, code: str, status: int, problem: str) -> None:
    store = open_store(bucket)
    with Stubber(store.connection.client) as stub:
        stub.add_client_error("put_object", code, http_status_code=status)
        with pytest.raises(StorageError, match=problem):
            store.write_if_absent("pointer", b"x")


def test_an_answer_that_is_lost_does_not_make_a_claim_ones_loser(bucket: str, s3_server: S3Server) -> None:
    with losing_one_answer(s3_server.endpoint_url) as url:
        assert open_store(f"{bucket}?endpoint_url={url}").write_if_absent("claim", b"mine")
    with losing_one_answer(s3_server.endpoint_url) as url:
        assert not open_store(f"{bucket}?endpoint_url={url}").write_if_absent("claim", b"another's")
    assert open_store(bucket).read("claim") == b"mine"


def test_an_answer_that_is_lost_does_not_undo_a_swap(bucket: str, s3_server: S3Server) -> None:
    store = open_store(bucket)
    store.write("pointer", b"one")
    tag = store.read_tagged("pointer")[1]
    with losing_one_answer(s3_server.endpoint_url) as url:
        assert open_store(f"{bucket}?endpoint_url={url}").write_if_unchanged("pointer", b"two", tag)
    assert store.read("pointer") == b"two"


@contextmanager
def losing_one_answer(url: str) -> Iterator[str]:
    """A way to a server on which the first final answer is lost and its connection broken. Checks that one was."""
    lost: list[bytes] = []
    with create_server(("127.0.0.1", 0)) as listener:
        Thread(target=_serve, args=(listener, url, lost), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        with suppress(OSError):
            listener.shutdown(SHUT_RDWR)
    assert len(lost) == 1


def _serve(listener: socket, url: str, lost: list[bytes]) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = create_connection((urlsplit(url).hostname, urlsplit(url).port))
            Thread(target=_pass_on, args=(client, server), daemon=True).start()
            Thread(target=_pass_on_answers, args=(server, client, lost), daemon=True).start()


def _pass_on(source: socket, target: socket) -> None:
    with suppress(OSError), closing(target):
        while data := source.recv(1 << 16):
            target.sendall(data)


def _pass_on_answers(server: socket, client: socket, lost: list[bytes]) -> None:
    with suppress(OSError), closing(client):
        while data := server.recv(1 << 16):
            if not lost and b"100 Continue" not in data:
                lost.append(data)
                client.shutdown(SHUT_RDWR)
                return
            client.sendall(data)
