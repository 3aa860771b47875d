"""Whether a run trains on GPUs: decided once, before its data is prepared, by what nodes have and what their torch can use.

The GPUs of servers are checked likewise.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ganray.cluster.autoscaling.demand import Demand, check_satisfiable
from ganray.cluster.autoscaling.node_types import find_growth
from ganray.cluster.autoscaling.room import Resources, count_workers
from ganray.cluster.autoscaling.status import read_status
from ganray.cluster.capacity import worker_resources
from ganray.cluster.errors import results_of
from ganray.config import Job
from ganray.errors import ClusterUnusable, ConfigError, plural

PROBE = "import torch; print(torch.__version__, torch.backends.cuda.is_built(), torch.cuda.is_available())"
PROBE_TIMEOUT_S = 300.0  # torch is slow to import from a network's disk
HIDING = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")  # set for tasks that reserve no GPU
SERVE_FIELD = "--use-gpu"
REPLICA = {"CPU": 1.0, "GPU": 1.0}  # of a server on GPUs
logger = logging.getLogger(__name__)


def decide_gpus(job: Job) -> Job:
    """Return a job with `use_gpu: auto` decided, by the nodes of the connected cluster as they are now.

    Raises `ConfigError` where it asks for GPUs that the torch of their nodes cannot use, or that workers would have to share. Nodes
    that are still to be started cannot be asked: one of them is when the precision is decided.
    """
    if job.use_gpu is False:
        return job
    nodes = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")}
    problems = find_problems(list(nodes)) if nodes else {}
    decided = job.model_copy(update={"use_gpu": choose(job, nodes, problems)})
    check_not_shared(decided)
    return decided


def check_not_shared(job: Job) -> None:
    """Raise `ConfigError` if workers would have to share a GPU."""
    if job.use_gpu is True and job.max_workers > 1 and job.resources.gpus_per_worker < 1:
        raise ConfigError("resources.gpus_per_worker", "NCCL does not let workers share a GPU", "use 1, or workers=1")


def choose(job: Job, nodes: Mapping[str, Resources], problems: Mapping[str, str]) -> bool:
    """Return whether a job trains on GPUs.

    `nodes` are those with GPUs by their ids, `problems` why torch cannot use those of some. Raises `ConfigError` if the job asks for them.
    """
    worker = worker_resources(job.model_copy(update={"use_gpu": True}))
    has_room = count_workers(nodes.values(), worker) >= job.min_workers
    if not problems or (job.use_gpu == "auto" and not has_room):
        return has_room if job.use_gpu == "auto" else True
    problem = f"{next(iter(problems.values()))}, on {len(problems)} of {plural(len(nodes), 'node')} with GPUs"
    if job.use_gpu == "auto":
        logger.warning("training on CPUs: %s", problem)
        return False
    raise unusable(problem)


def unusable(problem: str) -> ConfigError:
    """Return the error for GPUs that torch cannot use."""
    return ConfigError("use_gpu", problem, "install a build of torch for these GPUs and their driver, or use use_gpu=false")


def unusable_here(*, built: bool, version: str, field: str) -> ClusterUnusable:
    """Return the error for the GPU of this node, which torch of a `version`, with CUDA `built` in or not, cannot use."""
    why = "reaches no GPU" if built else "is built without CUDA"
    problem = f"torch {version} of node {ray.util.get_node_ip_address()} {why}"
    return ClusterUnusable(field, problem, "install a build of torch for its GPU and driver on every node, or use no GPU")


def check_replicas(number: int) -> None:
    """Raise `ConfigError` or `ClusterError` if no GPU is there, or can come, for each replica of a server, or torch cannot use it.

    Nodes that are still to be started cannot be asked.
    """
    nodes = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")}
    if problems := find_problems(list(nodes)) if nodes else {}:
        problem = f"{next(iter(problems.values()))}, on {len(problems)} of {plural(len(nodes), 'node')} with GPUs"
        raise ConfigError(SERVE_FIELD, problem, "install a build of torch for these GPUs and their driver, or leave it out")
    demand, status, growth = Demand(REPLICA, number, SERVE_FIELD), read_status(), find_growth()
    if count_workers(nodes.values(), REPLICA) >= number:
        return
    if growth is None and not (status and status.update):  # there is no autoscaler
        gpus = sum(node["GPU"] for node in nodes.values())
        problem = f"{plural(number, 'replica')} need{'s' if number == 1 else ''} {plural(number, 'GPU')}, and there {_are(gpus)} here"
        raise ConfigError(SERVE_FIELD, problem, "leave it out, or name a cluster that has one (--address)")
    check_satisfiable(demand, list(status.nodes) if status else [], growth)


def _are(gpus: float) -> str:
    return f"are {gpus:g}" if gpus > 1 else "is 1" if gpus else "is none"


def find_problems(nodes: Sequence[str]) -> dict[str, str]:
    """Return why torch cannot use the GPUs of nodes, of those where it cannot. No GPU is reserved, so that busy ones are not waited for."""
    ask = ray.remote(num_cpus=0)(torch_problem)
    tasks = [ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote() for node in nodes]
    found = results_of(tasks, "asking nodes for their GPUs")
    return {node: problem for node, problem in zip(nodes, found, strict=True) if problem}


def torch_problem() -> str | None:
    """Return why torch cannot use this machine's GPUs, None if it can.

    A process of its own looks: this one may be kept from seeing GPUs, and would keep torch and its connection to the driver.
    """
    environment = {name: value for name, value in os.environ.items() if name not in HIDING}
    try:
        probe = subprocess.run([sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"torch cannot be imported within {PROBE_TIMEOUT_S:g} s"
    if probe.returncode:
        return f"torch cannot be imported ({(probe.stderr.strip() or 'killed').splitlines()[-1]})"
    version, is_built, is_available = probe.stdout.split()[-3:]
    if is_built != "True":
        return f"torch {version} is built without CUDA"
    return None if is_available == "True" else f"torch {version} reaches no GPU"
