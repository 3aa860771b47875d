"""`ganray models ...` and `ganray provenance` as they are typed: what they print, for people and as JSON, and how they refuse."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ganray.cli import group
from ganray.errors import GanrayError
from ganray.registry.artifact import load_generator
from ganray.registry.manifest import GENERATOR
from ganray.registry.registry import Registry
from ganray.storage import open_store
from tests.helpers.artifacts import make_keys, publish


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    publish(Registry(open_store(folder)), 3.0, 2.0, 5.0)
    return folder


@pytest.fixture
def storage(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A storage with three versions of model m, the second its best."""
    monkeypatch.setenv("GANRAY_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(published, tmp_path / "store"))


def run(*arguments: object) -> str:
    """Return what a command prints; what it raises comes out."""
    done = CliRunner().invoke(group, [str(argument) for argument in arguments], catch_exceptions=False, standalone_mode=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def models(verb: str, *arguments: object, storage: Path) -> str:
    return run("models", verb, *arguments, "--storage", storage)


def as_json(verb: str, *arguments: object, storage: Path) -> Any:
    return json.loads(models(verb, *arguments, "--json", storage=storage))


def test_show_prints_a_version_and_the_history(storage: Path) -> None:
    shown = as_json("show", "m", storage=storage)
    assert (shown["version"], shown["scores"], shown["signed"]) == ("0002", {"metric/frechet": 2.0}, False)
    assert set(shown["files"]) == {"generator.safetensors", "config.json", "metrics.json"}
    assert [event["to_version"] for event in shown["history"]] == ["0001", "0002"]
    text = models("show", "m", "0003", storage=storage)
    assert "\nmetric/frechet  5\n" in text
    assert "publish   0001 -> 0002 (3 -> 2)  by " in text


def test_best_prints_a_uri_that_loads(storage: Path) -> None:
    uri = models("best", "m", storage=storage).strip()
    assert uri == str(storage / "models/m/0002")
    assert load_generator(uri).latent_dim == 8
    best = as_json("best", "m", storage=storage)
    assert (best["uri"], best["version"], best["score"]) == (uri, "0002", 2.0)


def test_promote_and_rollback_move_the_best_and_record_why(storage: Path) -> None:
    assert models("promote", "m", "0003", "--why", "sharper", storage=storage) == "best of m  0003\n"
    assert as_json("best", "m", storage=storage)["event"]["why"] == "sharper"
    assert as_json("rollback", "m", "--why", "no", storage=storage)["version"] == "0002"
    assert "rollback  0003 -> 0002 (5 -> 2)" in models("show", "m", storage=storage)
    assert as_json("promote", "m", "0001", "--why", "x", storage=storage)["version"] == "0001"


def test_a_deleted_version_is_listed_no_more(storage: Path) -> None:
    assert models("delete", "m", "0003", "--why", "blurred", storage=storage) == "deleted  m 0003\n"
    assert [version["version"] for version in as_json("list", "m", storage=storage)] == ["0001", "0002"]
    assert "delete    0003  by " in models("show", "m", storage=storage)
    assert as_json("delete", "m", "0001", "--why", "x", "--pinned-too", storage=storage) == {"model": "m", "deleted": "0001"}


def test_verify_names_the_file_that_is_damaged(storage: Path) -> None:
    assert models("verify", "m", storage=storage) == "m 0001  ok\nm 0002  ok\nm 0003  ok\nm best  ok\n"
    weights = storage / "models/m/0003" / GENERATOR
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x77")
    with pytest.raises(GanrayError, match="0003 of 4 checked is damaged"):
        models("verify", "m", storage=storage)
    done = CliRunner().invoke(group, ["models", "verify", "m", "--storage", str(storage), "--json"])
    found = {entry["what"]: entry for entry in json.loads(done.stdout)}
    assert found["0002"] == {"what": "0002", "whole": True, "problems": []}
    assert found["0003"]["problems"] == [f"{weights} does not have the published SHA-256"]
    assert as_json("verify", "m", "0001", storage=storage)[0]["whole"]


def test_what_is_pulled_is_found_again_offline(storage: Path) -> None:
    folder = models("pull", "m", storage=storage).strip()
    assert load_generator(folder).latent_dim == 8
    third = as_json("pull", "m", "0003", storage=storage)["folder"]
    shutil.rmtree(storage)
    assert models("pull", "m", "--offline", storage=storage).strip() == folder
    assert as_json("pull", "m", "0003", "--offline", storage=storage)["folder"] == third
    with pytest.raises(GanrayError, match="was not pulled before"):
        models("pull", "m", "0001", "--offline", storage=storage)


def test_push_makes_a_version_elsewhere(storage: Path, tmp_path: Path) -> None:
    private, public = make_keys(tmp_path)
    other = tmp_path / "other"
    source = storage / "models/m/0001"
    assert models("push", source, "n", "--signing-key", private, storage=other) == f"pushed  {other}/models/n/0001  best\n"
    assert as_json("push", source, "n", storage=other) == {"version": f"{other}/models/n/0001", "is_best": True}
    assert load_generator(str(other / "models/n"), public_key=public).latent_dim == 8


def test_gc_lists_garbage_and_removes_it_with_yes(storage: Path) -> None:
    publish(Registry(open_store(storage)), 6.0, 7.0)
    assert models("gc", storage=storage) == "nothing to remove\n"
    found = as_json("gc", "m", "--keep", "1", "--days", "0", storage=storage)
    assert (found["removed"], [entry["version"] for entry in found["found"]]) == (False, ["0003", "0004"])
    assert "would remove, with --yes, 2" in models("gc", "--keep", "1", "--days", "0", storage=storage)
    assert len(as_json("list", storage=storage)) == 5
    assert "\nremoved 2" in models("gc", "--keep", "1", "--days", "0", "--yes", storage=storage)
    assert [version["version"] for version in as_json("list", storage=storage)] == ["0001", "0002", "0005"]


def test_provenance_of_a_grid_names_its_version(storage: Path, tmp_path: Path) -> None:
    run("generate", storage / "models/m", "--num", "4", "--seed", "9", "--out", tmp_path / "grid.png", "--local")
    assert run("provenance", tmp_path / "grid.png", "--storage", storage).startswith("samples 0 to 3 of m 0002 from seed 9\nfound in ")
    assert json.loads(run("provenance", tmp_path / "grid.png", "--storage", storage, "--json"))["largest_difference"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "m", "0009"],
        ["show", "nothing"],
        ["show", "../m"],
        ["best", "nothing"],
        ["promote", "m", "../../m/0001", "--why", "x"],
        ["rollback", "nothing", "--why", "x"],
        ["delete", "m", "0002", "--why", "x"],
        ["delete", "m", "0001", "--why", "x"],
        ["verify", "m", "x"],
        ["pull", "m", "../0001"],
        ["pull", "m", "../0001", "--offline"],
        ["pull", "m", "--public-key", "/nowhere"],
        ["push", "/nowhere", "n"],
        ["gc", "M!"],
        ["gc", "nothing"],
    ],
    ids=" ".join,
)
def test_a_mistake_costs_a_line_and_changes_nothing(storage: Path, arguments: list[str]) -> None:
    before = {path: path.read_bytes() for path in storage.rglob("*") if path.is_file()}
    with pytest.raises(GanrayError) as caught:
        models(*arguments, storage=storage)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in storage.rglob("*") if path.is_file()} == before
    assert not list(storage.parent.glob("cache/artifacts/*"))
