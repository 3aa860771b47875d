"""What a look at a source of encoded samples found, and the draft of a job for it."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from ganray.config import FolderSource, ParquetSource
from ganray.data.card import SkippedSample
from ganray.errors import DataError
from ganray.scaffold.draft import Classes, Draft, Entry, Machine, bad_fraction, run_entries

THREADS = 8

Progress = Callable[[int, int], None]
Content = tuple[str, bytes | None, str | None]  # of a sample: its name, its bytes, and why there are none


class Look(Protocol):
    """What a look at a sample found; `problem` is why it cannot be decoded."""

    @property
    def problem(self) -> str | None:
        """Why it cannot be decoded, None if it can."""


L = TypeVar("L", bound=Look)


@dataclass(frozen=True)
class Looked(Generic[L]):
    """What a source is. `looks` are at some of its samples, or all; `broken` names those of them that cannot be decoded."""

    source: FolderSource | ParquetSource
    count: int
    classes: Classes
    left_out: int
    looks: list[L]
    broken: list[SkippedSample]
    notes: list[str]

    def whole(self, noun: str, remedy: str) -> list[L]:
        """Return the looks at samples that can be decoded. Raises `DataError` if there are none."""
        if found := [look for look in self.looks if look.problem is None]:
            return found
        reason = f" ({self.broken[0].reason})" if self.broken else ""
        problem = f"none of the {len(self.looks):,} {noun}s of {self.source.path} that were looked at can be used{reason}"
        raise DataError("PATH", problem, remedy)

    def source_entry(self, noun: str) -> Entry:
        """Return the field of the source."""
        fields = self.source.model_dump(mode="json", exclude_unset=True) | {"kind": self.source.kind}
        return Entry("data.source", fields, f"{self.count:,} {noun}s")


def look_at_each(
    contents: Iterable[Content], look: Callable[[bytes | None, str | None], L], *, total: int, progress: Progress | None
) -> tuple[list[L], list[SkippedSample]]:
    """Return a look at each sample, and those that cannot be decoded by name; a few of them at a time are in memory."""
    looks, broken, remaining = list[L](), list[SkippedSample](), iter(contents)
    with ThreadPoolExecutor(THREADS) as threads:
        while batch := list(islice(remaining, 4 * THREADS)):
            found = threads.map(lambda content: look(content[1], content[2]), batch)
            for (name, _, _), one in zip(batch, found, strict=True):
                looks.append(one)
                if one.problem is not None:
                    broken.append(SkippedSample(name=name, reason=one.problem))
            if progress:
                progress(len(looks), total)
    return looks, broken


def draft_looked(
    found: Looked[Any],
    machine: Machine,
    noun: str,
    *,
    data: Iterable[Entry],
    recipe: Iterable[Entry],
    facts: dict[str, Any],
    name: str,
    storage: str,
) -> Draft:
    """Return a job for samples that were looked at: its fields on the `data` and the `recipe` stand between those of every job."""
    entries = [*run_entries(machine, name, storage), *data, *bad_fraction(found.broken, len(found.looks)), *recipe]
    known = {
        f"{noun}s": found.count,
        "looked at": len(found.looks),
        "cannot be used": len(found.broken),
        "other files": found.left_out,
        **facts,
        "classes": found.classes.summary(noun),
    }
    looked_at = f"{len(found.looks):,} of {found.count:,} {noun}s"
    return Draft([*entries, Entry("publish.model", name)], known, looked_at, found.notes)


def spread(count: int, most: int) -> list[int]:
    """Return the indices of at most `most` of `count` things, evenly spread."""
    return list(range(count)) if count <= most else [index * count // most for index in range(most)]
