"""Capacity: what a worker reserves, how many fit on a cluster at once, and errors for what never would."""

from collections.abc import Iterable, Mapping

import ray

from ganray.config import Job
from ganray.errors import ClusterError, ConfigError, plural

Resources = Mapping[str, float]  # amounts by Ray's names: "CPU", "GPU"


def worker_resources(job: Job) -> dict[str, float]:
    """Return what one training worker of a job reserves; GPUs only once `use_gpu: auto` is resolved to true."""
    return {"CPU": job.resources.cpus_per_worker} | ({"GPU": job.resources.gpus_per_worker} if job.use_gpu is True else {})


def count_workers(nodes: Iterable[Resources], worker: Resources) -> int:
    """Return how many workers fit on nodes at once, each wholly on one node; fractions of a GPU do not span GPUs."""
    return sum(min(_multiples(node.get(name, 0.0), amount) for name, amount in worker.items()) for node in nodes)


def max_worker_groups(job: Job, *, workers: int) -> int:
    """Return how many groups of `workers` workers the connected cluster can hold, as it is or once its autoscaler has grown it."""
    worker, grown = worker_resources(job), _autoscaler_limits()
    now = count_workers(_node_resources(), worker) // workers
    return max(now, count_workers([grown], worker) // workers) if grown else now


def check_worker_group_fits(job: Job, *, workers: int) -> None:
    """Raise `ClusterError`, naming the resource that is missing, if not even one group of `workers` workers can be placed."""
    if max_worker_groups(job, workers=workers):
        return
    worker, nodes = worker_resources(job), _node_resources()
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
        remedy = "use use_gpu=false (for a new run), fewer workers, or a cluster (--address)"
        raise ConfigError("use_gpu", f"{who} {plural(needed['GPU'], 'GPU')} and this machine has {gpus:g}", remedy)


def _node_resources() -> list[dict[str, float]]:
    """Return what each node that is alive has in all, in use or not."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _multiples(available: float, amount: float) -> int:
    """Return how often an amount fits; an amount below 1 is placed within whole units, as Ray places fractions of a GPU."""
    if 0 < amount < 1:
        return int(available) * int(1 / amount + 1e-9) + int((available % 1) / amount + 1e-9)
    return int(available / amount + 1e-9)


def _autoscaler_limits() -> Resources | None:
    """Return the most resources that the cluster's autoscaler may add up to, None for a cluster without one."""
    limits: Resources | None = ray._private.state.state.get_max_resources_from_cluster_config()
    return limits or None
