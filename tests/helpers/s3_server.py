"""A real S3 server for the tests: SeaweedFS, one process on loopback, with signatures, rights and conditional writes."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

START_S = 60.0
SERVER_ENVIRONMENT = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1", "WEED_S3_SSE_KEY": "what the server encrypts by for sse=AES256"}
PORTS = (
    "-master.port",
    "-master.port.grpc",
    "-volume.port",
    "-volume.port.grpc",
    "-filer.port",
    "-filer.port.grpc",
    "-s3.port.grpc",
    "-s3.port",
)


@dataclass(frozen=True)
class Identity:
    """A client's key, and what the server lets it do."""

    access_key: str
    secret_key: str
    actions: tuple[str, ...]


ADMIN = Identity("ganray-admin", "admin-secret-0123456789", ("Admin", "Read", "Write", "List", "Tagging"))
WRITER = Identity("ganray-writer", "writer-secret-0123456789", ("Read", "Write", "List", "Tagging"))
ALLOWED = ("allowed", "mine")  # the bucket and prefix that one identity may write to, and nothing else
PUBLIC = "public"  # the bucket that everyone may read, without a key
PREFIX_WRITER = Identity("ganray-prefix", "prefix-secret-0123456789", ("Read", "List", f"Write:{ALLOWED[0]}/{ALLOWED[1]}/*"))
READER = Identity("ganray-reader", "reader-secret-0123456789", ("Read", "List"))


@dataclass(frozen=True)
class S3Server:
    """A running server: its URL and its process."""

    endpoint_url: str
    pid: int

    def client(self) -> Any:
        """Return a boto3 client that may make buckets (and makes them by mere writing, as AWS never does)."""
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=ADMIN.access_key,
            aws_secret_access_key=ADMIN.secret_key,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def environment(self, identity: Identity) -> dict[str, str]:
        """Return the variables by which a process reaches the server as `identity`, and none of this machine's settings."""
        return {
            "AWS_ACCESS_KEY_ID": identity.access_key,
            "AWS_SECRET_ACCESS_KEY": identity.secret_key,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


class ServerProcess:
    """A server that keeps its data in a folder, and can be stopped and started again at the same ports."""

    def __init__(self, folder: Path, *, certificate: tuple[Path, Path] | None = None) -> None:
        self.folder = folder
        ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        self.command = _command(folder, ports)
        if certificate:
            self.command += [f"-s3.cert.file={certificate[0]}", f"-s3.key.file={certificate[1]}"]
        self.endpoint_url = f"{'https' if certificate else 'http'}://127.0.0.1:{ports['-s3.port']}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> S3Server:
        """Start it, and return it once it serves."""
        with (self.folder / "weed.log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=SERVER_ENVIRONMENT)
        server = S3Server(self.endpoint_url, self.process.pid)
        _wait_until_it_serves(server, self.process, self.folder / "weed.log")
        return server

    def stop(self) -> None:
        """Kill it."""
        if self.process:
            self.process.kill()
            self.process.wait()


@contextmanager
def running_server(folder: Path, *, certificate: tuple[Path, Path] | None = None) -> Iterator[S3Server]:
    """Start a server that keeps its data in `folder`, wait until it serves, and kill it when the block ends.

    With the PEM files of a `certificate` and its key it serves HTTPS, for clients whose AWS_CA_BUNDLE trusts it.
    """
    process = ServerProcess(folder, certificate=certificate)
    try:
        yield process.start()
    finally:
        process.stop()


def _command(folder: Path, ports: dict[str, int]) -> list[str]:
    identities: list[dict[str, Any]] = [{"name": "anonymous", "actions": [f"Read:{PUBLIC}", f"List:{PUBLIC}"]}]
    identities += [
        {
            "name": identity.access_key,
            "credentials": [{"accessKey": identity.access_key, "secretKey": identity.secret_key}],
            "actions": identity.actions,
        }
        for identity in (ADMIN, WRITER, PREFIX_WRITER, READER)
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    weed = Path(sys.executable).with_name("weed")
    return [
        *(str(weed), "-logtostderr=true", "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *("-master.telemetry=false", "-master.electionTimeout=1s", "-master.volumeSizeLimitMB=64"),
        *("-volume.max=1000", "-volume.preStopSeconds=0", "-filer", "-s3", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-s3.allowDeleteBucketNotEmpty=false", f"-s3.config={folder / 's3.json'}"),
        *(f"{flag}={port}" for flag, port in ports.items()),
    ]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as sockets:
        opened = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for opened_socket in opened:
            opened_socket.bind(("127.0.0.1", 0))
        return [opened_socket.getsockname()[1] for opened_socket in opened]


def _wait_until_it_serves(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Write and read an object until that works: the port is open long before."""
    client, until = server.client(), time.monotonic() + START_S
    while True:
        try:
            with suppress(client.exceptions.BucketAlreadyOwnedByYou):  # of one that is started again
                client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="ready", Body=b"ready")
            client.get_object(Bucket="ready", Key="ready")["Body"].read()
            return
        except (BotoCoreError, ClientError):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the S3 server did not start:\n{log.read_text(errors='replace')[-2000:]}") from None
            time.sleep(0.2)
