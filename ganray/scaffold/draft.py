"""The draft of a job file: its fields with their reasons, and what was found in the source that they are for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from ganray.config.reading.places import JOBS
from ganray.data.card import SkippedSample
from ganray.errors import plural

MIN_CLASS = 50  # samples of a class that a conditional generator learns it from
MAX_CLASSES = 1_000
MIN_BAD_FRACTION = 0.001
SECTIONS = ("networks", "loss", "penalties", "optimizer", "train", "evaluate")  # of a job, those that are not about its data


@dataclass(frozen=True)
class Machine:
    """What the job is for: the number of GPUs of this machine, 0 without."""

    gpus: int


class Entry(NamedTuple):
    """A field of a job file: its path, its value, and why it is so, "" where it needs no reason."""

    path: str
    value: Any
    why: str = ""


@dataclass(frozen=True)
class Draft:
    """The fields of a job, in the order of a job file. `facts` are what was found, `looked_at` says of how much of the source."""

    entries: list[Entry]
    facts: dict[str, Any]
    looked_at: str
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Classes:
    """The classes of a source: the number of samples of each by name, {} without, and how many samples have none."""

    counts: dict[str, int]
    unlabelled: int

    def summary(self, noun: str) -> str:
        """Return how many there are, and of how many samples."""
        numbers = self.counts.values()
        known = f"{len(numbers):,}, of {min(numbers):,} to {max(numbers):,} {noun}s" if numbers else "none"
        return known + (f", {self.unlabelled:,} {noun}s without" if numbers and self.unlabelled else "")

    def conditional(self, noun: str) -> tuple[bool, str]:
        """Return whether to generate by class, and why."""
        counts, total = self.counts, sum(self.counts.values()) + self.unlabelled
        if len(counts) < 2:
            return False, "there are no classes"
        if self.unlabelled:
            return False, f"{plural(self.unlabelled, noun)} of {total:,} without a class"
        smallest, largest = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        if len(counts) > MAX_CLASSES:
            return False, f"{len(counts):,} classes are too many to learn each"
        if counts[smallest] < MIN_CLASS:
            return False, f"class {smallest[:40]!r} has {plural(counts[smallest], noun)}, too few to learn it from"
        balance = f"{counts[smallest]:,} ({smallest[:40]}) to {counts[largest]:,} ({largest[:40]})"
        alike = counts[smallest] == counts[largest]
        sizes = f"{counts[smallest]:,} {noun}s each" if alike else f"of {balance} {noun}s, and generated as often"
        return True, f"{len(counts):,} classes, {sizes}"


def run_entries(machine: Machine, name: str, storage: str) -> Iterator[Entry]:
    """Yield the fields of the run itself."""
    yield Entry("name", name, "the same name in the same storage resumes")
    yield Entry("seed", 0)
    yield Entry("storage", storage, "a folder, or s3://bucket/prefix")
    yield Entry("workers", max(machine.gpus, 1), plural(machine.gpus, "GPU") if machine.gpus else "no GPU here; one process")


def bad_fraction(broken: Sequence[SkippedSample], num_looks: int) -> Iterator[Entry]:
    """Yield the fraction of samples that may be unreadable, if any of those that were looked at are."""
    if broken:
        fraction = max(MIN_BAD_FRACTION, round(min(2 * len(broken) / num_looks + 3 / num_looks, 1), 4))
        why = f"{len(broken):,} of {num_looks:,} cannot be decoded, such as {broken[0].name[:60]} ({broken[0].reason[:80]})"
        yield Entry("data.max_bad_fraction", fraction, why)


def shipped(job: str, replaced: Mapping[str, tuple[Any, str]], *, left_out: Sequence[str] = ()) -> Iterator[Entry]:
    """Yield the fields of a job file that ships with ganray, but for run, data and publication.

    `replaced` are other values for some, or reasons for their own (value None), by path. `left_out` are paths that have their defaults.
    """
    content = yaml.safe_load((JOBS / job).read_text())
    for section in SECTIONS:
        fields = content[section] if isinstance(content[section], dict) else {"": content[section]}
        for key, value in fields.items():
            path = f"{section}.{key}".rstrip(".")
            other, why = replaced.get(path, (None, ""))
            if path not in left_out:
                yield Entry(path, value if other is None else other, why or (f"as in jobs/{job}" if path == "networks.kind" else ""))
