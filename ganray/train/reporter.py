"""What a long command tells while it works. The command line shows it; from Python it goes to the log."""

import logging
from typing import Any, Protocol

logger = logging.getLogger(__name__)


class Reporter(Protocol):
    """Takes what a run has to say."""

    def stage(self, title: str) -> None:
        """A new stage of the work begins."""

    def advance(self, done: int, total: int) -> None:
        """The stage has done so much of it."""

    def training(self, progress: dict[str, Any]) -> None:
        """The newest metrics of training, by name."""

    def say(self, line: str) -> None:
        """Something the user should know."""


class LogReporter:
    """Writes stages and lines to the package's log."""

    def stage(self, title: str) -> None:
        logger.info("%s", title)

    def advance(self, done: int, total: int) -> None:
        logger.debug("%d of %d", done, total)

    def training(self, progress: dict[str, Any]) -> None:
        logger.debug("%s", progress)

    def say(self, line: str) -> None:
        logger.warning("%s", line)
