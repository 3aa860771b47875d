"""Settings of an S3 connection, as they follow a URI, and the client that is made with them."""

import os
import re
import threading
from dataclasses import astuple, dataclass, fields
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import boto3.session
from botocore import UNSIGNED
from botocore.config import Config

from ganray.errors import ConfigError
from ganray.storage.base import FIELD, key_problem
from ganray.storage.s3.errors import NAME_ENDPOINT

ATTEMPTS = 5  # with adaptive back-off, up to 15 s; overridden by AWS_MAX_ATTEMPTS
READ_TIMEOUT_S = 60  # without a byte from the server
CONNECT_TIMEOUT_S = 10  # urllib3 applies it to a stalled send too: with retries, a server may stop for 30 s
EXAMPLE = "name it as s3://bucket/prefix"
ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
SWITCHES = ("path_style", "anonymous")  # settings that are true or false


@dataclass(frozen=True)
class Connection:
    """Settings of a server and of the objects stored there, and the client made with them, lazily and not pickled.

    None leaves a setting to boto3: its environment variables and files, then AWS's default.
    """

    endpoint_url: str | None = None
    region: str | None = None
    path_style: bool | None = None
    ca_bundle: str | None = None
    sse: str | None = None
    kms_key: str | None = None
    storage_class: str | None = None
    anonymous: bool | None = None

    def __reduce__(self) -> tuple[type["Connection"], tuple[Any, ...]]:
        return Connection, astuple(self)

    @cached_property
    def session(self) -> boto3.session.Session:
        """The session, with boto3's chain of credentials."""
        return boto3.session.Session(region_name=self.region)

    @cached_property
    def client(self) -> Any:
        """The S3 client. Raises `ConfigError` for an endpoint in the environment that is not a URL."""
        style = {None: "auto", True: "path", False: "virtual"}[self.path_style]
        attempts = {} if "AWS_MAX_ATTEMPTS" in os.environ else {"total_max_attempts": ATTEMPTS}
        config = Config(
            retries={"mode": "adaptive", **attempts},
            s3={"addressing_style": style},
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            max_pool_connections=16,
            signature_version=UNSIGNED if self.anonymous else None,
        )
        try:
            return self.session.client("s3", endpoint_url=self.endpoint_url, config=config, verify=self.ca_bundle)
        except ValueError:
            raise ConfigError(FIELD, "the endpoint is not a URL", "set AWS_ENDPOINT_URL like https://host:port") from None

    @cached_property
    def verified_buckets(self) -> set[str]:
        """The buckets whose server was found to honour the conditions of conditional writes."""
        return set()

    @cached_property
    def verification_lock(self) -> threading.Lock:
        """Held while a server is probed for that."""
        return threading.Lock()

    @property
    def write_arguments(self) -> dict[str, str]:
        """Arguments of every request that creates an object: checksum, unless boto3 is set to do without, encryption, storage class."""
        settings = {
            "ChecksumAlgorithm": "SHA256" if self.client.meta.config.request_checksum_calculation == "when_supported" else None,
            "ServerSideEncryption": self.sse,
            "SSEKMSKeyId": self.kms_key,
            "StorageClass": self.storage_class,
        }
        return {name: value for name, value in settings.items() if value}

    def query(self) -> str:
        """Return the settings as they follow a URI, "" if there are none."""
        given = {name: value for name, value in vars(self).items() if name in SETTINGS and value is not None}
        return f"?{urlencode({name: _as_text(value) for name, value in given.items()}, safe=':/')}" if given else ""


SETTINGS = tuple(field.name for field in fields(Connection))


def parse_uri(uri: str) -> tuple[Connection, str]:
    """Return the connection of an s3:// URI, and its bucket and prefix. Raises `ConfigError` for a malformed one."""
    parts = urlsplit(uri, allow_fragments=False)
    if "@" in parts.netloc:
        raise ConfigError(FIELD, "the URI contains credentials", "remove them, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}", parts.netloc):
        raise ConfigError(FIELD, f"invalid bucket name in s3://{parts.netloc}", EXAMPLE)
    root = f"{parts.netloc}{parts.path}".rstrip("/")
    if problem := key_problem(root):
        raise ConfigError(FIELD, f"invalid prefix in s3://{root}: {problem}", EXAMPLE)
    return read_settings(dict(parse_qsl(parts.query))), root


def read_settings(settings: dict[str, str]) -> Connection:
    """Return the connection with the settings of a URI. Raises `ConfigError` for an unknown or invalid one."""
    if unknown := [name for name in settings if name not in SETTINGS]:
        raise ConfigError(FIELD, f"unknown setting {unknown[0]} in an s3:// URI", f"the settings are {', '.join(SETTINGS)}")
    for name in SWITCHES:
        if settings.get(name) not in (None, "true", "false"):
            raise ConfigError(FIELD, f"invalid {name} {settings[name]!r}", "use true or false")
    if "endpoint_url" in settings:
        _check_endpoint(settings["endpoint_url"])
    _check_write_settings(settings)
    values: dict[str, Any] = {name: value == "true" if name in SWITCHES else value for name, value in settings.items()}
    return Connection(**values)


def _check_write_settings(settings: dict[str, str]) -> None:
    if settings.get("sse", "AES256") not in ENCRYPTIONS:
        raise ConfigError(FIELD, f"invalid sse {settings['sse']!r}", f"use one of {', '.join(ENCRYPTIONS)}")
    if "kms_key" in settings and not settings.get("sse", "").startswith("aws:kms"):
        raise ConfigError(FIELD, "kms_key without sse=aws:kms", "add sse=aws:kms, or leave kms_key out")
    if not re.fullmatch(r"[A-Z_]{1,40}", settings.get("storage_class", "STANDARD")):
        raise ConfigError(FIELD, f"invalid storage_class {settings['storage_class']!r}", "use an S3 storage class such as STANDARD_IA")
    if "ca_bundle" in settings and not os.path.isfile(settings["ca_bundle"]):
        raise ConfigError(FIELD, f"there is no file ca_bundle={settings['ca_bundle']}", "name the PEM file of the server's CA")


def _check_endpoint(url: str) -> None:
    """Raise `ConfigError` for anything but the http(s) URL of a server without credentials; it may be secret, and is not repeated."""
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        right = False
    if not right or "@" in parts.netloc or parts.query:
        remedy = f"write it like http://host:port, without credentials; {NAME_ENDPOINT}"
        raise ConfigError(FIELD, "invalid endpoint_url", remedy)


def _as_text(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value
