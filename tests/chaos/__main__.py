"""Random operations on a store over a bad network, each checked against what may be there: `make chaos` for long, tests for a while."""

import argparse
import hashlib
import os
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ganray.errors import GanrayError
from ganray.storage import MissingObject, ObjectStore, open_store
from tests.helpers.faults import Faults, faulty_way_to
from tests.helpers.s3_server import WRITER, running_server

SIZES = (0, 1, 1000, 300_000, 5 << 20)
LARGE = (17 << 20, 40 << 20)  # more than a part: in parallel
KEYS = 6


@dataclass
class Report:
    """What a storm came to. `wrong` must stay 0, and `strange` empty: errors that are no `GanrayError`."""

    operations: Counter = field(default_factory=Counter)
    surfaced: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    def line(self, faults: Faults, seconds: float) -> str:
        """Return the report in a line."""
        return (
            f"{sum(self.operations.values())} operations {dict(self.operations)}, {faults.requests} requests, "
            f"{sum(faults.injected.values())} faults injected {dict(faults.injected)}, {sum(self.surfaced.values())} errors surfaced "
            f"{dict(self.surfaced)}, {len(self.wrong)} wrong, {len(self.strange)} other errors, {seconds:.0f} s"
        )


def storm(store: ObjectStore, folder: Path, *, operations: int, seed: int, report: Report, large_share: float = 0.04) -> None:
    """Do random operations on a few keys that are this call's alone."""
    may_hold: dict[str, set[bytes | None]] = {f"key-{number}": {None} for number in range(KEYS)}  # hashes; None: nothing there
    dice = random.Random(seed)
    for _ in range(operations):
        key = dice.choice(list(may_hold))
        name = dice.choice(["write", "claim", "swap", "read", "read", "download", "delete", "list"])
        if dice.random() < large_share:
            name = "upload"
        report.operations[name] += 1
        try:
            _do(name, store, key, may_hold, folder, dice, report)
        except GanrayError as error:
            report.surfaced[error.problem.rpartition(": ")[2][:60]] += 1
        except Exception as error:
            report.strange.append(f"{name}: {type(error).__name__} {error}")


def _do(
    name: str, store: ObjectStore, key: str, may_hold: dict[str, set[bytes | None]], folder: Path, dice: random.Random, report: Report
) -> None:
    """Carry one operation out. What may be there is widened before, and narrowed once the answer is known."""
    before = set(may_hold[key])
    if name in ("read", "download"):
        _check(name, store, key, before, folder, report)
    elif name == "list":
        there = {info.key for info in store.list()}
        for other, held in may_hold.items():
            if None not in held and other not in there:
                report.wrong.append(f"list: {other} is missing")
    elif name == "delete":
        may_hold[key] = before | {None}
        store.delete(key)
        may_hold[key] = {None}
    else:
        _write(name, store, key, may_hold, folder, dice, report)


def _write(
    name: str, store: ObjectStore, key: str, may_hold: dict[str, set[bytes | None]], folder: Path, dice: random.Random, report: Report
) -> None:
    data = dice.randbytes(dice.choice(LARGE if name == "upload" else SIZES)) + dice.randbytes(8)
    new, before = hashlib.sha256(data).digest(), set(may_hold[key])
    may_hold[key] = before | {new}
    if name == "upload":
        path = folder / "upload"
        path.write_bytes(data)
        store.upload(path, key)
    elif name == "write":
        store.write(key, data)
    elif name == "claim":
        if not store.write_if_absent(key, data):
            may_hold[key] = before - {None}
            if before == {None}:
                report.wrong.append("claim: lost where nobody was")
            return
        if None not in before:
            report.wrong.append("claim: won where something was")
    else:
        try:
            held, tag = store.read_tagged(key)
        except MissingObject:
            may_hold[key] = {None}
            if None not in before:
                report.wrong.append("swap: nothing there")
            return
        if not store.write_if_unchanged(key, data, tag):
            report.wrong.append("swap: lost where nobody else was")
            return
        if hashlib.sha256(held).digest() not in before:
            report.wrong.append("swap: read what was never written")
    may_hold[key] = {new}


def _check(name: str, store: ObjectStore, key: str, before: set[bytes | None], folder: Path, report: Report) -> None:
    try:
        if name == "read":
            found = hashlib.sha256(store.read(key)).digest()
        else:
            told = store.download(key, folder / "download")
            found = hashlib.sha256((folder / "download").read_bytes()).digest()
            if told != found.hex():
                report.wrong.append("download: another hash than it says")
    except MissingObject:
        found = None
    if found not in before:
        report.wrong.append(f"{name}: {'nothing' if found is None else 'wrong bytes'}")


def run(url: str, bucket: str, folder: Path, *, operations: int, threads: int, seed: int, one_in: float) -> tuple[Report, Faults, float]:
    """Let threads storm a bucket through a bad network, and return what came of it."""
    report, faults, start = Report(), Faults(one_in=one_in, seed=seed), time.monotonic()
    with faulty_way_to(url, faults) as way, ThreadPoolExecutor(threads) as pool:
        store = open_store(f"s3://{bucket}/chaos-{seed}?endpoint_url={way}")
        storms = []
        for number in range(threads):
            own = folder / str(number)
            own.mkdir()
            part = operations // threads
            below = store.child(str(number))
            storms.append(pool.submit(storm, below, own, operations=part, seed=seed * 100 + number, report=report))
        for done in storms:
            done.result()
    return report, faults, time.monotonic() - start


def main() -> None:
    """Storm a server of one's own, and print the figures; exit with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=4000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--one-in", type=float, default=8)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server:
        os.environ.update(server.environment(WRITER))
        server.client().create_bucket(Bucket="chaos")
        sizes = {"operations": arguments.operations, "threads": arguments.threads, "seed": arguments.seed, "one_in": arguments.one_in}
        report, faults, seconds = run(server.endpoint_url, "chaos", Path(folder), **sizes)
    print(report.line(faults, seconds))
    for line in report.wrong + report.strange:
        print(line)
    sys.exit(bool(report.wrong or report.strange))


if __name__ == "__main__":
    main()
