"""A local Ray that tests share: starting one, and its workers, takes seconds."""

import contextlib
import json
import os

import pytest
import ray

from ganray.cluster.session import ray_session

SETTINGS = {
    "RAY_OVERRIDE_RESOURCES": json.dumps({"CPU": 2}),
    "RAY_num_workers_soft_limit": "6",  # idle processes that are kept, with what they have imported; Ray's default is one a CPU
}


class SharedRay:
    """At most one local Ray, as a command starts it but of two CPUs on any machine, to which this process is connected.

    It stays for the tests that follow, until one comes that does not use it, which may start another or want none.
    """

    def __init__(self) -> None:
        self._started = contextlib.ExitStack()
        self._credentials: dict[str, str] = {}

    def address(self) -> str:
        """Return its address; it is started if there is none, or one whose workers have other credentials than this process."""
        credentials = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        if credentials != self._credentials:
            self.end()
        if not ray.is_initialized():
            with pytest.MonkeyPatch.context() as patch:
                for name, value in SETTINGS.items():
                    patch.setenv(name, value)
                self._started.enter_context(ray_session("local"))
            self._credentials = credentials
        address: str = ray.get_runtime_context().gcs_address
        return address

    def end(self) -> None:
        """End it, if it runs."""
        self._started.close()


SHARED_RAY = SharedRay()
