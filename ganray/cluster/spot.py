"""Spot notices: a thread asks the cloud's metadata whether this machine will be taken away, and drains its node in Ray.

Ray places nothing on a draining node from then on, and runs that have workers there go on elsewhere after a checkpoint. AWS: "Spot
Instance interruption notices"; Google Cloud: "Detect if a VM was preempted"; Azure: "Scheduled Events for Linux VMs".
"""

import contextlib
import json
import logging
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

import ray
from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled
from ray.core.generated.autoscaler_pb2 import DrainNodeReason  # type: ignore[attr-defined]  # made when it is imported

logger = logging.getLogger(__name__)

POLL_S = 5.0
TIMEOUT_S = 2.0
GOOGLE_GRACE_S, AZURE_GRACE_S = 30.0, 30.0  # from a notice to the end
LINK_LOCAL = "http://169.254.169.254"


@dataclass(frozen=True)
class Notice:
    """This machine is going to be taken away at a time (Unix seconds)."""

    reason: str
    deadline: float


Ask = Callable[[], Notice | None]


def find_cloud() -> Ask | None:
    """Return what asks the metadata of the cloud that this machine is in for a notice; None where there is no such endpoint."""
    for ask in (ask_aws, ask_google, ask_azure):
        with contextlib.suppress(ValueError, KeyError):  # of an answer that makes no sense, which is one
            try:
                ask()
            except OSError:
                continue
        return ask
    return None


def ask_aws() -> Notice | None:
    """Ask AWS's metadata, version 2, for an interruption: two minutes ahead. Raises OSError elsewhere."""
    base = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", LINK_LOCAL).rstrip("/")
    token = _request(f"{base}/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, method="PUT")
    if not token:
        raise OSError("no token")
    answer = _request(f"{base}/latest/meta-data/spot/instance-action", {"X-aws-ec2-metadata-token": token})
    if answer is None:
        return None
    action = json.loads(answer)
    return Notice(f"AWS spot: {action['action']}", datetime.fromisoformat(action["time"]).timestamp())


def ask_google() -> Notice | None:
    """Ask Google Cloud's metadata whether this machine is being preempted. Raises OSError elsewhere."""
    base = f"http://{os.environ.get('GCE_METADATA_HOST', 'metadata.google.internal')}"
    answer = _request(f"{base}/computeMetadata/v1/instance/preempted", {"Metadata-Flavor": "Google"})
    if answer is None:
        raise OSError("no such value")
    return Notice("Google Cloud: preempted", time.time() + GOOGLE_GRACE_S) if answer.strip().upper() == "TRUE" else None


def ask_azure() -> Notice | None:
    """Ask Azure's metadata for a scheduled preemption. Raises OSError elsewhere."""
    base = os.environ.get("AZURE_METADATA_ENDPOINT", LINK_LOCAL).rstrip("/")
    answer = _request(f"{base}/metadata/scheduledevents?api-version=2020-07-01", {"Metadata": "true"})
    if answer is None:
        raise OSError("no scheduled events")
    preempted = [event for event in json.loads(answer)["Events"] if event["EventType"] == "Preempt"]
    if not preempted:
        return None
    at = preempted[0].get("NotBefore")
    return Notice("Azure: preempted", parsedate_to_datetime(at).timestamp() if at else time.time() + AZURE_GRACE_S)


class SpotWatch(threading.Thread):
    """Polls until a notice comes, drains, and ends; where no cloud answers it ends at once."""

    def __init__(self, drain: Callable[[Notice], None], *, poll_s: float = POLL_S) -> None:
        super().__init__(name="spot watch", daemon=True)
        self.drain, self.poll_s = drain, poll_s

    def run(self) -> None:
        """Ask again and again."""
        ask = find_cloud()
        if ask is None:
            logger.info("no cloud's metadata answers here, so that no spot notice can come")
            return
        while True:
            try:
                if notice := ask():
                    self.drain(notice)
                    return
            except Exception as error:  # of a cloud or a head: the next try may go well, and there is little time
                logger.warning("a spot notice could not be read or passed on (%s); it will be tried again", error)
            time.sleep(self.poll_s)


def watch_for_spot_notices() -> None:
    """Have this process watch for a notice, once, and drain its node then; not in a local Ray, which no cloud takes away."""
    is_local = ray.util.get_node_ip_address().startswith("127.")
    if not is_local and not any(isinstance(thread, SpotWatch) for thread in threading.enumerate()):
        SpotWatch(drain_this_node).start()


def drain_this_node(notice: Notice) -> None:
    """Drain the node that this process is on, until the notice's deadline."""
    context = ray.get_runtime_context()
    preemption = DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    head = GcsClient(address=context.gcs_address)
    head.drain_node(context.get_node_id(), preemption, notice.reason, int(notice.deadline * 1000))


def _request(url: str, headers: dict[str, str], *, method: str = "GET") -> str | None:
    """Return an answer, None for one of 404. Raises OSError for any other, and for none in time."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers, method=method), timeout=TIMEOUT_S) as answer:
            content: bytes = answer.read(1 << 16)
            return content.decode()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise
