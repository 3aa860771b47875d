"""Capacity: what a worker reserves, how many fit on a cluster at once, and errors for what never would."""

import ray

from ganray.cluster.autoscaling.demand import Demand, check_satisfiable
from ganray.cluster.autoscaling.node_types import find_growth
from ganray.cluster.autoscaling.room import count_workers, max_workers
from ganray.cluster.autoscaling.status import ClusterNode, read_status
from ganray.config import Job
from ganray.errors import ClusterError, ConfigError, plural


def worker_resources(job: Job) -> dict[str, float]:
    """Return what one training worker of a job reserves; GPUs only once `use_gpu: auto` is resolved to true."""
    return {"CPU": job.resources.cpus_per_worker} | ({"GPU": job.resources.gpus_per_worker} if job.use_gpu is True else {})


def max_worker_groups(job: Job, *, workers: int) -> int:
    """Return how many groups of `workers` workers the connected cluster can hold, as it is or once its autoscaler has grown it.

    Where nobody can tell what its autoscaler may start, as on Kubernetes, one more than it holds as it is: which asks for nodes.
    """
    growth, status = find_growth(), read_status()
    has_unknown_types = growth is None and status is not None and status.update > 0
    return max_workers(_nodes(), growth, worker_resources(job)) // workers + has_unknown_types


def check_worker_group_fits(job: Job, *, workers: int) -> None:
    """Raise `ClusterError`, naming the resource that is missing, if not even one group of `workers` workers can be placed."""
    if max_worker_groups(job, workers=workers):
        return
    worker, nodes = worker_resources(job), [node.resources for node in _nodes()]
    check_satisfiable(Demand(worker, workers, "sweep.workers"), _nodes(), find_growth())
    missing = [name for name in worker if not count_workers(nodes, {name: worker[name]}) // workers] or list(worker)
    wanted = " and ".join(f"{worker[name]:g} {name}" for name in missing)
    available = " and ".join(f"{sum(node.get(name, 0) for node in nodes):g} {name}" for name in missing)
    group = f"a trial of {plural(workers, 'worker')} with {wanted} each"
    remedy = "use fewer sweep.workers" if workers > 1 else f"lower resources.{missing[0].lower()}s_per_worker"
    problem = f"{group} cannot be placed: the cluster has {available} on {plural(len(nodes), 'node')}"
    raise ClusterError("sweep.workers", problem, f"{remedy}, or add nodes")


def check_local_resources(job: Job) -> None:
    """Raise `ConfigError` if a local Ray, which cannot grow, has too few CPUs or GPUs for the job's workers."""
    available, worker = ray.cluster_resources(), worker_resources(job)
    needed = {name: job.min_workers * amount for name, amount in worker.items()}
    who = f"{plural(job.min_workers, 'worker')} need{'s' if job.min_workers == 1 else ''}"
    if needed["CPU"] > (cpus := available.get("CPU", 0.0)):
        most = max(int(cpus / worker["CPU"]), 1)
        remedy = f"use workers={most}, resources.cpus_per_worker={cpus / job.min_workers:g}, or a cluster (--address)"
        raise ConfigError("workers", f"{who} {plural(needed['CPU'], 'CPU')} and this machine has {cpus:g}", remedy)
    if needed.get("GPU", 0.0) > (gpus := available.get("GPU", 0.0)):
        remedy = "use use_gpu=false, fewer workers, or a cluster (--address)"
        raise ConfigError("use_gpu", f"{who} {plural(needed['GPU'], 'GPU')} and this machine has {gpus:g}", remedy)


def check_reachable(job: Job) -> None:
    """Raise `ClusterError` if neither the connected cluster nor what its autoscaler may start ever has room for the job's workers."""
    demand, nodes = demand_of(job), _nodes()
    if max_workers(nodes, None, demand.worker) < demand.number:
        check_satisfiable(demand, nodes, find_growth())


def demand_of(job: Job) -> Demand:
    """Return the fewest workers that a job trains with, and what they reserve."""
    return Demand(worker_resources(job), job.min_workers)


def _nodes() -> list[ClusterNode]:
    """Return the nodes that are alive, with what each has in all, in use or not."""
    if status := read_status():
        return list(status.nodes)
    return [ClusterNode("", node["Resources"]) for node in ray.nodes() if node["Alive"]]
