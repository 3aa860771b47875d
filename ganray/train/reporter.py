"""Where a long command shows its progress. Lines for the user go through `logging` instead."""

import logging
from collections.abc import Callable
from typing import Any, Protocol

logger = logging.getLogger(__name__)


class Reporter(Protocol):
    """Shows how far a run or a sweep is."""

    def stage(self, title: str) -> None:
        """A new stage of the work begins."""

    def advance(self, done: int, total: int) -> None:
        """The stage has done `done` of `total`."""

    def update(self, snapshot: Any) -> None:
        """What the work itself shows: the newest metrics of a run by name, or the trials of a sweep."""


class LogReporter:
    """Writes stages to the log, for programs that keep one and print nothing."""

    def stage(self, title: str) -> None:
        """Log the stage."""
        logger.info("%s", title)

    def advance(self, done: int, total: int) -> None:
        """Log how far the stage is, for debugging."""
        logger.debug("%d of %d", done, total)

    def update(self, snapshot: Any) -> None:
        """Log the snapshot, for debugging."""
        logger.debug("%s", snapshot)


class SnapshotReporter:
    """Hands snapshots on, and shows no stages: they are not the user's."""

    def __init__(self, take: Callable[[Any], None]) -> None:
        self.take = take

    def stage(self, title: str) -> None:
        """Show nothing."""

    def advance(self, done: int, total: int) -> None:
        """Show nothing."""

    def update(self, snapshot: Any) -> None:
        """Hand the snapshot on."""
        self.take(snapshot)
