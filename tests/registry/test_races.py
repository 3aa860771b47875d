"""Many publishers at once, and publishers killed at every step: versions stay whole, the pointer valid, the history complete."""

import os
import random
import signal
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from ganray.registry.alias import BEST, read_best, read_history
from ganray.registry.deletion import Reason, collect, delete_version, plan_collection, plan_leftovers
from ganray.registry.promotion import promote, promote_if_better, rollback
from ganray.registry.registry import Registry
from ganray.registry.verify import damage, verify_model
from ganray.storage import ObjectStore, open_store
from tests.helpers.artifacts import PROTOCOL, artifact, make_keys, never, publish
from tests.helpers.processes import PROCESSES

PUBLISHERS = 8
WRITES = ("write", "write_if_absent", "write_if_unchanged", "delete")


@pytest.fixture(params=["local", "s3"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    return Registry(open_store(request.getfixturevalue("bucket") if request.param == "s3" else tmp_path))


def score_of(publisher: int, number: int) -> float:
    """Return the score of a publisher's version of a round: no two are equal, and they improve now and then."""
    return random.Random(f"{publisher} {number}").uniform(0, 100) / (1 + number)


def publish_rounds(storage: ObjectStore, publisher: int, rounds: int, line: Barrier, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    registry, files = Registry(storage), {number: artifact(score=score_of(publisher, number)) for number in range(rounds)}
    for number in range(rounds):
        line.wait(120)
        version = registry.publish("m", files[number], {"images_seen": number}, key=f"{publisher}-{number}")
        promote_if_better(registry.model("m"), version, score_of(publisher, number), PROTOCOL, rescore=never)


@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.chaos)])
def test_racing_publishers_lose_nothing(registry: Registry, rounds: int) -> None:
    rounds = 20 if "://" not in registry.storage.uri else rounds
    line = PROCESSES.Barrier(PUBLISHERS)
    environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    publishers = [
        PROCESSES.Process(target=publish_rounds, args=(registry.storage, number, rounds, line, environment)) for number in range(PUBLISHERS)
    ]
    for publisher in publishers:
        publisher.start()
    seen = 0
    while any(publisher.is_alive() for publisher in publishers):
        best = read_best(registry.model("m"))
        if best:  # a reader finds a whole version at any time
            assert damage(registry.model("m").child(best.version)) == []
            seen += 1
        time.sleep(0.2)
    assert [publisher.exitcode for publisher in publishers] == [0] * PUBLISHERS
    assert seen > 1
    scores = [score_of(publisher, number) for publisher in range(PUBLISHERS) for number in range(rounds)]
    versions = registry.versions("m")
    assert [version.version for version in versions] == [f"{number:04d}" for number in range(1, len(scores) + 1)]
    assert sorted(version.score for version in versions) == sorted(scores)
    assert read_best(registry.model("m")).score == min(scores)
    events = read_history(registry.model("m"))
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert [event.from_version for event in events[1:]] == [event.to_version for event in events[:-1]]
    assert [event.to_score for event in events] == sorted((event.to_score for event in events), reverse=True)
    assert not [problem for problems in verify_model(registry, "m").values() for problem in problems]
    assert plan_collection(registry, "m", keep=len(scores), older_than_s=0) == []


def publish_until_killed(storage: ObjectStore, model: str, kill_after: int, key: Path | None, environment: dict[str, str]) -> None:
    """Publish a better version and move the best to it; die right after so many writes."""
    os.environ.update(environment)
    die_after(type(storage), kill_after)
    number = Registry(storage).publish(model, artifact(seed=1, score=1.0), {"images_seen": 1}, key="killed", signing_key=key)
    promote_if_better(Registry(storage).model(model), number, 1.0, PROTOCOL, rescore=never)


def die_after(kind: type, writes: int) -> None:
    """Let this process be killed right after it has written so many times to a store of a kind."""
    done = [0]

    def killing(method: object) -> object:
        def call(store: ObjectStore, key: str, *arguments: object) -> object:
            if done[0] == writes:
                os.kill(os.getpid(), signal.SIGKILL)
            result = method(store, key, *arguments)
            done[0] += ".ganray-check" not in key
            return result

        return call

    for name in WRITES:
        setattr(kind, name, killing(getattr(kind, name)))


def run_until_killed(function: object, *arguments: object) -> bool:
    """Run a function in a process of its own, and return whether that was killed; it must not end otherwise badly."""
    process = PROCESSES.Process(target=function, args=arguments)
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def test_a_publisher_killed_at_any_write_leaves_no_half_version_and_a_valid_pointer(registry: Registry, tmp_path: Path) -> None:
    private, public = make_keys(tmp_path)
    environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    kill_after, killed, found_by_gc = 0, True, 0
    while killed:
        model = f"m{kill_after}"
        publish(registry, 5.0, model=model, signing_key=private)
        killed = run_until_killed(publish_until_killed, registry.storage, model, kill_after, private, environment)
        store = registry.model(model)
        assert read_best(store).version in ("0001", "0002")
        assert not [problem for problems in verify_model(registry, model, public_key=public).values() for problem in problems]
        found = plan_collection(registry, model, keep=9, older_than_s=0)
        unfinished = {info.key.split("/")[0] for info in store.list("0")} - {version.version for version in registry.versions(model)}
        assert {removal.version for removal in found} == unfinished
        assert all(removal.why == Reason.UNFINISHED for removal in found)
        found_by_gc += len(found)
        collect(registry, found + plan_leftovers(registry, older_than_s=0), why="gc")
        assert plan_collection(registry, model, keep=9, older_than_s=0) == plan_leftovers(registry, older_than_s=0) == []
        publish_until_killed_never(registry, model, private)
        assert read_best(store).score == 1.0
        assert [event.number for event in read_history(store)] == [1, 2]
        assert not [problem for problems in verify_model(registry, model, public_key=public).values() for problem in problems]
        kill_after += 1
    assert kill_after >= 9
    assert found_by_gc >= 5


def publish_until_killed_never(registry: Registry, model: str, key: Path) -> None:
    """Publish the same again, as a restarted publisher does."""
    number = registry.publish(model, artifact(seed=1, score=1.0), {"images_seen": 1}, key="killed", signing_key=key)
    promote_if_better(registry.model(model), number, 1.0, PROTOCOL, rescore=never)


def keep_until_killed(storage: ObjectStore, kill_after: int) -> None:
    """Promote, roll back and delete; die right after so many writes."""
    die_after(type(storage), kill_after)
    registry = Registry(storage)
    promote(registry, "m", "0003", why="x")
    rollback(registry, "m", why="y")
    delete_version(registry, "m", "0004", why="z", pinned_too=False)


def test_moves_and_deletions_killed_at_any_write_leave_a_valid_pointer_and_a_whole_history(tmp_path: Path) -> None:
    kill_after, killed = 0, True
    while killed:
        registry = Registry(open_store(tmp_path / str(kill_after)))
        publish(registry, 3.0, 2.0, 5.0, 6.0)
        killed = run_until_killed(keep_until_killed, registry.storage, kill_after)
        problems = [problem for found in verify_model(registry, "m").values() for problem in found]
        half_deleted = plan_collection(registry, "m", keep=9, older_than_s=0)
        assert problems == [] or half_deleted
        assert damage(registry.model("m").child(read_best(registry.model("m")).version)) == []
        collect(registry, half_deleted, why="gc")
        assert not [problem for found in verify_model(registry, "m").values() for problem in found]
        assert plan_collection(registry, "m", keep=9, older_than_s=0) == []
        assert read_best(registry.model("m")).deleting == ()
        kill_after += 1
    assert kill_after >= 8
    assert [event.kind for event in read_history(registry.model("m"))] == ["publish", "publish", "promote", "rollback", "delete"]
    assert registry.model("m").read(BEST)
