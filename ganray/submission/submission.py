"""Submitting a job to a Ray cluster by an id of its own, so that a request whose answer was lost is not a second job."""

import logging
import shlex
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.job_submission import JobDetails

from ganray.config import Job
from ganray.errors import ClusterError, ConfigError, RunLocked
from ganray.submission.client import UNREACHABLE, Client, first_line, no_answer
from ganray.submission.package import Package
from ganray.submission.variables import STOP_WAIT

logger = logging.getLogger(__name__)

RUN, KIND = "ganray run", "ganray command"  # keys of a job's metadata, which the dashboard shows
SUBMIT_S, AGAIN_S = 120.0, 1.0  # how long a submission is tried, as while a head starts, and between two tries
BUSY = ("No available agent", "status code 500", "status code 502", "status code 503", "status code 504")


@dataclass(frozen=True)
class Submission:
    """A job of Ray's that runs a job of ganray's: which run or sweep, by which command, with what."""

    run: str
    entrypoint: str
    package: Package
    variables: Mapping[str, str]
    metadata: Mapping[str, str]

    def arguments(self) -> dict[str, Any]:
        """Return what Ray's client is given."""
        environment = {"working_dir": str(self.package.path), "env_vars": {**STOP_WAIT, **self.variables}}
        return {"entrypoint": self.entrypoint, "runtime_env": environment, "metadata": dict(self.metadata)}


def make_submission(job: Job, overrides: Sequence[str], package: Package, variables: Mapping[str, str]) -> Submission:
    """Return the submission of a job: one with a `sweep` section is searched, any other trained. Raises `ConfigError`."""
    entrypoint = shlex.join(["python", "-m", "ganray", command_of(job), package.job, *overrides])
    return Submission(record_uri(job), entrypoint, package, variables, metadata_of(job))


def metadata_of(job: Job) -> dict[str, str]:
    """Return what Ray's dashboard shows of a job, and by what `ganray jobs` knows it."""
    return {"name": job.name, KIND: command_of(job), RUN: record_uri(job)}


def command_of(job: Job) -> str:
    """Return the command that runs a job."""
    return "sweep" if job.sweep else "train"


def record_uri(job: Job) -> str:
    """Return the URI of a job's run or sweep. Raises `ConfigError` for a storage that is relative."""
    if "://" not in job.storage and not Path(job.storage).is_absolute():
        problem = f"{job.storage!r} is relative, and a Ray job's working directory vanishes"
        raise ConfigError("storage", problem, "use s3://... or an absolute folder that all nodes share")
    root, question, settings = job.storage.partition("?")
    return f"{root.rstrip('/')}/{'sweeps' if job.sweep else 'runs'}/{job.name}{question}{settings}"


def new_id(name: str) -> str:
    """Return an id for a job of this name that no other has."""
    return f"{name}-{uuid.uuid4().hex[:6]}"


def submit(client: Client, submission: Submission, job_id: str) -> None:
    """Submit a job by its id, once, however often the request has to be made. Raises `ClusterError`."""
    until, has_tried = time.monotonic() + SUBMIT_S, False
    while True:
        try:
            client.submit_job(submission_id=job_id, **submission.arguments())
            return
        except (*UNREACHABLE, RuntimeError) as error:
            if has_tried and "already exists" in str(error):
                return
            is_passing = not isinstance(error, RuntimeError) or any(text in str(error) for text in BUSY)
            if not is_passing or time.monotonic() > until:
                raise no_answer("--address", client.url, error) from error
            if not has_tried:
                logger.warning("%s takes no job yet (%s); trying again for %.0f s", client.url, first_line(error), SUBMIT_S)
            has_tried = True
            time.sleep(AGAIN_S)


def running_job(client: Client, submission: Submission) -> str | None:
    """Return the id of a job on the cluster that runs the very same, None if there is none. Raises `RunLocked` if one runs it otherwise."""
    for details in ganray_jobs(client):
        metadata = details.metadata or {}
        if metadata.get(RUN) != submission.run or details.status.is_terminal():
            continue
        job_id = str(details.submission_id)
        if details.entrypoint == submission.entrypoint:
            return job_id
        remedy = f"follow it with `ganray jobs logs {job_id} --follow`, or stop it with `ganray jobs stop {job_id}`"
        raise RunLocked("name", f"{metadata.get('name')!r} is being driven by job {job_id}, otherwise than is asked now", remedy)
    return None


def ganray_jobs(client: Client) -> list[JobDetails]:
    """Return the jobs of ganray's that a cluster knows, the newest last. Raises `ClusterError`."""
    try:
        found = [details for details in client.list_jobs() if details.submission_id and RUN in (details.metadata or {})]
    except (*UNREACHABLE, RuntimeError) as error:
        raise ClusterError("--address", f"the jobs of {client.url} cannot be listed ({first_line(error)})", "try again") from error
    return sorted(found, key=lambda details: details.start_time or 0)
