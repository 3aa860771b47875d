"""An object store in a bucket of AWS or any S3-compatible server, with boto3's chain of credentials."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import random
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

from botocore.exceptions import ClientError

from ganray.errors import StorageError, plural
from ganray.storage.base import (
    CHECKS,
    FIELD,
    Listing,
    MissingObject,
    ObjectInfo,
    Progress,
    RefusedObject,
    check_by_writing,
    check_key,
    check_prefix,
    key_problem,
)
from ganray.storage.files import atomic_write, local_errors
from ganray.storage.s3 import transfer
from ganray.storage.s3.connection import ATTEMPTS, Connection, parse_uri
from ganray.storage.s3.errors import is_conflict, is_lost_condition, is_missing, is_unexplained, s3_errors, was_retried
from ganray.storage.s3.object_file import ObjectFile, read_range
from ganray.storage.s3.transfer import read_body, with_retries

logger = logging.getLogger(__name__)

Entries = list[dict[str, Any]]  # of a page of a listing
UPLOAD = "?uploadId="  # between key and id of an incomplete upload


@dataclass(frozen=True)
class S3Store:
    """Objects of a bucket; `root` is `bucket` or `bucket/prefix`."""

    connection: Connection
    root: str

    @property
    def uri(self) -> str:
        """`s3://bucket/prefix` with the connection's settings."""
        return f"s3://{self.root}{self.connection.query()}"

    @property
    def bucket(self) -> str:
        """The name of the bucket."""
        return self.root.partition("/")[0]

    def child(self, prefix: str) -> Self:
        """Return the store of the objects below `prefix`."""
        return dataclasses.replace(self, root=f"{self.root}/{check_key(prefix.removesuffix('/'))}")

    def read(self, key: str) -> bytes:
        """Get the object, verified by its checksum."""
        return self.read_tagged(key)[0]

    def read_at_most(self, key: str, max_bytes: int) -> bytes:
        """Get the object after a look at its size."""
        with s3_errors("read from", self.bucket, self._full(key)):
            return read_body(lambda: _check_size(self._get(key), max_bytes))[0]

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        """Get the object; the tag is its ETag."""
        with s3_errors("read from", self.bucket, self._full(key)):
            data, response = read_body(lambda: self._get(key))
            return data, response["ETag"]

    def write(self, key: str, data: bytes) -> None:
        """Put the object, with a checksum that the server verifies."""
        with s3_errors("write to", self.bucket):
            with_retries(lambda: self._put(key, data))

    def write_if_absent(self, key: str, data: bytes) -> bool:
        """Put the object with `If-None-Match: *`."""
        return self._put_if(key, data, IfNoneMatch="*")

    def write_if_unchanged(self, key: str, data: bytes, tag: str) -> bool:
        """Put the object with `If-Match`."""
        return self._put_if(key, data, IfMatch=tag)

    def list(self, prefix: str = "") -> Listing:
        """List the keys below the prefix, page by page."""
        start = len(self._full(""))
        with s3_errors("list", self.bucket):
            found = self._pages("list_objects_v2", "Contents", self._full(check_prefix(prefix)))
        # Some tools mark a folder, this one's too, by an empty object whose key ends in a slash.
        objects = [entry for entry in found if not (entry["Key"].endswith("/") and entry["Size"] == 0)]
        infos = [ObjectInfo(entry["Key"][start:], entry["Size"], entry["LastModified"].timestamp()) for entry in objects]
        if refused := [info.key for info in infos if key_problem(info.key)]:
            reason = "their keys are not paths, by empty, '.' or '..' segments"
            logger.warning("left out %s below s3://%s: %s, such as %r", plural(len(refused), "object"), self.root, reason, refused[0])
        return sorted((info for info in infos if not key_problem(info.key)), key=lambda info: info.key)

    def delete(self, key: str) -> None:
        """Delete the object."""
        with s3_errors("delete from", self.bucket):
            self.connection.client.delete_object(**self._address(key))

    def upload(self, path: Path, key: str, *, progress: Progress | None = None) -> str:
        """Upload the file, in parallel parts if it is large, and verify its size."""
        with s3_errors("write to", self.bucket):
            return transfer.upload(self.connection, self._address(key), path, progress)

    def download(self, key: str, path: Path, *, max_bytes: int | None = None, progress: Progress | None = None) -> str:
        """Download the object, in parallel ranges if it is large, verified by the SHA-256 of the uploaded file."""
        with s3_errors("read from", self.bucket, self._full(key)), local_errors("write", path.parent, field=str(path)):
            head = with_retries(lambda: self._head(key))
            if max_bytes is not None:
                _check_size(head, max_bytes)
            with atomic_write(path) as file:
                return transfer.download(self.connection, self._address(key), head, file, progress)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Get the bytes by one request, of which no checksum is kept."""
        with s3_errors("read from", self.bucket, self._full(key)), self._missing(key):
            return read_range(self.connection, self._address(key), start, length)

    def open(self, key: str) -> BinaryIO:
        """Look at the object's size and tag; its content is got by ranges."""
        with s3_errors("read from", self.bucket, self._full(key)):
            file = ObjectFile(self.connection, self._address(key), self._head(key))
        return cast(BinaryIO, file)  # unbuffered: readers of such files ask for what they need

    def leftovers(self) -> Listing:
        """List incomplete multipart uploads, and probes that were not removed."""
        start = len(self._full(""))
        with s3_errors("list", self.bucket):
            found = self._pages("list_multipart_uploads", "Uploads", self._full(""))
        uploads = [ObjectInfo(f"{entry['Key'][start:]}{UPLOAD}{entry['UploadId']}", 0, entry["Initiated"].timestamp()) for entry in found]
        return uploads + [info for info in self.list() if info.key.rpartition("/")[2].startswith(CHECKS)]

    def remove_leftover(self, key: str) -> None:
        """Abort a multipart upload, or delete a probe."""
        key, upload, upload_id = key.rpartition(UPLOAD)
        if not upload:
            self.delete(upload_id)
            return
        with s3_errors("delete from", self.bucket):
            try:
                self.connection.client.abort_multipart_upload(**self._address(key), UploadId=upload_id)
            except ClientError as error:
                if not is_missing(error):
                    raise

    def check_conditional_writes(self) -> None:
        """Probe the server once a process and bucket. Raises `StorageError` if it ignores conditions."""
        with self.connection.verification_lock:
            if self.bucket not in self.connection.verified_buckets:
                self._probe_conditional_writes()
                self.connection.verified_buckets.add(self.bucket)

    def check_writable(self) -> None:
        """Write a small object and remove it again. Raises `StorageError`."""
        with s3_errors("list", self.bucket):  # names a missing bucket, where some servers only deny the write
            self.connection.client.list_objects_v2(Bucket=self.bucket, MaxKeys=1)
        check_by_writing(self)

    def _probe_conditional_writes(self) -> None:
        """Violate both conditions on an object of a new name. Raises `StorageError` if the server accepts that."""
        key = f"{CHECKS}conditions-{uuid.uuid4().hex}"
        first, second = (self.write_if_absent(key, content) for content in (b"one", b"two"))
        third = self.write_if_unchanged(key, b"three", f'"{"0" * 32}"')
        self.delete(key)
        if not first or second or third:
            problem = "the server ignores the conditions of conditional writes, so that racing publishers would overwrite each other"
            remedy = "publish to AWS, R2, or a release of MinIO, Ceph or SeaweedFS that keeps If-None-Match and If-Match; or to a folder"
            raise StorageError(FIELD, problem, remedy)

    def _full(self, key: str) -> str:
        prefix = self.root.partition("/")[2]
        return f"{prefix}/{key}" if prefix else key

    def _address(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self._full(check_key(key))}

    def _pages(self, operation: str, entries: str, prefix: str) -> Entries:
        pages = self.connection.client.get_paginator(operation).paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry for page in pages for entry in page.get(entries, ())]

    def _get(self, key: str) -> Mapping[str, Any]:
        with self._missing(key):
            response: Mapping[str, Any] = self.connection.client.get_object(**self._address(key))
            return response

    @contextlib.contextmanager
    def _missing(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if is_missing(error):
                raise MissingObject(f"{self.uri} has no {key}") from None
            raise

    def _head(self, key: str) -> Mapping[str, Any]:
        try:
            response: Mapping[str, Any] = self.connection.client.head_object(**self._address(key))
            return response
        except ClientError as error:
            if is_unexplained(error):
                self._get(key)["Body"].close()
            raise

    def _put(self, key: str, data: bytes, **condition: str) -> None:
        self.connection.client.put_object(**self._address(key), Body=data, **self.connection.write_arguments, **condition)

    def _put_if(self, key: str, data: bytes, **condition: str) -> bool:
        with s3_errors("write to", self.bucket):
            for attempt in range(ATTEMPTS):
                try:
                    with_retries(lambda: self._put(key, data, **condition))
                    return True
                except ClientError as error:
                    if not is_lost_condition(error):
                        raise
                    if not is_conflict(error):
                        return was_retried(error) and self._holds(key, data)
                    time.sleep(random.uniform(0, 0.1 * 2**attempt))  # another write is in progress, and may yet fail
        return self._holds(key, data)

    def _holds(self, key: str, data: bytes) -> bool:
        try:
            return self.read(key) == data
        except MissingObject:
            return False


def open_s3(uri: str) -> S3Store:
    """Return the store of `s3://bucket/prefix[?endpoint_url=...&region=...&path_style=true...]`. Raises `ConfigError`."""
    return S3Store(*parse_uri(uri))


def _check_size(response: Mapping[str, Any], max_bytes: int) -> Mapping[str, Any]:
    """Return a response. Raises `RefusedObject`, before its body is read, for one of more than `max_bytes`."""
    if (size := response["ContentLength"]) > max_bytes:
        raise RefusedObject(f"has {size} bytes, more than the {max_bytes} expected")
    return response
