"""Weights & Biases: one run for a run, resumed by its id; a sweep's trials are in one group.

Rows have numbers of their own, since W&B takes none that go back, and images seen are the axis. How far a run was sent stands in the
run's record: what is handed over lies in W&B's own files at once, from where its service uploads it, or `wandb sync` does.
"""

import io

import wandb
from PIL import Image

from ganray.config import WandbTracker
from ganray.runs.metrics_log import Record
from ganray.track.news import Position, metrics_of
from ganray.track.stored import read_position, write_position
from ganray.track.subject import Subject

KIND = "wandb"  # by which positions are kept
AXIS = "images_seen"
PATIENCE_S = 30.0  # for W&B's service, at the beginning of a run


class Wandb:
    """A project of W&B."""

    def __init__(self, config: WandbTracker) -> None:
        self.config = config

    def open(self, subject: Subject) -> "WandbSession":
        """Begin the subject's run, or go on with it."""
        run = wandb.init(
            project=self.config.project,
            entity=self.config.entity,
            mode=self.config.mode,
            id=subject.id,
            name=subject.name,
            group=subject.group.name if subject.group else None,
            job_type="trial" if subject.group else None,
            config=subject.run.job.model_dump(mode="json", exclude_none=True),
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", init_timeout=PATIENCE_S, x_disable_stats=True, disable_git=True),
        )
        run.define_metric(AXIS, hidden=True)
        run.define_metric("*", step_metric=AXIS)
        return WandbSession(subject, run)

    def close(self) -> None:
        """Have W&B's service write its files, and end it."""
        wandb.teardown()


class WandbSession:
    """A run of W&B's."""

    def __init__(self, subject: Subject, run: wandb.Run) -> None:
        self.subject, self.run = subject, run
        stored = read_position(subject.run, KIND)
        self.position = Position.from_json(stored) if stored else Position()

    def log(self, records: list[Record]) -> None:
        """Log records, a row each."""
        for record in records:
            when = {"_timestamp": record["time"]} if "time" in record else {}
            row = {**metrics_of(record), AXIS: record[AXIS], "attempt": record["attempt"], **when}
            self.run.log(row, step=self.position.count)
            self.position = self.position.after(record)
        self._settle()

    def log_samples(self, images_seen: int, png: bytes) -> None:
        """Log a grid of samples."""
        with Image.open(io.BytesIO(png)) as image:
            self.run.log({"samples": wandb.Image(image), AXIS: images_seen}, step=self.position.count)
        self.position = self.position.after_samples(images_seen)
        self._settle()

    def log_version(self, version: str) -> None:
        """Put a version's URI into the summary."""
        self.run.summary["version"] = version
        self.position = self.position.after_version(version)
        self._settle()

    def flush(self) -> None:
        """Do nothing: W&B's service has what was logged."""

    def close(self) -> None:
        """Finish the run, until it goes on; waits for its upload."""
        self.run.finish()

    def _settle(self) -> None:
        write_position(self.subject.run, KIND, self.position.to_json())
