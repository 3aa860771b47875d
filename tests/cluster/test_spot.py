"""Spot notices of three clouds, from a metadata server on loopback."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ganray.cluster.spot import Notice, SpotWatch, ask_aws, ask_azure, ask_google, find_cloud

SOON = "2026-11-26T04:30:00Z"
AWS = "/latest/meta-data/spot/instance-action"
GOOGLE = "/computeMetadata/v1/instance/preempted"
AZURE = "/metadata/scheduledevents?api-version=2020-07-01"


class Metadata:
    """A server's answers, by path; AWS's wants a token, Google's and Azure's a header."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.asked = 0


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    found = Metadata()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_PUT(self) -> None:
            known = self.path == "/latest/api/token" and AWS in found.answers
            self.answer(200 if known and self.headers["X-aws-ec2-metadata-token-ttl-seconds"] else 403, "token")

        def do_GET(self) -> None:
            found.asked += 1
            headers = {AWS: ("X-aws-ec2-metadata-token", "token"), GOOGLE: ("Metadata-Flavor", "Google"), AZURE: ("Metadata", "true")}
            name, value = headers.get(self.path, ("", ""))
            if self.headers.get(name) != value:
                self.answer(401, "")
            else:
                self.answer(200 if found.answers.get(self.path) else 404, found.answers.get(self.path, ""))

        def answer(self, status: int, content: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    place = f"127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://{place}/")
    monkeypatch.setenv("GCE_METADATA_HOST", place)
    monkeypatch.setenv("AZURE_METADATA_ENDPOINT", f"http://{place}")
    yield found
    server.shutdown()
    server.server_close()


def test_aws_gives_the_time_of_an_interruption(metadata: Metadata) -> None:
    metadata.answers[AWS] = ""
    assert find_cloud() is ask_aws
    assert ask_aws() is None
    metadata.answers[AWS] = json.dumps({"action": "terminate", "time": SOON})
    assert ask_aws() == Notice("AWS spot: terminate", 1795667400.0)


def test_google_says_that_it_preempts(metadata: Metadata) -> None:
    metadata.answers[GOOGLE] = "FALSE"
    assert find_cloud() is ask_google
    assert ask_google() is None
    metadata.answers[GOOGLE] = "TRUE"
    notice = ask_google()
    assert notice is not None
    assert 0 < notice.deadline - time.time() <= 30


@pytest.mark.parametrize("at", ["Thu, 26 Nov 2026 04:30:00 GMT", ""])
def test_azure_schedules_a_preemption(metadata: Metadata, at: str) -> None:
    metadata.answers[AZURE] = json.dumps({"Events": [{"EventType": "Reboot"}]})
    assert find_cloud() is ask_azure
    assert ask_azure() is None
    metadata.answers[AZURE] = json.dumps({"Events": [{"EventType": "Preempt", "NotBefore": at}]})
    notice = ask_azure()
    assert notice is not None
    assert notice.deadline == 1795667400.0 if at else 0 < notice.deadline - time.time() <= 30


def test_without_a_cloud_the_watch_ends_at_once_and_asks_no_more(metadata: Metadata) -> None:
    watch = SpotWatch(lambda _: pytest.fail("there is no notice"), poll_s=0.01)
    watch.start()
    watch.join(10)
    assert not watch.is_alive()
    asked = metadata.asked
    time.sleep(0.1)
    assert metadata.asked == asked


def test_a_notice_drains_once_also_after_answers_that_make_no_sense(metadata: Metadata) -> None:
    notices: list[Notice] = []
    metadata.answers[AWS] = "{"
    watch = SpotWatch(notices.append, poll_s=0.01)
    watch.start()
    for answer in ("{", json.dumps({"action": "terminate"}), json.dumps({"action": "stop", "time": SOON})):
        before = metadata.asked
        metadata.answers[AWS] = answer
        while watch.is_alive() and metadata.asked < before + 3:
            time.sleep(0.01)
    watch.join(10)
    assert notices == [Notice("AWS spot: stop", 1795667400.0)]
