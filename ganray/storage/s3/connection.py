"""How to reach an S3 server and how to store there: the settings that follow a URI, and the client that they make."""

import os
import re
import threading
from dataclasses import astuple, dataclass, fields
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

import boto3.session
from botocore.config import Config

from ganray.errors import ConfigError
from ganray.storage.base import FIELD
from ganray.storage.s3.errors import NAME_ENDPOINT

ATTEMPTS = 5  # with adaptive back-off, up to 15 s; AWS_MAX_ATTEMPTS says otherwise
READ_TIMEOUT_S = 60  # without a byte from the server
CONNECT_TIMEOUT_S = 10  # and that a send may stall, to which urllib3 applies it too: with retries, a server may stop for 30 s
ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")


@dataclass(frozen=True)
class Connection:
    """How to reach a server and store there. The client that does is made when it is first needed and left behind by pickle.

    None leaves a setting to boto3: its environment variables and files, then AWS itself.
    """

    endpoint_url: str | None = None
    region: str | None = None
    path_style: bool | None = None
    ca_bundle: str | None = None
    sse: str | None = None
    kms_key: str | None = None
    storage_class: str | None = None

    def __reduce__(self) -> tuple[type["Connection"], tuple[Any, ...]]:
        return Connection, astuple(self)

    @cached_property
    def session(self) -> boto3.session.Session:
        return boto3.session.Session(region_name=self.region)

    @cached_property
    def client(self) -> Any:
        style = {None: "auto", True: "path", False: "virtual"}[self.path_style]
        attempts = {} if "AWS_MAX_ATTEMPTS" in os.environ else {"total_max_attempts": ATTEMPTS}
        config = Config(
            retries={"mode": "adaptive", **attempts},
            s3={"addressing_style": style},
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            max_pool_connections=16,
        )
        try:
            return self.session.client("s3", endpoint_url=self.endpoint_url, config=config, verify=self.ca_bundle)
        except ValueError:
            raise ConfigError(FIELD, "the endpoint is not a URL", "set AWS_ENDPOINT_URL like https://host:port") from None

    @cached_property
    def proven(self) -> set[str]:
        """The buckets whose server was found to keep the conditions of conditional writes."""
        return set()

    @cached_property
    def proving(self) -> threading.Lock:
        """Held while a server is asked whether it does."""
        return threading.Lock()

    @property
    def new_objects(self) -> dict[str, str]:
        """What every request that makes an object says: checksum, encryption, storage class."""
        asked = {"ServerSideEncryption": self.sse, "SSEKMSKeyId": self.kms_key, "StorageClass": self.storage_class}
        return {"ChecksumAlgorithm": "SHA256", **{name: value for name, value in asked.items() if value}}

    def query(self) -> str:
        """Return the settings as they follow a URI, "" if there are none."""
        given = {name: value for name, value in vars(self).items() if name in SETTINGS and value is not None}
        return f"?{urlencode({name: _as_text(value) for name, value in given.items()}, safe=':/')}" if given else ""


SETTINGS = tuple(field.name for field in fields(Connection))


def read_settings(settings: dict[str, str]) -> Connection:
    """Return the connection that a URI's settings describe, or raise `GanrayError`."""
    if unknown := [name for name in settings if name not in SETTINGS]:
        raise ConfigError(FIELD, f"there is no setting {unknown[0]} in an s3:// URI", f"there are {', '.join(SETTINGS)}")
    path_style = settings.get("path_style")
    if path_style not in (None, "true", "false"):
        raise ConfigError(FIELD, "path_style is neither true nor false", "write path_style=true")
    if "endpoint_url" in settings:
        _check_endpoint(settings["endpoint_url"])
    _check_storing(settings)
    return Connection(**{**settings, "path_style": None if path_style is None else path_style == "true"})


def _check_storing(settings: dict[str, str]) -> None:
    if settings.get("sse", "AES256") not in ENCRYPTIONS:
        raise ConfigError(FIELD, f"there is no encryption sse={settings['sse']}", f"there are {', '.join(ENCRYPTIONS)}")
    if "kms_key" in settings and not settings.get("sse", "").startswith("aws:kms"):
        raise ConfigError(FIELD, "kms_key is for sse=aws:kms alone", "say sse=aws:kms too, or leave kms_key out")
    if not re.fullmatch(r"[A-Z_]{1,40}", settings.get("storage_class", "STANDARD")):
        raise ConfigError(FIELD, "storage_class is none", "write it like STANDARD_IA")
    if "ca_bundle" in settings and not os.path.isfile(settings["ca_bundle"]):
        raise ConfigError(FIELD, f"there is no file ca_bundle={settings['ca_bundle']}", "name the PEM file of the server's CA")


def _check_endpoint(url: str) -> None:
    """Raise `GanrayError` for what is no http(s) URL of a server, or holds credentials. Does not repeat it: it may be secret."""
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        right = False
    if not right or "@" in parts.netloc or parts.query:
        remedy = f"write it like http://host:port, without credentials; {NAME_ENDPOINT}"
        raise ConfigError(FIELD, "endpoint_url is not a server's URL", remedy)


def _as_text(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value
