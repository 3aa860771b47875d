"""What a user is told where a store does not work: the field, the problem, a remedy, and never a secret."""

import errno
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ganray.errors import ConfigError, GanrayError, StorageError
from ganray.storage import ObjectStore, open_store
from ganray.storage.files import local_errors
from tests.helpers.s3_server import ALLOWED, PREFIX_WRITER, READER, WRITER, S3Server

SECRETS = (WRITER.secret_key, READER.secret_key, "hunter2", "Signature=", "Credential=")


def complaint(call: Callable[[], object], *, field: str = "storage", kind: type[GanrayError] = StorageError) -> str:
    """Return the one line of the error of a `kind` that a call raises, after a look at its field and for secrets in it."""
    with pytest.raises(kind) as caught:
        call()
    line = str(caught.value)
    assert caught.value.field == field
    assert caught.value.remedy
    assert not [secret for secret in SECRETS if secret in line]
    return line


def writing_calls(store: ObjectStore, file: Path) -> list[Callable[[], object]]:
    file.write_bytes(b"x")
    return [
        store.check_writable,
        lambda: store.write("a", b"x"),
        lambda: store.write_if_absent("a", b"x"),
        lambda: store.upload(file, "a"),
    ]


def reading_calls(store: ObjectStore, copy: Path) -> list[Callable[[], object]]:
    return [lambda: store.read("a"), lambda: store.read_tagged("a"), lambda: store.download("a", copy), lambda: store.open("a"), store.list]


@pytest.fixture
def used_bucket(bucket: str) -> str:
    open_store(bucket).write("a", b"content")
    return bucket


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("AWS_SECRET_ACCESS_KEY", "hunter2", "the secret key is not the one of the access key"),
        ("AWS_ACCESS_KEY_ID", "nobody", "the server does not know the access key"),
        ("AWS_SECRET_ACCESS_KEY", None, "the credentials are not complete"),
    ],
)
def test_wrong_keys_are_told_apart(
    used_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None, problem: str
) -> None:
    monkeypatch.setenv(variable, value) if value else monkeypatch.delenv(variable)
    store = open_store(used_bucket)
    for call in writing_calls(store, tmp_path / "file") + reading_calls(store, tmp_path / "copy"):
        line = complaint(call)
        assert problem in line
        assert "set AWS_ACCESS_KEY_ID" in line
    assert not (tmp_path / "copy").exists()


def test_missing_credentials_and_profiles_are_named(used_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = open_store(used_bucket)
    for call in [*writing_calls(store, tmp_path / "file"), *reading_calls(store, tmp_path / "copy")]:
        line = complaint(call)
        assert "there are no credentials; set AWS_ACCESS_KEY_ID" in line
        assert "?anonymous=true" in line
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "AWS_PROFILE names no profile; name one" in complaint(open_store(used_bucket).check_writable)


def test_a_missing_bucket_comes_with_the_command_that_makes_it(s3_server: S3Server, tmp_path: Path) -> None:
    store = open_store("s3://no-such-bucket/prefix")
    for call in [store.check_writable, *reading_calls(store, tmp_path / "copy")]:
        assert "there is no bucket no-such-bucket; create it: aws s3 mb s3://no-such-bucket" in complaint(call)


@pytest.mark.usefixtures("read_only_identity")
def test_who_may_only_read_is_told_so_when_writing(bucket: str, s3_server: S3Server, tmp_path: Path) -> None:
    name = bucket.split("/")[2]
    s3_server.client().put_object(Bucket=name, Key="some/prefix/a", Body=b"content")
    store = open_store(bucket)
    assert store.read("a") == b"content"
    tag = store.read_tagged("a")[1]
    calls = [*writing_calls(store, tmp_path / "file"), lambda: store.write_if_unchanged("a", b"x", tag)]
    for call in calls:
        assert f"access is denied; let these credentials write to bucket {name}" in complaint(call)
    assert f"let these credentials delete from bucket {name}" in complaint(lambda: store.delete("a"))
    assert store.read("a") == b"content"


def test_who_may_write_to_one_prefix_is_told_so_elsewhere(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, prefix = ALLOWED
    s3_server.client().create_bucket(Bucket=bucket)
    for name, value in s3_server.environment(PREFIX_WRITER).items():
        monkeypatch.setenv(name, value)
    open_store(f"s3://{bucket}/{prefix}").check_writable()
    store = open_store(f"s3://{bucket}/elsewhere")
    for call in writing_calls(store, tmp_path / "file"):
        assert f"access is denied; let these credentials write to bucket {bucket}" in complaint(call)
    assert store.list() == []


@pytest.mark.parametrize("in_uri", [True, False])
def test_a_dead_server_is_named(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_uri: bool) -> None:
    dead = "http://127.0.0.1:1"
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://nowhere.invalid" if in_uri else dead)
    store = open_store(f"s3://name/prefix?endpoint_url={dead}" if in_uri else "s3://name/prefix")
    for call in writing_calls(store, tmp_path / "file") + reading_calls(store, tmp_path / "copy"):
        line = complaint(call)
        assert f"no connection to {dead}" in line
        assert "check AWS_ENDPOINT_URL" in line


@pytest.mark.parametrize(("url", "kind"), [("localhost", ConfigError), ("http://user:hunter2@127.0.0.1:1", StorageError)])
def test_an_endpoint_of_the_environment_that_is_no_url_or_has_a_password(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, url: str, kind: type[GanrayError]
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    assert "AWS_ENDPOINT_URL" in complaint(open_store("s3://name").check_writable, kind=kind)


@pytest.mark.parametrize(
    ("uri", "problem", "remedy"),
    [
        ("s3://", "invalid bucket name", "s3://bucket/prefix"),
        ("s3:///prefix", "invalid bucket name", "s3://bucket/prefix"),
        ("s3://a_b!/prefix", "invalid bucket name", "s3://bucket/prefix"),
        ("s3://key:hunter2@bucket/prefix", "contains credentials", "AWS_ACCESS_KEY_ID"),
        ("s3://bucket/a//b", "empty path segment", "s3://bucket/prefix"),
        ("s3://bucket/../b", "'..'", "s3://bucket/prefix"),
        ("s3://bucket?secret_key=hunter2", "unknown setting secret_key", "endpoint_url, region, path_style"),
        ("s3://bucket?path_style=yes", "invalid path_style 'yes'", "use true or false"),
        ("s3://bucket?anonymous=1", "invalid anonymous '1'", "use true or false"),
        ("s3://bucket?endpoint_url=localhost:9000", "invalid endpoint_url", "http://host:port"),
        ("s3://bucket?endpoint_url=http://host:port", "invalid endpoint_url", "http://host:port"),
        ("s3://bucket?endpoint_url=http://user:hunter2@host", "invalid endpoint_url", "without credentials"),
        ("gs://bucket/prefix", "unsupported scheme gs://", "s3://bucket/prefix"),
    ],
)
def test_a_wrong_uri_is_refused_without_repeating_secrets(uri: str, problem: str, remedy: str) -> None:
    line = complaint(lambda: open_store(uri), kind=ConfigError)
    assert problem in line
    assert remedy in line


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        store = open_store(folder)
        for call in writing_calls(store, tmp_path / "source") + reading_calls(store, tmp_path / "copy"):
            line = complaint(call)
            assert str(folder) in line
            assert "name a folder; this path is, or goes through, a file" in line


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder whose parents everyone may enter, as those of `tmp_path` are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_folder_without_rights(open_folder: Path) -> None:
    folder = open_folder / "store"
    store = open_store(folder)
    store.write("a", b"x")
    calls = writing_calls(store, open_folder / "source")
    folder.chmod(0o555)
    with nobody():
        assert store.read("a") == b"x"
        for call in calls:
            assert f"cannot write {folder}: permission denied; grant this user the right" in complaint(call)
    folder.chmod(0o700)
    with nobody():
        assert f"cannot read {folder}/a: permission denied" in complaint(lambda: store.read("a"))
        assert f"cannot list {folder}: permission denied" in complaint(store.list)
    folder.chmod(0o755)
    assert [(info.key, store.read(info.key)) for info in store.list()] == [("a", b"x")]


@contextmanager
def nobody() -> Iterator[None]:
    """Be a user whom rights bind, if this is root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting takes root's rights")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_what_was_there(small_disk: Path, tmp_path: Path) -> None:
    store, large = open_store(small_disk / "store"), os.urandom(2 << 20)
    (tmp_path / "large").write_bytes(large)
    store.write("a", b"before")
    tag = store.read_tagged("a")[1]
    calls: list[Callable[[], object]] = [
        lambda: store.write("a", large),
        lambda: store.write_if_absent("b", large),
        lambda: store.write_if_unchanged("a", large, tag),
        lambda: store.upload(tmp_path / "large", "a"),
    ]
    for call in calls:
        assert f"cannot write {store.uri}: {os.strerror(errno.ENOSPC).lower()}; free some space" in complaint(call)
    assert [(info.key, store.read(info.key)) for info in store.list()] == [("a", b"before")]
    assert not list(small_disk.rglob(".tmp-*"))
    store.write("a", b"after")


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_a_download_that_fills_the_disk_names_the_file(kind: str, small_disk: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    store = open_store(tmp_path / "store" if kind == "local" else request.getfixturevalue("bucket"))
    store.write("large", os.urandom(2 << 20))
    (small_disk / "copy").write_bytes(b"before")
    line = complaint(lambda: store.download("large", small_disk / "copy"), field=str(small_disk / "copy"))
    assert "free some space" in line
    assert [(path.name, path.read_bytes()) for path in small_disk.iterdir()] == [("copy", b"before")]


def test_a_read_only_mount(small_disk: Path, tmp_path: Path) -> None:
    store = open_store(small_disk / "store")
    store.write("a", b"x")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for call in [*writing_calls(store, tmp_path / "source"), *writing_calls(open_store(small_disk / "new"), tmp_path / "source")]:
        assert "read-only file system; mount it for writing" in complaint(call)
    assert "cannot delete from" in complaint(lambda: store.delete("a"))
    assert store.read("a") == b"x"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR])
def test_what_a_file_system_refuses_is_not_tried_again(number: int) -> None:
    with pytest.raises(StorageError) as refused, local_errors("write", "folder", field="storage"):
        raise OSError(number, "refused")
    assert not refused.value.is_transient
