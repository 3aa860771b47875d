"""Following a submitted job to its end: its log through dropped connections, its status, and one submission more if the head died."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable

import aiohttp
from ray.job_submission import JobDetails, JobStatus

from ganray.errors import ClusterError
from ganray.submission.client import UNREACHABLE, Client
from ganray.submission.submission import Submission, submit

logger = logging.getLogger(__name__)

SILENCE_S = 60.0  # without a line of the log, after which the connection is made anew: a network may have forgotten it
RETRY_S = 2.0  # between two tries to reach the cluster
PATIENCE_S = 600.0  # for a head that does not answer: so long may a new one take
BROKEN = (*UNREACHABLE, aiohttp.ClientError, TimeoutError, RuntimeError, OSError)  # what a connection that fails raises
WITHOUT_DRIVER = ("ACTOR_DIED", "UNKNOWN_FAILURE", "START_FAILURE")  # how Ray's errors end for a job whose driver it lost
STOP_S = 180.0  # for a job to end, once it was asked: it writes a checkpoint first, for which Ray gives it 120 s
EXIT_INTERRUPTED, EXIT_ENVIRONMENT = 130, 3


class LogStream:
    """Writes a job's log as it grows, each part once, however often the connection has to be made."""

    def __init__(self, client: Client, job_id: str, write: Callable[[str], None]) -> None:
        self.client, self.job_id, self.write = client, job_id, write
        self.written = 0  # characters

    def run(self) -> None:
        """Write until the connection ends, fails, or brings nothing for a while."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        seen = 0
        parts: AsyncIterator[str] = self.client.tail_job_logs(self.job_id)
        async with contextlib.aclosing(parts):  # type: ignore[type-var]  # an async generator
            while True:
                try:
                    part = await asyncio.wait_for(anext(parts), SILENCE_S)
                except (StopAsyncIteration, *BROKEN):
                    return
                new, seen = part[max(self.written - seen, 0) :], seen + len(part)
                if new:
                    self.write(new)
                    self.written = seen


def follow(client: Client, job_id: str, write: Callable[[str], None]) -> JobDetails | None:
    """Write a job's log until it ends; return how it stands then, None if its cluster has forgotten it, as one whose head died.

    Raises `ClusterError` if the cluster stays silent for `PATIENCE_S`.
    """
    stream = LogStream(client, job_id, write)
    while True:
        stream.run()
        details = _reached(client, job_id)
        if details is None:
            return None
        if details.status.is_terminal():
            stream.run()  # what was written between the end of the connection and that of the job
            return details
        time.sleep(RETRY_S)


def _reached(client: Client, job_id: str) -> JobDetails | None:
    """Return how a job stands, as soon as its cluster answers; None if that does not know it."""
    until, has_warned = time.monotonic() + PATIENCE_S, False
    while True:
        try:
            return client.find(job_id)
        except UNREACHABLE as error:
            if time.monotonic() > until:
                problem = f"no Ray job server has answered at {client.url!r} for {PATIENCE_S / 60:.0f} minutes"
                raise ClusterError("--address", problem, "start the cluster again; the same command goes on") from error
        if not has_warned:
            logger.warning("the cluster at %s does not answer; trying again for %.0f minutes", client.url, PATIENCE_S / 60)
            has_warned = True
        time.sleep(RETRY_S)


def drive(client: Client, submission: Submission, job_id: str, write: Callable[[str], None]) -> tuple[str, JobDetails | None]:
    """Follow a submitted job to its end, and submit it once more if its head or driver dies: its run then goes on.

    Returns the id of the last job and how that ended, None if the cluster forgot that one, too.
    """
    details = follow(client, job_id, write)
    if not died(details):
        return job_id, details
    what = "the head of the cluster" if details is None else "the driver"
    again = job_id if details is None else f"{job_id}-2"
    logger.warning("%s died; submitting the job once more, as %s, which resumes", what, again)
    submit(client, submission, again)
    return again, follow(client, again, write)


def died(details: JobDetails | None) -> bool:
    """Return whether a job ended for its head or driver, which was killed, rather than by itself or because it was stopped."""
    if details is None:
        return True
    if details.status != JobStatus.FAILED:
        return False
    code = details.driver_exit_code
    if code is None:
        return str(details.error_type).endswith(WITHOUT_DRIVER)
    return code < 0 or (code > 128 and code != EXIT_INTERRUPTED)


def exit_code(details: JobDetails | None) -> int:
    """Return the exit code of the command that a job ran: 130 for one that was stopped, 3 for one that never ran."""
    if details is None:
        return EXIT_ENVIRONMENT
    if details.status == JobStatus.SUCCEEDED:
        return 0
    if details.status == JobStatus.STOPPED:
        return EXIT_INTERRUPTED
    code = details.driver_exit_code
    if code is None:
        return EXIT_ENVIRONMENT
    return code if code > 0 else 128 - code


def stop(client: Client, job_id: str) -> JobDetails:
    """Ask a job to end, and return how it stands once it has. Raises `ClusterError` if it has not within `STOP_S`."""
    client.stop_job(job_id)
    until = time.monotonic() + STOP_S
    while time.monotonic() < until:
        details = client.find(job_id)
        if details is None or details.status.is_terminal():
            break
        time.sleep(0.5)
    if details is None or not details.status.is_terminal():
        raise ClusterError("ID", f"job {job_id} has not ended within {STOP_S:.0f} s", "see its log: `ganray jobs logs`")
    return details
