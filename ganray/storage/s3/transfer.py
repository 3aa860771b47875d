"""Moving bytes to and from a bucket so that they arrive as they left: in parallel parts, hashes compared, asked for again if broken."""

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
from ganray.storage.s3.errors import code_of

PART_BYTES = 16 << 20
# A part is read from its file while it is sent; of downloads, io chunks of 256 KiB wait in memory.
TRANSFER = TransferConfig(
    multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=6, max_io_queue=64, num_download_attempts=ATTEMPTS
)
HASH = "sha256"  # the metadata that holds the SHA-256 of an uploaded file, in hex
BROKEN_BODIES = (
    exceptions.ResponseStreamingError,
    exceptions.IncompleteReadError,
    exceptions.ReadTimeoutError,
    exceptions.FlexibleChecksumError,
    exceptions.ConnectionClosedError,
)
DAMAGED = (
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
    """An object's content broke off on its way, or is not what was uploaded."""


def again(call: Callable[[], Result]) -> Result:
    """Return what a call returns, asked again with back-off while its body breaks or arrives damaged, up to `ATTEMPTS` times."""
    for attempt in range(ATTEMPTS):
        try:
            return call()
        except (DamagedObject, ProtocolError, ClientError) as error:
            if not _is_damage(error):
                raise
            if attempt + 1 == ATTEMPTS:
                raise error if isinstance(error, ProtocolError) else _unsound() from error
            time.sleep(random.uniform(0, min(8.0, 0.25 * 2**attempt)))
    raise AssertionError("unreachable")


def upload(connection: Connection, address: Mapping[str, str], path: Path, progress: Progress | None) -> str:
    """Upload a file, in parallel parts if it is large, and return its SHA-256. Parts of a failed upload are removed."""
    digest, size = sha256_of(path), path.stat().st_size
    extra = {**connection.new_objects, "Metadata": {HASH: digest}}

    def send() -> None:
        with create_transfer_manager(connection.client, TRANSFER) as manager:
            manager.upload(str(path), *address.values(), extra, _told(progress, size)).result()

    again(send)
    stored = connection.client.head_object(**address)["ContentLength"]
    if stored != size:
        raise StorageError(FIELD, f"{path.name} has {stored} bytes on the server where {size} were sent", "upload it again")
    return digest


def download(connection: Connection, address: Mapping[str, str], head: Mapping[str, Any], file: BinaryIO, progress: Progress | None) -> str:
    """Download an object, in parallel ranges if it is large, and return its SHA-256, found equal to that of the file uploaded."""

    def fetch() -> str:
        file.seek(0)
        file.truncate()
        with create_transfer_manager(connection.client, TRANSFER) as manager:
            try:
                manager.download(*address.values(), file, None, _told(progress, head["ContentLength"])).result()
            except RetriesExceededError:
                raise _unsound() from None
            except exceptions.FlexibleChecksumError as error:  # which s3transfer takes for the last word
                raise DamagedObject from error
        file.flush()
        digest = sha256_of(Path(file.name))
        _compare(digest, head)
        return digest

    try:
        return again(fetch)
    except DamagedObject:
        key = address["Key"]
        raise StorageError(
            FIELD, f"{key} arrives with another SHA-256 than it was uploaded with", "check the network, or upload it again"
        ) from None


def read_body(get: Callable[[], Mapping[str, Any]]) -> tuple[bytes, Mapping[str, Any]]:
    """Return the body of what `get` answers, whole and with its checksum compared where the server keeps one, and the answer."""

    def read() -> tuple[bytes, Mapping[str, Any]]:
        response = get()
        with closing(response["Body"]) as body:  # as a context of its own it would hand out the stream below, which checks nothing
            try:
                data = body.read()
            except BROKEN_BODIES as error:
                raise DamagedObject from error
        _compare(hashlib.sha256(data).hexdigest(), response)
        return data, response

    return again(read)


class Counter:
    """Adds up the bytes that threads have moved and tells how far it is."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done, self.lock = progress, total, 0, threading.Lock()

    def __call__(self, moved: int) -> None:
        with self.lock:
            self.done += moved
            self.progress(self.done, self.total)


def _told(progress: Progress | None, total: int) -> list[ProgressCallbackInvoker]:
    return [ProgressCallbackInvoker(Counter(progress, total))] if progress else []


def _compare(digest: str, answer: Mapping[str, Any]) -> None:
    """Raise `DamagedObject` if an object was uploaded with another SHA-256; S3 itself keeps none of one made of parts."""
    if digest != answer["Metadata"].get(HASH, digest):
        raise DamagedObject


def _unsound() -> StorageError:
    problem = f"content breaks off or changes on its way, {ATTEMPTS} times in a row"
    return StorageError(FIELD, problem, "check the network and the server, and run the same command again")


def _is_damage(error: Exception) -> bool:
    """Whether the bytes were lost or changed on their way, so that asking again may help."""
    return not isinstance(error, ClientError) or code_of(error) in DAMAGED
