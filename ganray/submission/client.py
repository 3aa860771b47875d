"""The job server of a Ray cluster, on its dashboard's port: found, authenticated, and asked with time limits; errors are one line."""

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

import grpc
import ray
import requests
from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobSubmissionClient

from ganray.cluster.head import refusal
from ganray.cluster.session import find_head
from ganray.errors import ClusterError, ConfigError

DEFAULT_ADDRESS = "http://127.0.0.1:8265"  # to which `ray dashboard cluster.yaml` forwards
API_SERVER = "RAY_API_SERVER_ADDRESS"  # Ray lets it, and RAY_ADDRESS, win over what the client is told
REQUEST_S = 30.0  # that an answer may take; a submission waits 10 s for the head's agent
NOISY = ("ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk", "ray._private.authentication")
UNREACHABLE = (ConnectionError, requests.RequestException)


class Client(JobSubmissionClient):
    """Ray's client of the job server, every request of which has a time limit."""

    def _do_request(self, method: str, endpoint: str, **arguments: Any) -> requests.Response:
        try:
            answer: requests.Response = super()._do_request(method, endpoint, timeout=REQUEST_S, **arguments)
        except AuthenticationError:
            if self._server_ray_version is None:
                raise
            raise refusal("--address", self.url, grpc.StatusCode.UNAUTHENTICATED) from None
        return answer

    @property
    def url(self) -> str:
        """The address of the dashboard."""
        return str(self._address)

    @property
    def ray_version(self) -> str:
        """The version of Ray that the cluster runs."""
        return str(self._server_ray_version)

    def page(self, job_id: str) -> str:
        """Return the address of a job's page."""
        return f"{self.url}/#/jobs/{job_id}"

    def find(self, job_id: str) -> JobDetails | None:
        """Return what the cluster knows of a job, None if it does not know it. Raises `UNREACHABLE` if it does not answer now."""
        try:
            return self.get_job_info(job_id)
        except RuntimeError as error:
            if "status code 404" in str(error):
                return None
            raise ConnectionError(first_line(error)) from error


def connect(address: str | None) -> Client:
    """Return a client of the cluster at an address: its dashboard's, http://HEAD:8265, or its head's, HEAD:6379.

    Without one it is that of RAY_API_SERVER_ADDRESS or RAY_ADDRESS, else a dashboard on this machine. A token that the cluster wants is
    looked for where Ray keeps it. Raises `ClusterError`.
    """
    field = "--address" if address else next((name for name in (API_SERVER, "RAY_ADDRESS") if os.environ.get(name)), "--address")
    address = address or os.environ.get(field) or DEFAULT_ADDRESS
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        client = _authenticated(address, field)
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        raise no_answer(field, address, error) from error
    if client.ray_version.split(".")[:2] != ray.__version__.split(".")[:2]:
        problem = f"the cluster runs Ray {client.ray_version}, and this ganray needs {ray.__version__}"
        raise ClusterError(field, problem, "install the same version on both")
    return client


def _authenticated(address: str, field: str) -> Client:
    """Return a client; a token is sent only to a cluster that wants one."""
    try:
        return _client(address, field)
    except AuthenticationError:
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    try:
        return _client(address, field)
    except AuthenticationError:
        raise refusal(field, address, grpc.StatusCode.UNAUTHENTICATED) from None


def _client(address: str, field: str) -> Client:
    scheme = address.partition("://")[0] if "://" in address else ""
    if scheme not in ("", "http", "https"):
        remedy = "name the dashboard, as http://HEAD:8265, or the head, as HEAD:6379"
        raise ConfigError(field, f"{address!r} is not an address of a job server", remedy)
    if not scheme:
        find_head(address, field)
    with _no_other_address():
        return Client(address)


@contextlib.contextmanager
def _no_other_address() -> Iterator[None]:
    """Hide the variables that would win over the address that a client is given."""
    before = {name: os.environ.pop(name) for name in (API_SERVER, "RAY_ADDRESS") if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)


def no_answer(field: str, address: str, error: Exception) -> ClusterError:
    """Return the error for a job server that does not answer."""
    remedy = "name the dashboard of a running cluster, as http://HEAD:8265 (`ray dashboard cluster.yaml` forwards it)"
    return ClusterError(field, f"no Ray job server answers at {address!r} ({first_line(error)})", remedy)


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, or its type."""
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
