"""Transfers to and from a bucket with end-to-end checksums: parallel parts, SHA-256 compared, retried with back-off if damaged."""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from boto3.s3.transfer import ProgressCallbackInvoker, TransferConfig, create_transfer_manager
from botocore import exceptions
from botocore.exceptions import ClientError
from s3transfer.exceptions import RetriesExceededError
from urllib3.exceptions import ProtocolError

from ganray.errors import StorageError
from ganray.storage.base import FIELD, Progress, sha256_of
from ganray.storage.s3.connection import ATTEMPTS, Connection
from ganray.storage.s3.errors import WITHOUT_CHECKSUMS, code_of

PART_BYTES = 16 << 20
# A part is streamed from its file; of downloads, a queue of chunks of 256 KiB is held in memory.
TRANSFER = TransferConfig(
    multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=6, max_io_queue=64, num_download_attempts=ATTEMPTS
)
HASH = "sha256"  # the metadata field with the SHA-256 of an uploaded file, in hex
BODY_ERRORS = (
    exceptions.ResponseStreamingError,
    exceptions.IncompleteReadError,
    exceptions.ReadTimeoutError,
    exceptions.FlexibleChecksumError,
    exceptions.ConnectionClosedError,
)
DAMAGE_CODES = (
    "BadDigest",
    "InvalidDigest",
    "XAmzContentSHA256Mismatch",
    "XAmzContentChecksumMismatch",
    "IncompleteBody",
    "InvalidPart",
    "MalformedXML",
    "NoSuchUpload",
)
Result = TypeVar("Result")


class DamagedObject(Exception):
    """An object's content was truncated in transit, or is not what was uploaded."""


def with_retries(call: Callable[[], Result]) -> Result:
    """Return the result of a call, retried with back-off while its content arrives truncated or damaged, up to `ATTEMPTS` times."""
    for attempt in range(ATTEMPTS):
        try:
            return call()
        except (DamagedObject, ProtocolError, ClientError) as error:
            if not _is_damage(error):
                raise
            if attempt + 1 == ATTEMPTS:
                raise error if isinstance(error, ProtocolError) else _damage_error() from error
            time.sleep(random.uniform(0, min(8.0, 0.25 * 2**attempt)))
    raise AssertionError("unreachable")


def upload(connection: Connection, address: Mapping[str, str], path: Path, progress: Progress | None) -> str:
    """Upload a file, in parallel parts if it is large, and return its SHA-256. Parts of a failed upload are removed."""
    digest, size = sha256_of(path), path.stat().st_size
    extra = {**connection.write_arguments, "Metadata": {HASH: digest}}

    def send() -> None:
        with create_transfer_manager(connection.client, TRANSFER) as manager:
            manager.upload(str(path), *address.values(), extra, _callbacks(progress, size)).result()

    with_retries(send)
    stored = connection.client.head_object(**address)["ContentLength"]
    if stored != size:
        raise StorageError(FIELD, f"{path.name} has {stored} bytes on the server, and {size} were sent", "upload it again")
    return digest


def download(connection: Connection, address: Mapping[str, str], head: Mapping[str, Any], file: BinaryIO, progress: Progress | None) -> str:
    """Download an object, in parallel ranges if it is large, and return its SHA-256, verified against that of the uploaded file."""

    def fetch() -> str:
        file.seek(0)
        file.truncate()
        with create_transfer_manager(connection.client, TRANSFER) as manager:
            try:
                manager.download(*address.values(), file, None, _callbacks(progress, head["ContentLength"])).result()
            except RetriesExceededError:
                raise _damage_error() from None
            except exceptions.FlexibleChecksumError as error:  # which s3transfer does not retry
                raise DamagedObject from error
        file.flush()
        digest = sha256_of(Path(file.name))
        _compare(digest, head)
        return digest

    try:
        return with_retries(fetch)
    except DamagedObject:
        key = address["Key"]
        raise StorageError(
            FIELD, f"{key} arrives with another SHA-256 than it was uploaded with", "check the network, or upload it again"
        ) from None


def read_body(get: Callable[[], Mapping[str, Any]]) -> tuple[bytes, Mapping[str, Any]]:
    """Return the body of the response that `get` returns, verified where the server keeps a checksum, and the response."""

    def read() -> tuple[bytes, Mapping[str, Any]]:
        response = get()
        with closing(response["Body"]) as body:  # `with body` would enter the stream below, which verifies nothing
            try:
                data = body.read()
            except BODY_ERRORS as error:
                raise DamagedObject from error
        _compare(hashlib.sha256(data).hexdigest(), response)
        return data, response

    return with_retries(read)


class ByteCounter:
    """Adds up the bytes that the threads of a transfer have moved, for a progress callback."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done, self.lock = progress, total, 0, threading.Lock()

    def __call__(self, moved: int) -> None:
        with self.lock:
            self.done += moved
            self.progress(self.done, self.total)


def _callbacks(progress: Progress | None, total: int) -> list[ProgressCallbackInvoker]:
    return [ProgressCallbackInvoker(ByteCounter(progress, total))] if progress else []


def _compare(digest: str, response: Mapping[str, Any]) -> None:
    """Raise `DamagedObject` if the SHA-256 at upload was another; of an object made of parts, S3 itself keeps none."""
    if digest != response["Metadata"].get(HASH, digest):
        raise DamagedObject


def _damage_error() -> StorageError:
    problem = f"content breaks off or changes on its way, {ATTEMPTS} times in a row"
    return StorageError(FIELD, problem, f"check the network and the server, and run the same command again; {WITHOUT_CHECKSUMS}")


def _is_damage(error: Exception) -> bool:
    """Whether content was lost or changed in transit, so that a retry may help."""
    return not isinstance(error, ClientError) or code_of(error) in DAMAGE_CODES
