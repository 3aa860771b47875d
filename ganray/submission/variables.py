"""The environment variables that a job's storage needs: settings go along by themselves, credentials only where they are named."""

import os
from collections.abc import Iterable

from ganray.config import Job
from ganray.errors import ConfigError
from ganray.submission.package import places

SETTINGS = (
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_MAX_ATTEMPTS",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "AWS_RESPONSE_CHECKSUM_VALIDATION",
)
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")
STOP_WAIT = {"RAY_JOB_STOP_WAIT_TIME_S": "120"}  # in which a job that is stopped writes its checkpoint; 3 s by default


def passed_variables(job: Job, names: Iterable[str]) -> dict[str, str]:
    """Return the variables of this environment that a job is given: those named, and the settings of S3 if it uses that.

    Whoever may see the cluster's jobs may see them. Raises `ConfigError` for a name that is not set.
    """
    names = list(names)
    for name in names:
        if name not in os.environ:
            raise ConfigError("--env", f"{name} is not set here", "export it, or leave it out; values do not stand on the command line")
    settings = [name for name in SETTINGS if name in os.environ] if uses_s3(job) else []
    return {name: os.environ[name] for name in dict.fromkeys([*settings, *names])}


def kept_back(job: Job, passed: Iterable[str]) -> list[str]:
    """Return the credentials of this environment that the job's storage might need and is not given."""
    return [name for name in CREDENTIALS if name in os.environ and name not in passed] if uses_s3(job) else []


def uses_s3(job: Job) -> bool:
    """Return whether a job names a place on S3."""
    return any(place.startswith("s3://") for place in places(job).values())
