"""Opening a run: a connection to Ray, its driver's lock, and its job and dataset, which are resolved and prepared when it is created."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ganray.cluster.background import BackgroundCall
from ganray.cluster.gpus import decide_gpus
from ganray.cluster.session import ray_session
from ganray.cluster.shared_storage import check_shared
from ganray.config import Job
from ganray.data.card import DatasetCard
from ganray.data.preparation.changes import warn_of_change
from ganray.data.preparation.prepare import prepare
from ganray.data.sources import list_source
from ganray.data.sources.rows import Listing
from ganray.registry.signing import load_private_key
from ganray.runs.lock import DriverLock, driver_lock
from ganray.runs.resolve import resolve_job, resume_job
from ganray.runs.run import Run
from ganray.storage import ObjectStore

if TYPE_CHECKING:
    from ganray.runs.start import Start  # needs torch, which is imported only where there is one


@dataclass(frozen=True)
class Creation:
    """What a run is created from: the listing of its source, and what its training starts from, None for random weights."""

    listing: Listing
    start: "Start | None"


def find_run(run: Run, job: Job, *, resume: Callable[[Job, Job], Job] = resume_job) -> tuple[Job, Creation | None]:
    """Return the job that a run would go on with, or, of one that was not created, its job and what it would be created from.

    What is wrong with either is raised here, before anything is started or written.
    """
    if run.exists():
        return resume(job, run.job), None
    listing = list_source(job.data, run.storage)
    if job.train.start_from is None:
        return job, Creation(listing, None)
    from ganray.runs.start import find_start

    return job, Creation(listing, find_start(job))


@contextlib.contextmanager
def connected(job: Job, storage: ObjectStore, address: str | None, check: Callable[[Job], None]) -> Iterator[Job]:
    """Be connected to a Ray cluster that shares the storage; give the job with its GPUs decided. `check` looks whether its workers fit."""
    if job.publish.signing_key:
        load_private_key(job.publish.signing_key, field="publish.signing_key")
    with ray_session(address):
        job = decide_gpus(job)
        check(job)
        storage.check_writable()
        check_shared(storage)
        yield job


@contextlib.contextmanager
def locked(run: Run) -> Iterator[DriverLock]:
    """Hold a run's lock while the block runs, and fence whatever is written to it by that."""
    with driver_lock(run.store, run.name) as lock:
        run.fence = lock.fence
        run.refresh()
        yield lock


def open_run(
    run: Run,
    job: Job,
    creation: Creation | None,
    *,
    progress: Callable[[int, int], None] | None = None,
    resume: Callable[[Job, Job], Job] = resume_job,
    resolve: Callable[[Job, DatasetCard], Job] = resolve_job,
) -> Job:
    """Return the resolved job of a run, which is created if it was not: its data is prepared, on Ray, and every `auto` resolved.

    `creation` is for a run that is to be created. A sweep, which is opened alike, has its own `resume` and `resolve`.
    """
    if run.exists():
        dataset, job = run.dataset, resume(job, run.job)
        changes = BackgroundCall(lambda: warn_of_change(job.data, dataset), name="source")
        changes.start()  # a large prefix takes a while to list, and nothing waits for it
    else:
        assert creation is not None, f"{run.uri} vanished"
        dataset = prepare(job.data, creation.listing, run.storage, progress=progress)
        job = resolve(job, dataset.card)
        if creation.start:
            from ganray.runs.start import record_start

            record_start(run, job, creation.start, dataset.card)
    run.record(job, dataset)
    return job
