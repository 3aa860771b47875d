"""What chaos and soak would notice: registries that do not hold what was reported, and figures that grow."""

import itertools
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ganray.registry.manifest import GENERATOR, read_manifest
from ganray.registry.promotion import promote
from ganray.registry.registry import Registry
from tests.chaos.cluster import figures
from tests.chaos.kills import KILLS, shuffled
from tests.chaos.rounds import RUN, Outcome, Round, registry_problems
from tests.chaos.soak import growth_of
from tests.helpers.artifacts import artifact, publish
from tests.helpers.runs import flip_last_byte


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """The registry of a run that published two versions, the second of which is better."""
    registry = Registry.open(tmp_path)
    publish(registry, 3.0, 2.0, model=RUN)
    return registry


@pytest.fixture
def outcome(registry: Registry) -> Outcome:
    return Outcome("state", read_manifest(registry.model(RUN).child("0002")).files[GENERATOR].sha256)


def problems(registry: Registry, outcome: Outcome, *also: str, final: str = "0002") -> list[str]:
    uris = {registry.model(RUN).child(number).uri for number in ("0001", "0002", *also)}
    return registry_problems(Round("r"), registry, outcome, uris, registry.model(RUN).child(final).uri)


def test_a_registry_that_holds_what_was_reported_has_no_problems(registry: Registry, outcome: Outcome) -> None:
    assert problems(registry, outcome) == []


def test_a_version_that_is_missing_is_noticed(registry: Registry, outcome: Outcome) -> None:
    (found,) = problems(registry, outcome, "0003")
    assert "models/tiny/0003 was reported as published, and is not there" in found


def test_a_version_that_is_damaged_is_noticed(registry: Registry, outcome: Outcome, tmp_path: Path) -> None:
    flip_last_byte(tmp_path / "models/tiny/0001/generator.safetensors")
    assert any("0001: " in problem for problem in problems(registry, outcome))


def test_a_generator_that_was_published_twice_is_noticed(registry: Registry, outcome: Outcome) -> None:
    registry.publish(RUN, artifact(seed=20, score=2.0, contrast=8.0), {"images_seen": 1}, key="again")
    assert any("published twice" in problem for problem in problems(registry, outcome))


def test_another_best_is_noticed(registry: Registry, outcome: Outcome) -> None:
    assert problems(registry, outcome, final="0001") == ["the version that was reported last is not the best generator"]
    assert problems(registry, replace(outcome, generator="other")) == ["the version that was reported last is not the best generator"]
    promote(registry, RUN, "0001", why="a test")
    assert any("the best alias is not at the best score" in problem for problem in problems(registry, outcome))


def test_each_kind_is_killed_before_any_is_killed_again_and_a_seed_repeats_it() -> None:
    kinds = list(KILLS)
    first, second = (list(itertools.islice(shuffled(random.Random(5), kinds), 3 * len(kinds))) for _ in range(2))
    assert first == second
    assert all(sorted(first[start : start + len(kinds)]) == sorted(kinds) for start in range(0, len(first), len(kinds)))


def test_figures_are_sums_that_name_what_is_wrong() -> None:
    rounds = [Round("a", Counter(worker=2), drivers=1, recoveries=2, images_again=5), Round("b", Counter(worker=1, driver=1), drivers=2)]
    rounds[1].leaks.append("actor X is ALIVE")
    found = figures(rounds, seed=1)
    assert (found["kills"], found["all_kills"], found["drivers"], found["images_again"]) == ({"worker": 3, "driver": 1}, 4, 3, 5)
    assert (found["wrong"], found["leaks"]) == ([], ["b: actor X is ALIVE"])
    assert [json.loads(json.dumps(each.to_json()))["kills"] for each in rounds] == [{"worker": 2}, {"worker": 1, "driver": 1}]


def test_growth_is_what_the_last_third_has_more_than_the_middle() -> None:
    flat = [{"driver threads": 10.0 + number % 2} for number in range(30)]
    assert not growth_of(flat)["driver threads"]["grew"]
    rising = [{"driver threads": 10.0 + number} for number in range(30)]
    assert growth_of(rising)["driver threads"] == {"middle": 24.5, "last": 34.5, "grew": True}
