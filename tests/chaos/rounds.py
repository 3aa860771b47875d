"""A round of chaos: one run, killed at random until its kills are used up, and what is wrong with what it ended with."""

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from ganray.registry.manifest import read_manifest
from ganray.registry.registry import Registry
from ganray.registry.verify import verify_model
from ganray.runs.checkpoint import GENERATOR, STATE
from ganray.runs.event_log import EventKind, recoveries
from ganray.runs.run import Run
from ganray.storage import open_store
from tests.chaos.kills import KILLS
from tests.chaos.run_cluster import BUCKET, GIVEN_UP, RunCluster

RUN = "tiny"
JOB = ["train.total_images=19200", "train.checkpoint_every=800", "evaluate.every=6400", "publish.every=6400", "train.max_failures=1000"]
LARGE = "networks.latent_dim=1200"  # states of more than a part, which are uploaded as several
PAUSE_S = (0.0, 6.0)  # before a kill, once training goes on
HASTY = 0.3  # of kills do not wait for that: they meet a run that is still recovering
LOOK_EVERY_S = 0.5
SILENT_S = 300.0  # without a checkpoint or a start of workers, after which a run counts as hanging
LEFT_S = 30.0  # for all that a run had to be gone after its end


class Wrong(Exception):
    """A run that hangs, or that ended as none may."""


@dataclass
class Round:
    """What a round came to. `wrong` and `leaks` must be empty."""

    name: str
    kills: Counter[str] = field(default_factory=Counter)
    drivers: int = 0
    gave_up: int = 0  # drivers that ended by themselves, with the code for the environment
    recoveries: int = 0
    images_again: int = 0
    seconds: float = 0.0
    versions: int = 0
    wrong: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**vars(self), "kills": dict(self.kills)}


@dataclass(frozen=True)
class Outcome:
    """Hashes of what a run ended with: its training state, and its best generator."""

    state: str
    generator: str


def storage_of(name: str) -> str:
    """Return the storage that a round has for itself, so that its data is prepared under fire, too."""
    return f"s3://{BUCKET}/{name}"


def outcome_of(name: str) -> Outcome:
    """Return what the run of a round ended with."""
    run = Run(open_store(storage_of(name)), f"runs/{RUN}")
    latest = run.checkpoints.latest()
    assert latest is not None
    return Outcome(latest.files[STATE].sha256, run.checkpoints.best().files[GENERATOR].sha256)


def unbroken(cluster: RunCluster, name: str, job: list[str]) -> Outcome:
    """Train a run that nothing happens to, and return what it ended with."""
    train(cluster, Round(name), job, iter(()), random.Random(0))
    return outcome_of(name)


def play(cluster: RunCluster, name: str, job: list[str], kinds: Iterator[str], dice: random.Random, reference: Outcome) -> Round:
    """Train a run through kills of some kinds, and return what came of it, beside an unbroken one's outcome."""
    played, start, first = Round(name), time.monotonic(), cluster.num_drivers
    reported: set[str] = set()
    try:
        train(cluster, played, job, kinds, dice, reported)
        played.wrong += check(played, name, reference, reported, printed(cluster))
    except Wrong as error:
        played.wrong.append(str(error))
        cluster.end_driver()
    played.leaks = leaks_within(cluster, LEFT_S)
    played.drivers, played.seconds = cluster.num_drivers - first, round(time.monotonic() - start, 1)
    return played


def train(
    cluster: RunCluster, played: Round, job: list[str], kinds: Iterator[str], dice: random.Random, reported: set[str] | None = None
) -> None:
    """Have a run trained to its end, by one driver after another. `reported` collects the versions that they log as published."""
    arguments = [*job, f"storage={storage_of(played.name)}"]
    cluster.start_driver(arguments)
    watch, kind = Watch(played.name), next(kinds, None)
    kill_at = time.monotonic() + dice.uniform(*PAUSE_S)
    while True:
        time.sleep(LOOK_EVERY_S)
        assert cluster.driver
        watch.look()
        if (code := cluster.driver.poll()) is not None:
            if reported is not None:
                reported |= {line.split()[1] for line in cluster.messages().splitlines() if line.startswith("published ")}
            if code == 0:
                return
            if code not in (GIVEN_UP, -signal.SIGKILL):
                raise Wrong(f"a driver ended with {code}: {cluster.messages()[-2000:]}")
            played.gave_up += code == GIVEN_UP
            cluster.start_driver(arguments)
        elif kind and watch.trains_since_kill and time.monotonic() > kill_at and KILLS[kind](cluster, dice):
            played.kills[kind] += 1
            kind = next(kinds, None)
            kill_at = time.monotonic() + dice.uniform(*PAUSE_S)
            watch.trains_since_kill = dice.random() < HASTY
            watch.seen_at = time.monotonic()


class Watch:
    """Watches a run's record for signs of life: starts of workers, and checkpoints."""

    def __init__(self, name: str) -> None:
        self.store = open_store(storage_of(name)).child(f"runs/{RUN}")
        self.signs = 0
        self.seen_at = time.monotonic()
        self.trains_since_kill = True

    def look(self) -> None:
        """Look once. Raises `Wrong` after a long silence."""
        with suppress(Exception):  # of a server that is away
            keys = [info.key for info in self.store.list("events/")]
            signs = sum(f"-{kind}" in key for key in keys for kind in (EventKind.TRAINING, EventKind.CHECKPOINT))
            if signs > self.signs:
                self.signs, self.seen_at, self.trains_since_kill = signs, time.monotonic(), True
        if time.monotonic() - self.seen_at > SILENT_S:
            raise Wrong(f"nothing was trained for {SILENT_S:.0f} s")


def printed(cluster: RunCluster) -> dict[str, Any]:
    """Return what the last driver printed."""
    text = cluster.output()
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        raise Wrong(f"a driver printed no JSON: {text[:2000]!r}, {cluster.messages()[-2000:]!r}") from None
    return found


def check(played: Round, name: str, reference: Outcome, reported: set[str], result: dict[str, Any]) -> list[str]:
    """Return what is wrong with what a run ended with, published and reported."""
    storage = open_store(storage_of(name))
    events, outcome = Run(storage, f"runs/{RUN}").events(), outcome_of(name)
    found = recoveries(events)
    played.recoveries, played.images_again = int(found["recoveries"]), int(found["images_again"])
    problems = [f"another {what} than the unbroken run's" for what, hash in asdict(outcome).items() if hash != asdict(reference)[what]]
    reported = reported | {event.details["version"] for event in events if event.kind == EventKind.PUBLISH} | {result["version"]}
    return problems + registry_problems(played, Registry(storage), outcome, reported, result["version"])


def registry_problems(played: Round, registry: Registry, outcome: Outcome, reported: set[str], final: str) -> list[str]:
    """Return what is wrong with the model that a run has published: damage, versions that are missing or there twice, another best."""
    versions = registry.versions(RUN)
    played.versions = len(versions)
    stores = {version.uri: registry.model(RUN).child(version.version) for version in versions}
    hashes = {uri: read_manifest(store).files[GENERATOR].sha256 for uri, store in stores.items()}
    problems = [f"{part}: {problem}" for part, found in verify_model(registry, RUN).items() for problem in found]
    problems += [f"{uri} was reported as published, and is not there" for uri in reported - hashes.keys()]
    if len(set(hashes.values())) < len(hashes):
        problems.append(f"a generator was published twice: {hashes}")
    if hashes.get(final) != outcome.generator:
        problems.append("the version that was reported last is not the best generator")
    best = [version for version in versions if version.is_best]
    if not best or best[0].score != min(version.score for version in versions if version.score is not None):
        problems.append(f"the best alias is not at the best score: {[(version.version, version.score) for version in versions]}")
    return problems


def leaks_within(cluster: RunCluster, seconds: float) -> list[str]:
    """Return what is left of a run after some seconds, as soon as it is nothing."""
    until = time.monotonic() + seconds
    while (found := cluster.leaks()) and time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)
    return found
