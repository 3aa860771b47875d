"""Signatures bind model and version: what is validly signed passes for nothing else, whichever command reads it."""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ganray.cli import group
from ganray.errors import ArtifactError, GanrayError
from ganray.generation.batch import generate
from ganray.generation.provenance import provenance
from ganray.registry.artifact import load_generator
from ganray.registry.cache import cache_folder, find_pulled, pull
from ganray.registry.manifest import GENERATOR, MANIFEST, make_manifest
from ganray.registry.push import push
from ganray.registry.registry import Registry
from ganray.registry.signing import NOT_SIGNED, load_private_key, signature_name
from ganray.registry.verify import verify_model
from ganray.storage import open_store
from tests.helpers.artifacts import artifact, make_keys, publish


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models of a storage: m with versions 0001 and 0002, and n with 0001, all signed."""
    monkeypatch.setenv("GANRAY_CACHE", str(tmp_path / "cache"))
    private, _ = make_keys(tmp_path)
    registry = Registry(open_store(tmp_path / "store"))
    publish(registry, 2.0, 1.0, signing_key=private)
    publish(registry, 3.0, model="n", signing_key=private)
    return tmp_path / "store/models"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    return tmp_path / "signing.pem"


@pytest.fixture
def public(tmp_path: Path) -> Path:
    return tmp_path / "signing.pub.pem"


def in_place_of(target: Path, source: Path) -> None:
    """Put a version's files in the place of another's, as somebody can who may write to the storage."""
    shutil.rmtree(target)
    shutil.copytree(source, target)


def command(*arguments: object) -> Result:
    """Run a command in this process; its error is raised."""
    return CliRunner().invoke(group, [str(argument) for argument in arguments], catch_exceptions=False)


def offline(models: Path, key: Path) -> object:
    """Pull a version, and let somebody put a reference to another one into the cache."""
    wanted = models / "m/0002"
    pull(open_store(models / "n/0001"))
    references = cache_folder() / "references"
    (found,) = references.iterdir()
    pull(open_store(shutil.copytree(wanted, models.parent / "copy/m/0002")))
    for reference in references.iterdir():
        reference.write_bytes(found.read_bytes())
    return find_pulled(str(models.parent / "copy/m/0002"), model="m", version="0002", public_key=key)


READERS: dict[str, Callable[[Path, Path], object]] = {
    "load the version": lambda models, key: load_generator(str(models / "m/0002"), public_key=key),
    "load the best": lambda models, key: load_generator(str(models / "m"), public_key=key),
    "generate": lambda models, key: generate(str(models / "m"), num=1, seed=0, out=models.parent / "x.png", local=True, public_key=key),
    "pull": lambda models, key: command("models", "pull", "m", "--storage", models.parent, "--public-key", key),
    "push": lambda models, key: push(Registry(open_store(models.parent)), "o", open_store(models / "m/0002"), public_key=key),
    "verify": lambda models, key: command("models", "verify", "m", "--storage", models.parent, "--public-key", key),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("other", ["m/0001", "n/0001"], ids=["an old version", "another model"])
def test_a_signed_version_in_place_of_another_is_refused_by_all_who_have_the_key(
    other: str, read: Callable[[Path, Path], object], models: Path, public: Path
) -> None:
    read(models, public)
    in_place_of(models / "m/0002", models / other)
    with pytest.raises(GanrayError) as refused:
        read(models, public)
    if read is READERS["verify"]:
        problems = verify_model(Registry(open_store(models.parent)), "m", public_key=public)["0002"]
    else:
        problems = [str(refused.value)]
    assert f"has the manifest of version 0001 of model {other[0]!r}, and its folder is that of version 0002 of model 'm'" in problems[0]


def test_a_sample_is_not_traced_to_a_version_in_place_of_its_own(models: Path, public: Path) -> None:
    storage, image = models.parent, models.parent / "made/000000.png"
    generate(str(models / "n"), num=1, seed=0, out=storage / "made", local=True)
    in_place_of(models / "n/0001", models / "m/0001")
    with pytest.raises(ArtifactError, match=r"is not the version that generated .*: it is version 0001 of model 'm'"):
        provenance(image, storage=str(storage), public_key=public)


def test_a_reference_to_another_version_in_the_cache_is_refused_with_a_key(models: Path, public: Path) -> None:
    with pytest.raises(ArtifactError, match="was pulled as version 0001 of model 'n'"):
        offline(models, public)


def test_a_version_in_another_folder_is_found_without_a_key_too(models: Path) -> None:
    registry = Registry(open_store(models.parent))
    assert verify_model(registry, "m") == {"0001": [], "0002": [], "best": []}
    in_place_of(models / "m/0002", models / "m/0001")
    assert "has the manifest of version 0001" in verify_model(registry, "m")["0002"][0]


@pytest.mark.parametrize("path", ["copy", "backup/m/0002", "from-2024"])
def test_a_copy_by_any_name_that_is_no_other_version_loads_with_the_key(path: str, models: Path, public: Path) -> None:
    shutil.copytree(models / "m/0002", models.parent / path)
    assert load_generator(str(models.parent / path), public_key=public).latent_dim == 8


def test_a_signed_manifest_that_names_no_version_is_refused_in_a_registry(models: Path, private: Path, public: Path) -> None:
    folder, files = models / "m/0007", artifact()
    manifest = make_manifest(files, {"images_seen": 1})
    folder.mkdir()
    for name, data in {**files, MANIFEST: manifest}.items():
        (folder / name).write_bytes(data)
    signature = load_private_key(private, field="key").sign(manifest)
    (folder / signature_name(hashlib.sha256(manifest).hexdigest())).write_bytes(signature)
    with pytest.raises(ArtifactError, match="has the manifest of no version of a model"):
        load_generator(str(folder), public_key=public)


def altered(folder: Path) -> None:
    data = (folder / GENERATOR).read_bytes()
    (folder / GENERATOR).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def piped(folder: Path) -> None:
    (folder / GENERATOR).unlink()
    os.mkfifo(folder / GENERATOR)


CHANGES: dict[str, Callable[[Path], Any]] = {
    "altered": altered,
    "longer": lambda folder: os.truncate(folder / GENERATOR, 1 << 40),
    "missing": lambda folder: (folder / GENERATOR).unlink(),
    "a pipe": piped,
    "another manifest": lambda folder: (folder / MANIFEST).write_bytes((folder / MANIFEST).read_bytes() + b"\n"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("with_key", [True, False], ids=["key", "no key"])
def test_what_the_cache_holds_is_hashed_again_and_pulled_again(
    change: Callable[[Path], None], with_key: bool, models: Path, public: Path
) -> None:
    version, key = open_store(models / "m/0002"), public if with_key else None
    folder = pull(version, public_key=key)
    assert find_pulled(version.uri, public_key=key) == folder
    change(folder)
    with pytest.raises(ArtifactError, match="is not what was pulled; pull it again"):
        find_pulled(version.uri, public_key=key)
    assert pull(version, public_key=key) == folder
    assert find_pulled(version.uri, public_key=key) == folder
    assert (folder / GENERATOR).read_bytes() == version.read(GENERATOR)


def test_a_push_says_that_it_leaves_the_signature_behind_and_signs_when_asked_to(
    models: Path, private: Path, public: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    other, source = Registry(open_store(models.parent / "other")), open_store(models / "m/0002")
    push(other, "m", source, public_key=public)
    assert "m 0001 is not signed" in caplog.text
    assert "push it again with --signing-key" in caplog.text
    (problem,) = verify_model(other, "m", public_key=public)["0001"]
    assert problem.endswith(NOT_SIGNED)
    with pytest.raises(ArtifactError, match=r"if you trust it, .* push it again with --signing-key"):
        command("models", "verify", "m", "--storage", other.storage.uri, "--public-key", public)
    caplog.clear()
    version, _ = push(other, "m", source, public_key=public, signing_key=private)
    assert version.uri.endswith("/0001")
    assert not caplog.text
    assert verify_model(other, "m", public_key=public) == {"0001": [], "best": []}


def test_a_version_whose_manifest_was_changed_is_not_signed_by_publishing_it_again(
    models: Path, private: Path, public: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry(open_store(models.parent))
    publish(registry, 5.0, model="o")
    manifest = models / "o/0001" / MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b'"images_seen": 1', b'"images_seen": 2'))
    publish(registry, 5.0, model="o", signing_key=private)
    assert "stays unsigned" in caplog.text
    assert verify_model(registry, "o", public_key=public)["0001"][0].endswith(NOT_SIGNED)
