"""The errors that ganray raises on purpose: one line each that names the field, the problem and the remedy."""

import re
from collections.abc import Sequence
from typing import ClassVar

CREDENTIALS = re.compile(  # the user information of a URI, which may have lost a slash as a path, and settings that are secret
    r"(?P<start>:/{1,2}|%3A%2F%2F)[^/?#\s'\"]+(@|%40)|(?P<setting>[?&]\w*(secret|token|password|access_key)\w*=)[^&\s'\"]*", re.IGNORECASE
)


class GanrayError(Exception):
    """Something that the user of ganray has to change; a defect of ganray is any other exception.

    `field` is what the user can point at (a dotted path of the job file, an option, a file), `problem` what is wrong with it,
    and `remedy` what would be right; credentials in a URI are left out. The command line prints them as one line, in which names from
    outside cannot control a terminal, and exits with `exit_code`. One that `is_transient` may pass by itself, so that what met it is
    tried again. One that `depends_on_process` comes of what the process that raised it has, as credentials are: another one may do
    without it.
    """

    exit_code: ClassVar[int] = 2
    is_transient: ClassVar[bool] = False
    depends_on_process = False

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        self.field, self.problem, self.remedy = map(without_credentials, (field, problem, remedy))
        super().__init__(self.field, self.problem, self.remedy)

    def __str__(self) -> str:
        return printable(" ".join(f"{self.field}: {self.problem}; {self.remedy}".split()))


class ConfigError(GanrayError):
    """A job file, an override, an option or a name that cannot be used as it stands."""


class DataError(GanrayError):
    """Samples that are missing, unreadable, or not what the job says of them."""


class ArtifactError(GanrayError):
    """A published generator that is missing, damaged, unsigned, or not what it claims to be."""


class StorageError(GanrayError):
    """A folder or bucket that cannot be read or written: rights, credentials, network, disk space."""

    exit_code = 3
    is_transient = True


class StorageRefused(StorageError):
    """A file system that refuses to read or write: rights, disk space, or a path through a file. No other try mends it."""

    is_transient = False


class ClusterError(GanrayError):
    """A Ray cluster that does not answer, has too few resources, or lost workers too often."""

    exit_code = 3
    is_transient = True


class ClusterUnusable(ClusterError):
    """A node of a cluster that cannot do what is asked of it, as one whose torch cannot use its GPUs. No other try mends it."""

    is_transient = False


class TrackerError(GanrayError):
    """A tracker that does not answer, or refuses what it is sent."""

    exit_code = 3
    is_transient = True


class RunLocked(GanrayError):
    """A run or sweep that another driver holds, or has taken over."""

    exit_code = 3


class TrainingDiverged(GanrayError):
    """A training that ended with no generator worth publishing: it diverged, collapsed, or never had a finite score."""

    exit_code = 4


def without_credentials(text: str) -> str:
    """Return a text in which credentials within URIs are dots."""
    return CREDENTIALS.sub(lambda found: f"{found['start']}...@" if found["start"] else f"{found['setting']}...", text)


def printable(text: str) -> str:
    """Return a text, which may be of untrusted origin, without what a terminal would take for a command: that is escaped."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def plural(number: float, noun: str) -> str:
    """Return a count and its noun as a message has them: "1 worker", "2 workers", "60,000 samples"."""
    return f"{number:,.12g} {noun}{'' if number == 1 else 's'}"


def enumerated(names: Sequence[str], *, last: str = "and") -> str:
    """Return names as a message has them: "a, b and c"."""
    *first, final = names
    return f"{', '.join(first)} {last} {final}" if first else final
