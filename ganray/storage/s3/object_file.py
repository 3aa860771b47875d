"""An object of a bucket as a seekable file, for formats that are read in pieces: each read is one request of a byte range."""

import io
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from botocore.exceptions import ClientError

from ganray.errors import StorageError
from ganray.storage.base import FIELD
from ganray.storage.s3.connection import Connection
from ganray.storage.s3.errors import is_beyond_end, is_lost_condition, s3_errors
from ganray.storage.s3.transfer import BODY_ERRORS, DamagedObject, with_retries


class ObjectFile(io.RawIOBase):
    """The version of an object that was there when it was opened. Reads of one that was replaced since raise `StorageError`."""

    def __init__(self, connection: Connection, address: Mapping[str, str], head: Mapping[str, Any]) -> None:
        self._connection, self._address = connection, dict(address)
        self._size, self._tag, self._position = int(head["ContentLength"]), head["ETag"], 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, origin: int = io.SEEK_SET, /) -> int:
        """Move to a position in bytes, which no request is needed for, and return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[origin]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the position on, and return how many bytes there were."""
        wanted = min(len(buffer), max(0, self._size - self._position))
        if wanted:
            with s3_errors("read from", self._address["Bucket"]):
                buffer[:wanted] = with_retries(self._getter(self._position, wanted))
            self._position += wanted
        return wanted

    def _getter(self, start: int, wanted: int) -> Callable[[], bytes]:
        """Return what gets a range once. A server keeps checksums of whole objects, so that a range is verified by its length alone."""

        def get() -> bytes:
            try:
                response: Mapping[str, Any] = self._connection.client.get_object(
                    **self._address, Range=f"bytes={start}-{start + wanted - 1}", IfMatch=self._tag
                )
            except ClientError as error:
                if not is_lost_condition(error):
                    raise
                problem = f"{self._address['Key']} was replaced while it was read"
                raise StorageError(FIELD, problem, "run the same command again once it stays as it is") from None
            data = _body(response, start, wanted)
            if len(data) != wanted:
                raise DamagedObject
            return data

        return get


def read_range(connection: Connection, address: Mapping[str, str], start: int, wanted: int) -> bytes:
    """Return bytes of an object, fewer where it ends, by one request: no other tells its size. Raises `ClientError`."""

    def get() -> bytes:
        try:
            return _body(connection.client.get_object(**address, Range=f"bytes={start}-{start + wanted - 1}"), start, wanted)
        except ClientError as error:
            if is_beyond_end(error):
                return b""
            raise

    return with_retries(get) if wanted else b""


def _body(response: Mapping[str, Any], start: int, wanted: int) -> bytes:
    """Return the content of a response to a request for a range, of a server that ignores ranges not the whole object.

    Raises `DamagedObject` for one that breaks off, or is of another place.
    """
    with closing(response["Body"]) as body:
        try:
            data: bytes = body.read(wanted)
        except BODY_ERRORS as error:
            raise DamagedObject from error
    if not response.get("ContentRange", "bytes 0-").startswith(f"bytes {start}-"):
        raise DamagedObject
    if len(data) < min(wanted, response.get("ContentLength", 0)):
        raise DamagedObject
    return data
