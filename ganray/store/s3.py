"""A store in a bucket of AWS or any server that speaks S3, with boto3's own chain of credentials."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import boto3.session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError

from ganray.config import UserError
from ganray.store.local import local_errors, written_aside
from ganray.store.objects import FIELD, MissingObject, ObjectInfo, check_by_writing, check_key, check_prefix
from ganray.store.s3_errors import NAME_ENDPOINT, is_lost_condition, is_missing, is_unexplained, s3_errors, was_retried

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

ATTEMPTS = 5  # with standard back-off, up to 15 s; AWS_MAX_ATTEMPTS says otherwise
PART_BYTES = 16 << 20
TRANSFER = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=4)
CHECKSUM = {"ChecksumAlgorithm": "SHA256"}
EXAMPLE = "name it as s3://bucket/prefix"


@dataclass(frozen=True)
class Connection:
    """How to reach a server, and the client that does, made when it is first needed and left behind by pickle.

    None leaves a setting to boto3: its environment variables and files, then AWS itself.
    """

    endpoint_url: str | None = None
    region: str | None = None
    path_style: bool | None = None

    def __reduce__(self) -> tuple[type["Connection"], tuple[str | None, str | None, bool | None]]:
        return Connection, (self.endpoint_url, self.region, self.path_style)

    @cached_property
    def session(self) -> boto3.session.Session:
        return boto3.session.Session(region_name=self.region)

    @cached_property
    def client(self) -> Any:
        style = {None: "auto", True: "path", False: "virtual"}[self.path_style]
        attempts = {} if "AWS_MAX_ATTEMPTS" in os.environ else {"total_max_attempts": ATTEMPTS}
        config = Config(
            retries={"mode": "standard", **attempts},
            s3={"addressing_style": style},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=16,
        )
        try:
            return self.session.client("s3", endpoint_url=self.endpoint_url, config=config)
        except ValueError:
            raise UserError(FIELD, "the endpoint is not a URL", "set AWS_ENDPOINT_URL like https://host:port") from None

    def query(self) -> str:
        """Return the settings as they follow a URI, "" if there are none."""
        settings = {"endpoint_url": self.endpoint_url, "region": self.region}
        settings |= {"path_style": None if self.path_style is None else str(self.path_style).lower()}
        given = {name: value for name, value in settings.items() if value is not None}
        return f"?{urlencode(given, safe=':/')}" if given else ""


@dataclass(frozen=True)
class S3Store:
    """Objects of a bucket; `root` is `bucket` or `bucket/prefix`."""

    connection: Connection
    root: str

    @property
    def uri(self) -> str:
        return f"s3://{self.root}{self.connection.query()}"

    @property
    def bucket(self) -> str:
        return self.root.partition("/")[0]

    def read(self, key: str) -> bytes:
        return self.read_tagged(key)[0]

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        with s3_errors("read from", self.bucket):
            response = self._get(key)
            return response["Body"].read(), response["ETag"]

    def write(self, key: str, data: bytes) -> None:
        with s3_errors("write to", self.bucket):
            self._put(key, data)

    def write_if_absent(self, key: str, data: bytes) -> bool:
        return self._put_if(key, data, IfNoneMatch="*")

    def write_if_unchanged(self, key: str, data: bytes, tag: str) -> bool:
        return self._put_if(key, data, IfMatch=tag)

    def list(self, prefix: str = "") -> list[ObjectInfo]:
        start = len(self._full(""))
        with s3_errors("list", self.bucket):
            pages = self.connection.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._full(check_prefix(prefix))
            )
            found = [entry for page in pages for entry in page.get("Contents", ())]
        infos = [ObjectInfo(entry["Key"][start:], entry["Size"], entry["LastModified"].timestamp()) for entry in found]
        # Some tools mark a folder by an empty object whose key ends in a slash.
        return sorted((info for info in infos if not info.key.endswith("/")), key=lambda info: info.key)

    def delete(self, key: str) -> None:
        with s3_errors("delete from", self.bucket):
            self.connection.client.delete_object(**self._address(key))

    def upload(self, path: Path, key: str) -> None:
        with path.open("rb") as file, s3_errors("write to", self.bucket):
            address = self._address(key)
            self.connection.client.upload_fileobj(file, *address.values(), ExtraArgs=CHECKSUM, Config=TRANSFER)

    def download(self, key: str, path: Path) -> None:
        with s3_errors("read from", self.bucket), local_errors("write", path.parent, field=str(path)), written_aside(path) as file:
            try:
                self.connection.client.download_fileobj(*self._address(key).values(), file, Config=TRANSFER)
            except ClientError as error:
                if is_unexplained(error):
                    self._get(key)
                raise

    def filesystem(self) -> tuple["FileSystem", str]:
        """Return pyarrow's filesystem and the path in it. Its credentials are today's: pyarrow does not renew them."""
        from pyarrow.fs import S3FileSystem  # slow to import, and most callers do without

        with s3_errors("open", self.bucket):
            client, credentials = self.connection.client, self.connection.session.get_credentials()
            if credentials is None:
                raise NoCredentialsError
            keys = credentials.get_frozen_credentials()
        endpoint = urlsplit(client.meta.endpoint_url)
        filesystem = S3FileSystem(
            access_key=keys.access_key,
            secret_key=keys.secret_key,
            session_token=keys.token,
            region=client.meta.region_name,
            scheme=endpoint.scheme,
            endpoint_override=endpoint.netloc,
            force_virtual_addressing=self.connection.path_style is False,
            tls_ca_file_path=os.environ.get("AWS_CA_BUNDLE"),
        )
        return filesystem, self.root

    def check_writable(self) -> None:
        with s3_errors("list", self.bucket):  # tells a missing bucket, where some servers only deny the write
            self.connection.client.list_objects_v2(Bucket=self.bucket, MaxKeys=1)
        check_by_writing(self)

    def _full(self, key: str) -> str:
        prefix = self.root.partition("/")[2]
        return f"{prefix}/{key}" if prefix else key

    def _address(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self._full(check_key(key))}

    def _get(self, key: str) -> Mapping[str, Any]:
        try:
            return self.connection.client.get_object(**self._address(key))
        except ClientError as error:
            if is_missing(error):
                raise MissingObject(f"{self.uri} has no {key}") from None
            raise

    def _put(self, key: str, data: bytes, **condition: str) -> None:
        self.connection.client.put_object(**self._address(key), Body=data, **CHECKSUM, **condition)

    def _put_if(self, key: str, data: bytes, **condition: str) -> bool:
        with s3_errors("write to", self.bucket):
            try:
                self._put(key, data, **condition)
            except ClientError as error:
                if not is_lost_condition(error):
                    raise
                return was_retried(error) and self._holds(key, data)
        return True

    def _holds(self, key: str, data: bytes) -> bool:
        try:
            return self.read(key) == data
        except MissingObject:
            return False


def open_s3(uri: str) -> S3Store:
    """Return the store of `s3://bucket/prefix[?endpoint_url=...&region=...&path_style=true]`. Raises `UserError`."""
    parts = urlsplit(uri, allow_fragments=False)
    if "@" in parts.netloc:
        raise UserError(FIELD, "the URI holds credentials", "take them out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}", parts.netloc):
        raise UserError(FIELD, f"s3://{parts.netloc} names no bucket", EXAMPLE)
    root = f"{parts.netloc}{parts.path}".rstrip("/")
    try:
        check_key(root)
    except ValueError:
        raise UserError(FIELD, f"s3://{root} has an empty part, '.' or '..'", EXAMPLE) from None
    return S3Store(_read_settings(dict(parse_qsl(parts.query))), root)


def _read_settings(settings: dict[str, str]) -> Connection:
    endpoint_url, region, path_style = (settings.pop(name, None) for name in ("endpoint_url", "region", "path_style"))
    if settings:
        known = "endpoint_url, region and path_style"
        raise UserError(FIELD, f"there is no setting {next(iter(settings))} in an s3:// URI", f"there are {known}")
    if path_style not in (None, "true", "false"):
        raise UserError(FIELD, "path_style is neither true nor false", "write path_style=true")
    if endpoint_url is not None:
        _check_endpoint(endpoint_url)
    return Connection(endpoint_url, region, None if path_style is None else path_style == "true")


def _check_endpoint(url: str) -> None:
    """Raise `UserError` for what is no http(s) URL of a server, or holds credentials. Does not repeat it: it may be secret."""
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        right = False
    if not right or "@" in parts.netloc or parts.query:
        raise UserError(
            FIELD, "endpoint_url is not a server's URL", f"write it like http://host:port, without credentials; {NAME_ENDPOINT}"
        )
