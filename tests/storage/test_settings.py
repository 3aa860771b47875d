"""What follows an s3:// URI: every setting reaches the server, on every way there."""

import datetime
import hashlib
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ganray.errors import ConfigError, StorageError
from ganray.storage import open_store
from tests.helpers.s3_server import S3Server, running_server

LARGE = 40 << 20


@pytest.mark.parametrize(
    ("setting", "header", "value"),
    [("sse=AES256", "ServerSideEncryption", "AES256"), ("storage_class=STANDARD_IA", "StorageClass", "STANDARD_IA")],
)
def test_encryption_and_storage_class_hold_for_every_way_to_write(
    bucket: str, s3_server: S3Server, tmp_path: Path, setting: str, header: str, value: str
) -> None:
    store = open_store(f"{bucket}?{setting}").child("below")
    (tmp_path / "large").write_bytes(os.urandom(LARGE))
    store.write("written", b"x")
    assert store.write_if_absent("claimed", b"x")
    assert store.write_if_unchanged("claimed", b"y", store.read_tagged("claimed")[1])
    store.upload(tmp_path / "large", "large")
    for key in ("written", "claimed", "large"):
        head = s3_server.client().head_object(Bucket=store.bucket, Key=f"some/prefix/below/{key}")
        assert head[header] == value
    assert store.download("large", tmp_path / "copy") == hashlib.sha256((tmp_path / "large").read_bytes()).hexdigest()


def test_a_key_of_kms_is_named_in_requests(bucket: str) -> None:
    store = pickle.loads(pickle.dumps(open_store(f"{bucket}?sse=aws:kms&kms_key=alias/mine")))
    with Stubber(store.connection.client) as stub:
        expected = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/mine", "ChecksumAlgorithm": "SHA256"}
        stub.add_response("put_object", {}, {"Bucket": store.bucket, "Key": "some/prefix/a", "Body": b"x", **expected})
        store.write("a", b"x")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sse=rot13", "invalid sse 'rot13'; use one of AES256, aws:kms"),
        ("kms_key=x", "add sse=aws:kms"),
        ("sse=AES256&kms_key=x", "add sse=aws:kms"),
        ("storage_class=cheap!", "invalid storage_class 'cheap!'; use an S3 storage class such as STANDARD_IA"),
        ("ca_bundle=/nowhere.pem", "name the PEM file"),
    ],
)
def test_settings_that_cannot_be_are_refused(query: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_store(f"s3://bucket/prefix?{query}")


@pytest.mark.parametrize(
    ("style", "url"), [("true", "https://host.example/name/some/key"), ("false", "https://name.host.example/some/key")]
)
def test_buckets_are_addressed_as_the_uri_says(s3_server: S3Server, style: str, url: str) -> None:
    client = open_store(f"s3://name/some?endpoint_url=https://host.example&path_style={style}").connection.client
    assert client.generate_presigned_url("get_object", {"Bucket": "name", "Key": "some/key"}).startswith(url)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The PEM files of a certificate for 127.0.0.1 that nobody else trusts, and of its key."""
    import ipaddress

    folder, key = tmp_path_factory.mktemp("certificate"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ganray tests")])
    today = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(today - datetime.timedelta(1)).not_valid_after(today + datetime.timedelta(1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    (folder / "certificate.pem").write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture
def tls_bucket(
    s3_server: S3Server, certificate: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Path]]:
    """The URI of a bucket of a server that speaks HTTPS alone, and the certificate that trusts it, which no variable names."""
    (tmp_path / "server").mkdir()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate[0]))
    with running_server(tmp_path / "server", certificate=certificate) as server:
        server.client().create_bucket(Bucket="secure")
        monkeypatch.delenv("AWS_CA_BUNDLE")
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        yield "s3://secure/prefix", certificate[0]


def test_a_ca_of_ones_own_is_trusted_by_the_uri_alone(
    tls_bucket: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, certificate = tls_bucket
    store = open_store(f"{uri}?ca_bundle={certificate}")
    (tmp_path / "large").write_bytes(os.urandom(LARGE))
    store.upload(tmp_path / "large", "large")
    assert store.download("large", tmp_path / "copy") == hashlib.sha256((tmp_path / "large").read_bytes()).hexdigest()
    store.write("a", b"over TLS")
    with store.open("a") as file:
        assert file.read() == b"over TLS"
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StorageError, match=r"no trusted TLS connection to https://127\.0\.0\.1:.+; set AWS_CA_BUNDLE"):
        open_store(uri).read("a")


def test_a_clock_that_is_wrong_is_told(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(bucket)

    def an_hour_ago(*_: Any, **__: Any) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - datetime.timedelta(hours=1)

    monkeypatch.setattr("botocore.auth.get_current_datetime", an_hour_ago)
    with pytest.raises(StorageError, match="this machine's clock is wrong; set it"):
        store.write("a", b"x")
