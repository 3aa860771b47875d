"""The cluster that chaos reigns on: a head and two nodes of one CPU each, an S3 server, and the driver of one run at a time."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

from ganray.cluster.session import use_settings, without_ray_messages
from tests.helpers.runs import REPOSITORY, TINY, descendants, environment
from tests.helpers.s3_server import WRITER, S3Server, ServerProcess

NODES = 2  # beside the head: with two workers, one place is left where a node is lost
BUCKET = "chaos"
SYSTEM_ACTORS = ("_AutoscalingCoordinatorActor", "_StatsActor", "JobSupervisor")  # Ray's own, which outlive a driver
OF_NODES = (*SYSTEM_ACTORS, "DashboardAgent", "RuntimeEnvAgent")  # what processes of nodes are called, too
GIVEN_UP = 3  # the exit code of a driver that the environment failed, as an S3 server that is away for long


class RunCluster:
    """Cluster, server and, while a run is trained, its driver. All of it keeps its temporary files below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.temporary = folder, folder / "tmp"
        for name in ("s3", "tmp", "logs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.server = ServerProcess(folder / "s3")
        self.cluster: Any = None
        self.nodes: list[Any] = []
        self.driver: subprocess.Popen[bytes] | None = None
        self.num_drivers = 0

    def start(self) -> None:
        """Start server and cluster, and connect this process, which only looks."""
        server = self.server.start()
        server.client().create_bucket(Bucket=BUCKET)
        os.environ.update(server.environment(WRITER), TMPDIR=str(self.temporary), RAY_TMPDIR="/tmp", RAY_AUTH_MODE="disabled")
        use_settings()
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        self.nodes = [self.cluster.add_node(num_cpus=1) for _ in range(NODES)]
        self.cluster.wait_for_nodes()
        ray.init(address=self.cluster.address, log_to_driver=False, logging_level="ERROR")

    def close(self) -> None:
        """End all of it."""
        self.end_driver()
        ray.shutdown()
        if self.cluster:
            self.cluster.shutdown()
        self.server.stop()

    def start_driver(self, job: list[str]) -> None:
        """Start the run's driver, or another one that goes on with it."""
        train = ["-m", "ganray", "train", "jobs/quickstart.yaml", "--json", "--address", self.cluster.address]
        command = [sys.executable, *train, *TINY, *job]
        self.num_drivers += 1
        output, errors = self._log("out").open("wb"), self._log("err").open("wb")
        with output, errors:
            self.driver = subprocess.Popen(command, stdout=output, stderr=errors, cwd=REPOSITORY, env=environment(), start_new_session=True)

    def end_driver(self) -> None:
        """Kill the driver, if there is one."""
        if self.driver and self.driver.poll() is None:
            self.driver.kill()
            self.driver.wait()

    def output(self) -> str:
        """Return what the newest driver wrote to standard output."""
        return self._log("out").read_text(errors="replace")

    def messages(self) -> str:
        """Return what the newest driver wrote to standard error."""
        return self._log("err").read_text(errors="replace")

    def processes(self, title: str) -> list[int]:
        """Return the processes of Ray whose title has a word in it, as that of an actor has its class."""
        found = []
        for pid in descendants(os.getpid()):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_text(errors="replace").startswith("ray::") and title in _title(pid):
                    found.append(pid)
        return found

    def replace_node(self, index: int, after_s: float) -> None:
        """Kill a node's raylet, and with it what runs there; give the cluster another one after some seconds."""
        self.cluster.remove_node(self.nodes[index], allow_graceful=False)
        time.sleep(after_s)
        self.nodes[index] = self.cluster.add_node(num_cpus=1, wait=False)

    def restart_server(self, after_s: float) -> None:
        """Kill the S3 server, and start it again after some seconds."""
        self.server.stop()
        time.sleep(after_s)
        self.server.start()

    def leaks(self) -> list[str]:
        """Return what is left, though no run is under way: processes, actors, placement groups, temporary files, parts of uploads."""
        groups = [row for row in ray.util.placement_group_table().values() if row["state"] != "REMOVED"]
        actors = [row for row in ray._private.state.actors().values() if row["State"] != "DEAD" and _class(row) not in SYSTEM_ACTORS]
        titles = [_title(pid) for pid in self.processes("")]
        busy = [title for title in titles if not title.startswith("ray::IDLE") and not any(name in title for name in OF_NODES)]
        files = [path.name for path in self.temporary.glob("ganray-*")]
        parts = S3Server(self.server.endpoint_url, 0).client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        found = [f"placement group {row['placement_group_id']} is {row['state']}" for row in groups]
        found += [f"actor {_class(row)} is {row['State']}" for row in actors]
        found += [f"process {title}" for title in busy] + [f"temporary folder {name}" for name in files]
        return found + [f"unfinished upload of {part['Key']}" for part in parts]

    def _log(self, kind: str) -> Path:
        return self.folder / f"logs/driver-{self.num_drivers:04d}.{kind}"


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").rstrip("\0").split("\0")[0]
    except OSError:
        return ""


def _class(actor: dict[str, Any]) -> str:
    return str(actor.get("ActorClassName", ""))


@contextlib.contextmanager
def run_cluster(folder: Path) -> Iterator[RunCluster]:
    """Give a cluster that has been started; SIGTERM ends the block as Ctrl-C does. Afterwards the environment is what it was."""
    handler, variables = signal.signal(signal.SIGTERM, signal.default_int_handler), dict(os.environ)
    cluster = RunCluster(folder)
    try:
        with without_ray_messages():
            cluster.start()
            yield cluster
    finally:
        cluster.close()
        os.environ.clear()
        os.environ.update(variables)
        signal.signal(signal.SIGTERM, handler)
