"""The node types of a cluster's autoscaler, read on its head from the file that the autoscaler reads itself (`ray up` writes it there).

Ray tells drivers nothing of them. On Kubernetes there is no such file.
"""

import contextlib
import functools
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import yaml
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

MONITORS = ("autoscaler/v2/monitor.py", "autoscaler/_private/monitor.py")  # the autoscaler's process runs one of these
HEAD = "node:__internal_head__"  # the resource that marks a cluster's head
MAX_WORKERS = 2  # Ray's default of a cluster file
FRESH_S = 60  # for which node types are kept: `ray up --no-restart` may change them
ANSWER_S = 30.0


@dataclass(frozen=True)
class NodeType:
    """A kind of node that the autoscaler starts. `resources` are what one has, empty where only its cloud knows."""

    name: str
    resources: Mapping[str, float]
    max_nodes: int


@dataclass(frozen=True)
class Growth:
    """What the autoscaler may start: its node types, without the head's, and the most nodes of all types together."""

    types: tuple[NodeType, ...]
    max_nodes: int


def find_growth() -> Growth | None:
    """Return what the connected cluster's autoscaler may start; None where there is none, or it reads no file."""
    if ray.util.client.ray.is_connected():
        return None
    return _growth_of(ray.get_runtime_context().gcs_address, int(time.monotonic() / FRESH_S))


@functools.lru_cache(maxsize=1)
def _growth_of(gcs_address: str, _: int) -> Growth | None:
    heads = [node["NodeID"] for node in ray.nodes() if node["Alive"] and HEAD in node["Resources"]]
    if not heads:
        return None
    if heads == [ray.get_runtime_context().get_node_id()]:
        text = read_cluster_file(gcs_address)
    else:
        task: Any = ray.remote(num_cpus=0)(_read_on_head)
        on_head = NodeAffinitySchedulingStrategy(heads[0], soft=False)
        try:
            text = ray.get(task.options(scheduling_strategy=on_head).remote(), timeout=ANSWER_S)
        except (ray.exceptions.RayError, TimeoutError):
            return None
    return parse_growth(text) if text else None


def _read_on_head() -> str | None:
    return read_cluster_file(ray.get_runtime_context().gcs_address)


def read_cluster_file(gcs_address: str) -> str | None:
    """Return the text of the file that the autoscaler of the head on this machine reads; None if it reads none, or none is running."""
    for arguments, folder in _commands():
        is_monitor = any(argument.endswith(MONITORS) for argument in arguments)
        if is_monitor and _option(arguments, "gcs-address") == gcs_address and (file := _option(arguments, "autoscaling-config")):
            with contextlib.suppress(OSError):
                return (folder / os.path.expanduser(file)).read_text()
    return None


def parse_growth(text: str) -> Growth | None:
    """Return what a cluster file lets the autoscaler start; None of a file that is none."""
    try:
        config = yaml.safe_load(text)
        most = int(config.get("max_workers", MAX_WORKERS))
        types = {name: node for name, node in config["available_node_types"].items() if name != config["head_node_type"]}
        return Growth(
            tuple(NodeType(name, _amounts(node.get("resources")), int(node.get("max_workers", most))) for name, node in types.items()), most
        )
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
        return None


def _amounts(resources: Mapping[str, Any] | None) -> dict[str, float]:
    return {name: float(amount) for name, amount in (resources or {}).items()}


def _commands() -> Iterator[tuple[list[str], Path]]:
    """Yield the command line and working folder of each process of this machine that this user may look at."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield (process / "cmdline").read_text(errors="replace").split("\0"), Path(os.readlink(process / "cwd"))


def _option(arguments: list[str], name: str) -> str | None:
    start = f"--{name}="
    return next((argument.removeprefix(start) for argument in arguments if argument.startswith(start)), None)
