"""The best alias moved by hand, its history, and deletion: what is promised of them on a folder and on a bucket."""

from pathlib import Path

import pytest

from ganray.errors import GanrayError
from ganray.registry.alias import BEST, HISTORY, read_best, read_history
from ganray.registry.deletion import Reason, collect, delete_version, plan_collection, plan_leftovers
from ganray.registry.manifest import find_manifest
from ganray.registry.promotion import promote, promote_if_better, rollback
from ganray.registry.registry import Registry
from ganray.registry.verify import verify_model
from ganray.storage import open_store
from tests.helpers.artifacts import PROTOCOL, artifact, never, publish


@pytest.fixture(params=["local", "s3"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    return Registry(open_store(request.getfixturevalue("bucket") if request.param == "s3" else tmp_path))


@pytest.fixture
def folder(tmp_path: Path) -> Registry:
    return Registry(open_store(tmp_path))


def best(registry: Registry) -> str:
    return read_best(registry.model("m")).version


def test_moves_leave_a_history_in_order(registry: Registry) -> None:
    publish(registry, 3.0, 2.0, 5.0)
    promote(registry, "m", "0003", why="sharper")
    rollback(registry, "m", why="it repeats itself")
    events = read_history(registry.model("m"))
    assert [(event.number, event.kind, event.from_version, event.to_version) for event in events] == [
        (1, "publish", None, "0001"),
        (2, "publish", "0001", "0002"),
        (3, "promote", "0002", "0003"),
        (4, "rollback", "0003", "0002"),
    ]
    assert [(event.from_score, event.to_score) for event in events] == [(None, 3.0), (3.0, 2.0), (2.0, 5.0), (5.0, 2.0)]
    assert [event.why for event in events[2:]] == ["sharper", "it repeats itself"]
    assert all("@" in event.who and event.when.endswith("+00:00") for event in events)
    assert verify_model(registry, "m") == {"0001": [], "0002": [], "0003": [], "best": []}


def test_rollbacks_go_back_further_each_and_end(folder: Registry) -> None:
    publish(folder, 3.0, 2.0, 1.0)
    assert [rollback(folder, "m", why="x").version for _ in range(2)] == ["0002", "0001"]
    with pytest.raises(GanrayError, match="has no earlier version"):
        rollback(folder, "m", why="x")
    promote(folder, "m", "0003", why="after all")
    assert rollback(folder, "m", why="x").version == "0001"


def test_a_publication_that_is_replayed_undoes_no_rollback(folder: Registry) -> None:
    publish(folder, 3.0, 2.0)
    rollback(folder, "m", why="artefacts")
    assert not promote_if_better(folder.model("m"), "0002", 2.0, PROTOCOL, rescore=never)
    assert best(folder) == "0001"
    publish(folder, 2.5)
    assert best(folder) == "0003"


def test_an_event_that_a_killed_process_did_not_file_is_in_the_history_all_the_same(folder: Registry, tmp_path: Path) -> None:
    publish(folder, 3.0, 2.0)
    (tmp_path / "models/m/history/000002.json").unlink()
    assert [event.number for event in read_history(folder.model("m"))] == [1, 2]
    publish(folder, 1.0)
    assert sorted(path.name for path in (tmp_path / "models/m/history").glob("*.json")) == ["000001.json", "000002.json", "000003.json"]


def test_an_alias_from_before_there_was_a_history_is_read_and_moved(folder: Registry) -> None:
    publish(folder, 3.0, 2.0)
    store = folder.model("m")
    for info in store.list(HISTORY):
        store.delete(info.key)
    store.write(BEST, b'{"version": "0002", "score": 2.0, "protocol": {"metric": "metric/frechet"}, "moved": 1.0}')
    promote(folder, "m", "0001", why="x")
    assert rollback(folder, "m", why="y").version == "0002"


@pytest.mark.parametrize(
    ("number", "message"),
    [("0002", "the best already"), ("0009", "no published"), ("../m/0001", "invalid version"), ("1", "invalid version")],
)
def test_what_cannot_be_promoted_is_refused(folder: Registry, number: str, message: str) -> None:
    publish(folder, 3.0, 2.0)
    with pytest.raises(GanrayError, match=message):
        promote(folder, "m", number, why="x")
    assert len(read_history(folder.model("m"))) == 2


def test_a_damaged_version_is_not_promoted(folder: Registry, tmp_path: Path) -> None:
    publish(folder, 2.0, 3.0)
    (tmp_path / "models/m/0002/config.json").write_text("{}")
    with pytest.raises(GanrayError, match="0002 is damaged"):
        promote(folder, "m", "0002", why="x")


def test_a_deleted_version_is_gone_and_its_number_with_it(registry: Registry) -> None:
    publish(registry, 1.0, 2.0)
    delete_version(registry, "m", "0002", why="blurred", pinned_too=False)
    assert [version.version for version in registry.versions("m")] == ["0001"]
    model = registry.model("m")
    assert [info.key.split("-")[0] for info in model.list("0002/")] == ["0002/claim", "0002/claim.json", "0002/manifest.json"]
    with pytest.raises(GanrayError, match=r"was deleted by \S+@\S+: blurred"):
        promote(registry, "m", "0002", why="x")
    assert publish(registry, 2.0) == ["0003"]
    event = read_history(model)[-1]
    assert (event.kind, event.versions, event.to_version) == ("delete", ("0002",), "0001")
    assert read_best(model).deleting == ()
    assert verify_model(registry, "m")["best"] == []


def test_neither_the_best_nor_what_history_names_is_deleted_by_mistake(folder: Registry) -> None:
    publish(folder, 3.0, 2.0)
    with pytest.raises(GanrayError, match="is the best"):
        delete_version(folder, "m", "0002", why="x", pinned_too=True)
    with pytest.raises(GanrayError, match="the history of model 'm' names 0001"):
        delete_version(folder, "m", "0001", why="x", pinned_too=False)
    delete_version(folder, "m", "0001", why="x", pinned_too=True)
    assert [version.version for version in folder.versions("m")] == ["0002"]
    with pytest.raises(GanrayError, match="has no earlier version that still exists"):
        rollback(folder, "m", why="x")


def test_nothing_moves_to_a_version_whose_deletion_was_announced(folder: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(folder, 1.0, 2.0)
    with monkeypatch.context() as patch:
        patch.setattr("ganray.registry.deletion.replace_by_tombstone", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            delete_version(folder, "m", "0002", why="x", pinned_too=False)
    with pytest.raises(GanrayError, match="is missing, or was deleted"):
        promote(folder, "m", "0002", why="x")
    (removal,) = plan_collection(folder, "m", keep=9, older_than_s=0)
    assert (removal.version, removal.why) == ("0002", Reason.DELETING)
    collect(folder, [removal], why="gc")
    assert plan_collection(folder, "m", keep=0, older_than_s=0) == []
    assert read_best(folder.model("m")).deleting == ()


def test_gc_takes_what_nothing_points_to_by_age_and_count(registry: Registry) -> None:
    publish(registry, 3.0, 4.0, 2.0, 5.0, 6.0, 7.0)
    assert plan_collection(registry, "m", keep=0, older_than_s=3600) == []
    found = plan_collection(registry, "m", keep=2, older_than_s=0)
    assert [(removal.version, removal.why) for removal in found] == [("0002", Reason.UNREFERENCED), ("0004", Reason.UNREFERENCED)]
    assert all(removal.size > 10_000 for removal in found)
    assert len(registry.versions("m")) == 6
    promote(registry, "m", "0004", why="since the plan was made")
    collect(registry, found, why="gc")
    assert [version.version for version in registry.versions("m")] == ["0001", "0003", "0004", "0005", "0006"]
    assert best(registry) == "0004"


def test_gc_finds_unfinished_versions_and_keeps_those_that_are_finished_meanwhile(folder: Registry, tmp_path: Path) -> None:
    publish(folder, 1.0)
    for number in ("0002", "0003"):
        folder.model("m").child(number).write("claim.json", b'{"key": "' + number.encode() + b'"}')
        folder.model("m").child(number).write("config.json", b"{}")
    found = plan_collection(folder, "m", keep=0, older_than_s=0)
    assert [(removal.version, removal.why) for removal in found] == [("0002", Reason.UNFINISHED), ("0003", Reason.UNFINISHED)]
    (tmp_path / "models/m/0003/config.json").unlink()
    assert folder.publish("m", artifact(), {}, key="0003") == "0003"
    collect(folder, found, why="gc")
    assert [version.version for version in folder.versions("m")] == ["0001", "0003"]


def test_a_publisher_that_was_taken_for_dead_publishes_another_version(folder: Registry) -> None:
    store = folder.model("m").child("0001")
    store.write("claim.json", b'{"key": "slow"}')
    collect(folder, plan_collection(folder, "m", keep=0, older_than_s=0), why="gc")
    assert find_manifest(store).deleted
    assert folder.publish("m", artifact(), {}, key="slow") == "0002"
    assert [version.version for version in folder.versions("m")] == ["0002"]


def test_uploads_that_never_ended_are_found_and_removed(registry: Registry) -> None:
    publish(registry, 1.0)
    leave_half_an_upload(registry)
    (removal,) = plan_leftovers(registry, older_than_s=0)
    assert removal.model == "m"
    assert plan_leftovers(registry, older_than_s=3600) == []
    collect(registry, [removal], why="gc")
    assert plan_leftovers(registry, older_than_s=0) == []
    assert verify_model(registry, "m") == {"0001": [], "best": []}


def leave_half_an_upload(registry: Registry) -> None:
    """Do what a killed writer has done."""
    store = registry.model("m").child("0001")
    if "://" not in store.uri:
        Path(store.root, ".tmp-0123").write_bytes(b"half")
        return
    client, prefix = store.connection.client, store.root.partition("/")[2]
    upload = client.create_multipart_upload(Bucket=store.bucket, Key=f"{prefix}/generator.safetensors")
    client.upload_part(Bucket=store.bucket, Key=upload["Key"], UploadId=upload["UploadId"], PartNumber=1, Body=b"half")
