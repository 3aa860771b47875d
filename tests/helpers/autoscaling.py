"""A head whose autoscaler starts nodes on this machine: those of `cluster.yaml`'s types, by Ray's provider of fake nodes."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.helpers.heads import Head, free_port, is_open
from tests.helpers.runs import REPOSITORY

HEAD_ID = "f" * 51 + "00000"
HEAD_TYPE = "ray.head.default"  # as the provider calls it
INSTANCES = {"g6.xlarge": {"CPU": 4, "GPU": 1}}  # what `ray up` would ask AWS
PROVIDER = {
    "type": "external",  # "fake_multinode" reads a file that Ray's wheel lacks
    "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
    "launch_multiple": True,
    "head_node_id": HEAD_ID,
    "disable_node_updaters": True,
    "disable_launch_config_check": True,
}
EMPTY: dict[str, Any] = {"auth": {}, "docker": {}, "file_mounts": {}, "file_mounts_sync_continuously": False}
EMPTY |= {name: [] for name in ("cluster_synced_files", "rsync_exclude", "rsync_filter", "initialization_commands", "setup_commands")}
EMPTY |= {name: [] for name in ("head_setup_commands", "worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands")}


def cluster_file(*, port: int, idle_s: float) -> dict[str, Any]:
    """Return `cluster.yaml` with its types and limits for nodes on this machine, whose head has two CPUs."""
    cluster = yaml.safe_load((REPOSITORY / "cluster.yaml").read_text())
    types = {
        name: {**kind, "node_config": {}, "resources": INSTANCES[kind["node_config"]["InstanceType"]]}
        for name, kind in cluster["available_node_types"].items()
        if name != cluster["head_node_type"]
    }
    types[HEAD_TYPE] = {"resources": {"CPU": 2}, "node_config": {}, "max_workers": 0}
    return {
        **EMPTY,
        "cluster_name": cluster["cluster_name"],
        "max_workers": cluster["max_workers"],
        "upscaling_speed": cluster["upscaling_speed"],
        "idle_timeout_minutes": idle_s / 60,
        "provider": {**PROVIDER, "gcs_address": f"127.0.0.1:{port}"},
        "available_node_types": types,
        "head_node_type": HEAD_TYPE,
    }


@contextlib.contextmanager
def autoscaling_head(folder: Path, *, idle_s: float) -> Iterator[Head]:
    """Give a head whose autoscaler, of version 2, looks once a second, and ends nodes that were idle for so long."""
    ports = [free_port() for _ in range(3)]
    file = folder / "cluster.json"
    file.write_text(json.dumps(cluster_file(port=ports[0], idle_s=idle_s)))
    fake = {"RAY_FAKE_CLUSTER": "1", "RAY_CLOUD_INSTANCE_ID": HEAD_ID, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID}
    fake |= {"RAY_enable_autoscaler_v2": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_AUTH_MODE": "disabled"}
    environment = {**os.environ, **fake, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(REPOSITORY)}
    environment.pop("RAY_ADDRESS", None)
    flags = [f"--port={ports[0]}", f"--dashboard-port={ports[1]}", f"--ray-client-server-port={ports[2]}"]
    flags += ["--node-ip-address=127.0.0.1", "--num-cpus=2", "--min-worker-port=0", "--max-worker-port=0", f"--autoscaling-config={file}"]
    ray = Path(sys.executable).with_name("ray")
    with (folder / "head.log").open("wb") as log:
        process = subprocess.Popen([ray, "start", "--head", "--block", *flags], stdout=log, stderr=log, env=environment)
    head = Head(tuple(ports), environment, process)
    try:
        until = time.monotonic() + 180
        while not is_open(ports[0]):
            assert time.monotonic() < until, "the head did not come up"
            assert process.poll() is None, (folder / "head.log").read_text()[-2000:]
            time.sleep(0.2)
        yield head
    finally:
        head.kill()
