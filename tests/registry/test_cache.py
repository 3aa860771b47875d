"""Pulling into the local cache, once for many processes, and pushing from there."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ganray.errors import GanrayError
from ganray.registry.alias import read_best
from ganray.registry.artifact import load_generator
from ganray.registry.cache import cache_folder, find_pulled, pull, remember
from ganray.registry.manifest import GENERATOR, MANIFEST, read_manifest
from ganray.registry.push import push
from ganray.registry.registry import Registry
from ganray.storage import open_store
from tests.helpers.artifacts import make_keys, publish
from tests.helpers.processes import pool


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANRAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(params=["local", "s3"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    return Registry(open_store(request.getfixturevalue("bucket") if request.param == "s3" else tmp_path / "store"))


def test_what_is_pulled_is_the_version_keyed_by_its_hash(registry: Registry) -> None:
    publish(registry, 1.0)
    version = registry.model("m").child("0001")
    told: list[tuple[int, int]] = []
    folder = pull(version, progress=lambda done, total: told.append((done, total)))
    manifest = read_manifest(version)
    assert folder == cache_folder() / "artifacts" / manifest.hash
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        MANIFEST: manifest.data,
        **{name: version.read(name) for name in manifest.files},
    }
    assert told[-1] == (sum(entry.size for entry in manifest.files.values()),) * 2
    assert load_generator(str(folder)).latent_dim == 8


def test_it_is_found_without_its_server(registry: Registry) -> None:
    publish(registry, 1.0)
    version = registry.model("m").child("0001")
    with pytest.raises(GanrayError, match="was not pulled before"):
        find_pulled(version.uri)
    folder = pull(version)
    remember(registry.model("m").uri, folder)
    for info in registry.storage.list():
        registry.storage.delete(info.key)
    assert find_pulled(version.uri) == find_pulled(registry.model("m").uri) == folder


def test_a_download_that_fails_leaves_nothing_that_counts(registry: Registry, cache: Path) -> None:
    publish(registry, 1.0)
    version = registry.model("m").child("0001")
    version.write(GENERATOR, version.read(GENERATOR)[:-1] + b"\x77")
    with pytest.raises(GanrayError, match="does not have the published SHA-256"):
        pull(version)
    assert list((cache / "artifacts").iterdir()) == []


def test_processes_and_threads_that_pull_at_once_download_once(registry: Registry, cache: Path) -> None:
    publish(registry, 1.0)
    version = registry.model("m").child("0001")
    with pool(3) as processes:
        counts = processes.starmap(pull_and_count, [(version, str(cache))] * 3, chunksize=1)
    assert sum(counts) == 1
    with ThreadPoolExecutor(4) as threads:
        folders = set(threads.map(pull, [version] * 4))
    assert len(folders) == 1


def pull_and_count(store: object, cache: str) -> int:
    """Return how many times this process downloaded anything."""
    told: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANRAY_CACHE", cache)
        pull(store, progress=lambda done, total: told.append(done == total))
    return told.count(True)


def test_what_is_pushed_is_a_version_of_its_own_that_knows_where_it_comes_from(registry: Registry, tmp_path: Path) -> None:
    publish(registry, 2.0, 1.0)
    source = open_store(pull(registry.model("m").child("0002")))
    other = Registry(open_store(tmp_path / "other"))
    pushed = [push(other, "n", source) for _ in range(2)]
    assert [(store.uri, is_best) for store, is_best in pushed] == [(f"{other.model('n').uri}/0001", True)] * 2
    manifest = read_manifest(pushed[0][0])
    assert manifest.lineage["pushed_from"] == {"model": "m", "version": "0002", "manifest": read_manifest(source).hash}
    assert (manifest.lineage["model"], manifest.lineage["version"]) == ("n", "0001")
    _, is_best = push(other, "n", registry.model("m").child("0001"))
    assert not is_best
    assert read_best(other.model("n")).version == "0001"


def test_signatures_are_pulled_with_what_they_sign(tmp_path: Path) -> None:
    private, public = make_keys(tmp_path)
    registry = Registry(open_store(tmp_path / "store"))
    publish(registry, 1.0, signing_key=private)
    version = registry.model("m").child("0001")
    folder = pull(version, public_key=public)
    assert load_generator(str(folder), public_key=public).latent_dim == 8
    assert find_pulled(version.uri, public_key=public) == folder
    other = Registry(open_store(tmp_path / "other"))
    push(other, "m", open_store(folder), public_key=public, signing_key=private)
    assert load_generator(other.model("m").uri, public_key=public).latent_dim == 8
