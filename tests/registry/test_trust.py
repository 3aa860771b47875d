"""Untrusted input: hostile manifests, weights and aliases are refused before anything is written; signatures are enforced."""

import hashlib
import json
import os
import pickle
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganray.errors import ArtifactError, ConfigError
from ganray.registry.artifact import load_generator
from ganray.registry.cache import pull
from ganray.registry.manifest import CONFIG, GENERATOR, MANIFEST, METRICS, make_manifest
from ganray.registry.push import push
from ganray.registry.registry import Registry
from ganray.registry.signing import PASSPHRASE, load_private_key, signature_name
from ganray.registry.verify import verify_model
from ganray.storage import open_store
from tests.helpers.artifacts import artifact, make_keys, publish

SECRET = b"this stands outside\n"


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """The folder of a published version, in a storage of its own."""
    publish(Registry(open_store(tmp_path / "store")), 1.0)
    return tmp_path / "store/models/m/0001"


def refused(version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, message: str) -> None:
    """Check that loading and pulling a version end in a `ArtifactError`, and that pulling wrote nothing outside the cache or half in it."""
    monkeypatch.setenv("GANRAY_CACHE", str(tmp_path / "outer/cache"))
    (tmp_path / "outer").mkdir()
    (tmp_path / "outside").write_bytes(SECRET)
    before = listing(tmp_path)
    for call in (lambda: load_generator(str(version)), lambda: load_generator(str(pull(open_store(version))))):
        with pytest.raises(ArtifactError, match=message):
            call()
    written = listing(tmp_path) - before
    assert all(path.startswith("outer/cache/") and "/." not in path for path in written)
    assert (tmp_path / "outside").read_bytes() == SECRET


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def rewrite(version: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((version / MANIFEST).read_bytes())
    change(content)
    (version / MANIFEST).write_text(json.dumps(content))


def replace(version: Path, name: str, data: bytes) -> None:
    """Put a file into an artifact together with the manifest that names it, as the maker of an artifact can."""
    (version / name).write_bytes(data)
    entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    rewrite(version, lambda content: content["files"].update({name: entry}))


OUTSIDE = {"size": len(SECRET), "sha256": hashlib.sha256(SECRET).hexdigest()}


@pytest.mark.parametrize(
    "name", ["../outside", "../../../../outside", "/etc/passwd", "a/../../outside", "..", ".hidden", "a\\b", "a\0b", "", "x" * 300]
)
def test_a_name_that_leaves_the_folder_is_refused(version: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite(version, lambda content: content["files"].update({name: OUTSIDE}))
    refused(version, tmp_path, monkeypatch, message="cannot be trusted")


@pytest.mark.parametrize("link", [os.symlink, lambda target, path: os.mkfifo(path)], ids=["link", "pipe"])
def test_a_link_or_a_pipe_in_a_files_place_is_not_followed(
    version: Path, link: Callable[[Path, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link(tmp_path / "outside", version / "extra.json")
    rewrite(version, lambda content: content["files"].update({"extra.json": OUTSIDE}))
    refused(version, tmp_path, monkeypatch, message=r"extra.json: is not what was published: it is (a link|not a regular file)")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"size": 1 << 62, "sha256": "0" * 64}, "cannot be trusted"),
        ({"size": -1, "sha256": "0" * 64}, "cannot be trusted"),
        ({"size": "many", "sha256": "0" * 64}, "cannot be trusted"),
        ({"size": 5, "sha256": "../x"}, "cannot be trusted"),
        ({"size": 1 << 34, "sha256": "0" * 64}, "bytes|does not have"),
        (None, "cannot be trusted"),
    ],
)
def test_sizes_and_hashes_that_cannot_be_are_refused(
    version: Path, entry: object, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite(version, lambda content: content["files"].update({GENERATOR: entry}))
    refused(version, tmp_path, monkeypatch, message=message)


@pytest.mark.parametrize("file", [GENERATOR, MANIFEST])
def test_a_file_larger_than_it_may_be_is_not_read(version: Path, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (version / file).open("r+b") as large:
        large.truncate(1 << 40)  # a hole: reading it would take a terabyte
    refused(version, tmp_path, monkeypatch, message=rf"{file}: .*has {1 << 40} bytes")


def test_too_many_files_are_refused(version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite(version, lambda content: content["files"].update({f"{number}.bin": OUTSIDE for number in range(100)}))
    refused(version, tmp_path, monkeypatch, message="cannot be trusted")


@pytest.mark.parametrize("content", [b"[" * 100_000, b"{}", b"[]", b"\xff", b'{"format": 99}', b'{"format": 1, "lineage": 7}'])
def test_an_invalid_manifest_is_refused(version: Path, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (version / MANIFEST).write_bytes(content)
    refused(version, tmp_path, monkeypatch, message="is broken|cannot be trusted|format 99")


class Exploit:
    """What a pickle does when it is loaded."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {os.environ['EXPLOITED']}",)


def disguised_weights() -> bytes:
    return pickle.dumps({"weights": Exploit()})


def lying_weights() -> bytes:
    """Weights whose header speaks of a tensor far larger than the file."""
    header = json.dumps({"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}).encode()
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize("weights", [disguised_weights, lying_weights, lambda: struct.pack("<Q", 1 << 60), lambda: b""])
def test_invalid_weights_are_refused_and_nothing_runs(
    version: Path, weights: Callable[[], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLOITED", str(tmp_path / "exploited"))
    replace(version, GENERATOR, weights())
    refused(version, tmp_path, monkeypatch, message="holds no generator that ganray can build")
    assert not (tmp_path / "exploited").exists()
    with pytest.raises(ArtifactError, match="holds no generator"):
        push(Registry(open_store(tmp_path / "other")), "n", open_store(version))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("networks", "width", 1 << 40),
        ("networks", "latent_dim", 1 << 50),
        ("networks", "kind", "os.system"),
        (None, "shape", [1, 1 << 30, 1 << 30]),
        (None, "shape", "x"),
        (None, "networks", None),
    ],
)
def test_a_config_that_asks_for_the_moon_takes_no_memory(
    version: Path, section: str | None, key: str, value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((version / CONFIG).read_bytes())
    (config[section] if section else config)[key] = value
    replace(version, CONFIG, json.dumps(config).encode())
    refused(version, tmp_path, monkeypatch, message="holds no generator that ganray can build")


def test_weights_swapped_for_those_of_another_version_are_refused(version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(Registry(open_store(tmp_path / "store")), 2.0)
    (version / GENERATOR).write_bytes((version.parent / "0002" / GENERATOR).read_bytes())
    refused(version, tmp_path, monkeypatch, message="does not have the published SHA-256")


@pytest.mark.parametrize("target", ["../../../outside", "/etc", "0001/../0002", "", 7, None])
def test_an_alias_that_leaves_its_model_is_refused(version: Path, target: object) -> None:
    best = json.loads((version.parent / "best.json").read_bytes())
    (version.parent / "best.json").write_text(json.dumps({**best, "version": target}))
    with pytest.raises(ArtifactError, match=r"best.json: is broken"):
        load_generator(str(version.parent))


def test_a_score_of_nan_is_refused(version: Path, tmp_path: Path) -> None:
    replace(version, METRICS, (version / METRICS).read_bytes().replace(b"1.0", b"NaN"))
    with pytest.raises(ArtifactError, match=r"metrics.json: is broken"):
        Registry(open_store(tmp_path / "store")).versions("m")
    assert any("metrics.json" in problem for problem in verify_model(Registry(open_store(tmp_path / "store")), "m", "0001")["0001"])


def test_what_is_signed_loads_with_its_key_alone(tmp_path: Path) -> None:
    (private, public), (_, other) = make_keys(tmp_path), make_keys(tmp_path, "other")
    registry = Registry(open_store(tmp_path / "store"))
    publish(registry, 1.0, signing_key=private)
    uri = registry.model("m").uri
    assert load_generator(uri, public_key=public).latent_dim == 8
    assert load_generator(uri).latent_dim == 8
    with pytest.raises(ArtifactError, match="is not signed by this key"):
        load_generator(uri, public_key=other)
    assert verify_model(registry, "m", public_key=public) == {"0001": [], "best": []}
    assert verify_model(registry, "m", public_key=other)["0001"]


def test_openssl_checks_the_signature_too(tmp_path: Path) -> None:
    private, public = make_keys(tmp_path)
    publish(Registry(open_store(tmp_path / "store")), 1.0, signing_key=private)
    version = tmp_path / "store/models/m/0001"
    manifest = version / MANIFEST
    signature = version / signature_name(hashlib.sha256(manifest.read_bytes()).hexdigest())
    check = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin", "-in", str(manifest), "-sigfile", str(signature)]
    assert b"Verified Successfully" in subprocess.run(check, capture_output=True).stdout


def test_a_manifest_that_was_changed_or_never_signed_does_not_load_with_a_key(version: Path, tmp_path: Path) -> None:
    private, public = make_keys(tmp_path)
    with pytest.raises(ArtifactError, match="is not signed"):
        load_generator(str(version), public_key=public)
    publish(Registry(open_store(tmp_path / "store")), 0.5, signing_key=private)
    signed = version.parent / "0002"
    replace(signed, GENERATOR, artifact(seed=77)[GENERATOR])
    assert load_generator(str(signed)).latent_dim == 8
    with pytest.raises(ArtifactError, match="is not signed"):
        load_generator(str(signed), public_key=public)


def test_unusable_keys_are_refused_and_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, _ = make_keys(tmp_path)
    (tmp_path / "text").write_text("very secret words")
    rsa = tmp_path / "rsa.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "rsa", "-out", str(rsa)], check=True, capture_output=True)
    os.mkfifo(tmp_path / "pipe")
    cases = {"none": "cannot read", "text": "is not a private key", "rsa.pem": "is not Ed25519", "pipe": "is not a regular file"}
    for path, message in ((tmp_path / name, message) for name, message in cases.items()):
        with pytest.raises(ConfigError, match=message) as caught:
            load_private_key(path, field="publish.signing_key")
        assert "secret words" not in str(caught.value)
    encrypted = tmp_path / "encrypted.pem"
    command = ["openssl", "pkey", "-in", str(private), "-aes256", "-passout", "pass:hunter2", "-out", str(encrypted)]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(ConfigError, match=f"set or unset {PASSPHRASE}"):
        load_private_key(encrypted, field="publish.signing_key")
    monkeypatch.setenv(PASSPHRASE, "hunter2")
    assert load_private_key(encrypted, field="publish.signing_key")
    monkeypatch.setenv(PASSPHRASE, "hunter3")
    with pytest.raises(ConfigError) as caught:
        load_private_key(encrypted, field="publish.signing_key")
    assert "hunter" not in str(caught.value)


def test_a_manifest_made_here_is_believed(tmp_path: Path) -> None:
    files = artifact()
    for name, data in {**files, MANIFEST: make_manifest(files, {})}.items():
        (tmp_path / name).write_bytes(data)
    assert load_generator(str(tmp_path)).latent_dim == 8
