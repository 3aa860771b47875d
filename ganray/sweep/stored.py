"""A sweep's own records of itself: the job that it was created with, its dataset, its limits, and the time that it has taken."""

import time

from ganray.config import Job
from ganray.config.sweep import PbtScheduler
from ganray.data.dataset import PreparedDataset
from ganray.data.preparation.prepare import prepare
from ganray.runs.layout import DATASET, read_json, run_dataset, write_json
from ganray.runs.resolve import MAY_CHANGE, resolve_job, resume_job
from ganray.storage import ObjectStore
from ganray.sweep.jobs import of_trials
from ganray.sweep.records import JOB, STATE
from ganray.train.reporter import Reporter

MAY_GROW = ("sweep.max_images", "sweep.max_hours")
MAY_CHANGE_TOO = ("sweep.max_concurrent", "sweep.finalists.num", "sweep.finalists.num_samples", "sweep.finalists.seed")
SAVE_EVERY_S = 10.0


def open_sweep(job: Job, sweep: ObjectStore, storage: ObjectStore, reporter: Reporter) -> tuple[Job, PreparedDataset]:
    """Return the resolved job and its dataset: those that the sweep was created with, or new ones, which then are the sweep's."""
    reporter.stage("preparing data")
    if (stored := read_json(sweep, JOB)) is not None and read_json(sweep, DATASET) is not None:
        job, prepared = resume_sweep(job, stored), run_dataset(sweep, storage, job.name)
    else:
        prepared = prepare(job.data, storage, progress=reporter.advance)
        job = resolve_job(of_trials(job), prepared.card)
        write_json(sweep, DATASET, {"folder": prepared.folder, "fingerprint": prepared.card.fingerprint})
    write_json(sweep, JOB, job.model_dump(mode="json"))
    return job, prepared


def resume_sweep(job: Job, stored: dict) -> Job:
    """Return the stored job with what a resume may change; raise `GanrayError` for any other difference, naming the field."""
    population = job.sweep and isinstance(job.sweep.scheduler, PbtScheduler)
    may_grow = MAY_GROW if population else (*MAY_GROW, "sweep.trials")
    return resume_job(of_trials(job), stored, may_grow=may_grow, may_change=(*MAY_CHANGE, *MAY_CHANGE_TOO))


def limits(job: Job) -> dict:
    """Return what decides whether a sweep that has ended has more to do."""
    sweep = job.sweep
    return {
        "trials": sweep.trials,
        "max_images": sweep.max_images,
        "max_hours": sweep.max_hours,
        "finalists": sweep.finalists.model_dump(mode="json"),
    }


class Clock:
    """The seconds that a sweep has been searching, over all of its drivers; kept in its store."""

    def __init__(self, sweep: ObjectStore) -> None:
        self.sweep = sweep
        self.before_s = (read_json(sweep, STATE) or {}).get("elapsed_s", 0.0)
        self.started = self.saved = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return self.before_s + time.monotonic() - self.started

    def tick(self) -> None:
        """Save now and then."""
        if time.monotonic() - self.saved > SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write the time down."""
        self.saved = time.monotonic()
        write_json(self.sweep, STATE, {"elapsed_s": self.elapsed_s})
