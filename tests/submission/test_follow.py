"""Following a job whose connections, driver or head die: each part of its log once, one submission more, and the job's exit code."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import requests
from ray.job_submission import JobDetails, JobStatus

from ganray.errors import ClusterError
from ganray.submission import follow as following
from ganray.submission import submission as submitting
from ganray.submission.follow import drive, exit_code, follow
from ganray.submission.package import Package
from ganray.submission.submission import Submission, submit

LOG = ["preparing data\n", "starting ", "workers\n", "done\n"]


class DyingCluster:
    """A job server that dies as it is told to; what lives is tested against a real one, in tests/e2e."""

    url = "http://head:8265"

    def __init__(self, ends: list[JobDetails | Exception | None], *, breaks: list[int | Exception] | None = None) -> None:
        self.ends = ends  # what is known of the job, one answer after another
        self.breaks = breaks or []  # after how many parts of the log a connection ends, one connection after another, or what it raises
        self.submitted: list[str] = []

    def find(self, job_id: str) -> JobDetails | None:
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Exception):
            raise end
        return end

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        until = self.breaks.pop(0) if self.breaks else len(LOG)
        if isinstance(until, Exception):
            raise until
        for part in LOG[:until]:
            yield part
        if until < len(LOG):
            raise RuntimeError("WebSocket connection closed unexpectedly with close code 1006")

    def submit_job(self, *, submission_id: str, **_: Any) -> None:
        self.submitted.append(submission_id)


def details(status: JobStatus, **known: Any) -> JobDetails:
    return JobDetails(type="SUBMISSION", submission_id="a", status=status, entrypoint="", **known)


RUNNING, DONE, STOPPED = details(JobStatus.RUNNING), details(JobStatus.SUCCEEDED, driver_exit_code=0), details(JobStatus.STOPPED)
KILLED = [details(JobStatus.FAILED, driver_exit_code=code) for code in (137, -9)]
KILLED += [details(JobStatus.FAILED, error_type="JOB_SUPERVISOR_ACTOR_DIED")]
DIVERGED = details(JobStatus.FAILED, driver_exit_code=4)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "RETRY_S", 0.0)
    monkeypatch.setattr(submitting, "AGAIN_S", 0.0)


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    return Submission("s3://b/runs/a", "ganray train", Package(tmp_path / "a.zip", "jobs/a.yaml", 1, 1), {}, {"name": "a"})


def followed(cluster: DyingCluster) -> tuple[str, JobDetails | None]:
    parts: list[str] = []
    end = follow(cluster, "a", parts.append)  # type: ignore[arg-type]
    return "".join(parts), end


@pytest.mark.parametrize("breaks", [[], [1], [2, 1, 3], [0, requests.ConnectionError("refused"), 3], [ConnectionResetError()]])
def test_each_part_of_a_log_is_printed_once_however_often_the_connection_breaks(breaks: list[int | Exception]) -> None:
    known: list[Any] = [RUNNING] * len(breaks) + [DONE]
    assert followed(DyingCluster(known, breaks=breaks)) == ("".join(LOG), DONE)


def test_a_cluster_that_is_away_for_a_while_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    away: list[Any] = [requests.ConnectionError("refused"), ConnectionError("status code 500"), requests.Timeout()]
    assert followed(DyingCluster([RUNNING, *away, DONE], breaks=[1])) == ("".join(LOG), DONE)
    assert [record.message.split(";")[0] for record in caplog.records] == ["the cluster at http://head:8265 does not answer"]


def test_a_cluster_that_stays_away_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PATIENCE_S", 0.0)
    with pytest.raises(ClusterError, match="the same command goes on"):
        followed(DyingCluster([requests.ConnectionError("refused")]))


def test_a_write_that_fails_is_not_taken_for_a_connection() -> None:
    def full(_: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        follow(DyingCluster([DONE]), "a", full)  # type: ignore[arg-type]


@pytest.mark.parametrize("killed", KILLED, ids=["128 + 9", "-9", "supervisor"])
def test_a_job_whose_driver_was_killed_is_submitted_once_more(killed: JobDetails, submission: Submission) -> None:
    cluster = DyingCluster([killed, DONE])
    assert drive(cluster, submission, "a", lambda _: None) == ("a-2", DONE)  # type: ignore[arg-type]
    assert cluster.submitted == ["a-2"]


def test_a_job_that_a_new_head_does_not_know_is_submitted_once_more_by_its_id(submission: Submission) -> None:
    cluster = DyingCluster([RUNNING, requests.ConnectionError("refused"), None, DONE], breaks=[2])
    assert drive(cluster, submission, "a", lambda _: None) == ("a", DONE)  # type: ignore[arg-type]
    assert cluster.submitted == ["a"]


def test_a_job_that_dies_twice_is_not_submitted_a_third_time(submission: Submission) -> None:
    cluster = DyingCluster([KILLED[0]])
    assert drive(cluster, submission, "a", lambda _: None) == ("a-2", KILLED[0])  # type: ignore[arg-type]
    assert cluster.submitted == ["a-2"]


@pytest.mark.parametrize("end", [DONE, STOPPED, DIVERGED, details(JobStatus.FAILED, driver_exit_code=130)])
def test_a_job_that_ended_by_itself_or_was_stopped_is_not_submitted_again(end: JobDetails, submission: Submission) -> None:
    cluster = DyingCluster([end])
    assert drive(cluster, submission, "a", lambda _: None) == ("a", end)  # type: ignore[arg-type]
    assert cluster.submitted == []


@pytest.mark.parametrize(
    ("end", "code"),
    [(DONE, 0), (STOPPED, 130), (DIVERGED, 4), (KILLED[0], 137), (KILLED[1], 137), (KILLED[2], 3), (None, 3)],
)
def test_the_exit_code_is_that_of_the_command(end: JobDetails | None, code: int) -> None:
    assert exit_code(end) == code


def test_a_submission_whose_answer_was_lost_is_not_a_second_job(submission: Submission) -> None:
    answers: list[Exception | None] = [
        RuntimeError("Request failed with status code 500: No available agent to submit job, please try again later.."),
        requests.ConnectionError("reset"),
        RuntimeError("Request failed with status code 400: Job with submission_id a already exists"),
    ]
    asked: list[str] = []

    class Losing(DyingCluster):
        def submit_job(self, *, submission_id: str, **_: Any) -> None:
            asked.append(submission_id)
            if answer := answers.pop(0):
                raise answer

    submit(Losing([None]), submission, "a")  # type: ignore[arg-type]
    assert asked == ["a"] * 3


def test_a_submission_that_is_refused_is_one_line(submission: Submission) -> None:
    class Refusing(DyingCluster):
        def submit_job(self, **_: Any) -> None:
            raise RuntimeError("Request failed with status code 400: Traceback\nmany lines")

    with pytest.raises(ClusterError, match="status code 400"):
        submit(Refusing([None]), submission, "a")  # type: ignore[arg-type]
