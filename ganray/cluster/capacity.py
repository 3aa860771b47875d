"""How many trials a cluster can hold at once: so many are started, and more when it grows."""

from collections.abc import Iterable, Mapping
from typing import Any

import ray

from ganray.config import Job
from ganray.errors import ClusterError


def needs(job: Job) -> dict[str, float]:
    """Return what one worker of a trial's resolved job reserves of its node."""
    return {"CPU": job.resources.cpus_per_worker} | ({"GPU": job.resources.gpus_per_worker} if job.use_gpu is True else {})


def fits(nodes: Iterable[Mapping[str, float]], worker: Mapping[str, float]) -> int:
    """Return how many workers nodes hold at once, each wholly on one of them; shares of a GPU do not cross GPUs."""
    return sum(min(_times(node.get(name, 0.0), amount) for name, amount in worker.items()) for node in nodes)


def count_slots(job: Job, *, workers: int) -> int:
    """Return how many trials of some workers the connected cluster can hold, or could once its autoscaler has grown it."""
    worker = needs(job)
    now = fits((node["Resources"] for node in ray.nodes() if node["Alive"]), worker) // workers
    return max(now, fits([_most()], worker) // workers if _most() else 0)


def check_slots(job: Job, *, workers: int) -> None:
    """Raise `GanrayError`, naming the resource that is missing, if not even one trial can be placed."""
    if count_slots(job, workers=workers):
        return
    worker, nodes = needs(job), [node["Resources"] for node in ray.nodes() if node["Alive"]]
    missing = [name for name in worker if not fits(nodes, {name: worker[name]}) // workers] or list(worker)
    wanted = " and ".join(f"{worker[name]:g} {name}" for name in missing)
    there = " and ".join(f"{sum(node.get(name, 0) for node in nodes):g} {name}" for name in missing)
    problem = f"a trial of {workers} workers with {wanted} each cannot be placed: the cluster has {there} on {len(nodes)} nodes"
    remedy = "use fewer sweep.workers" if workers > 1 else f"lower resources.{missing[0].lower()}s_per_worker"
    raise ClusterError("sweep.workers", problem, f"{remedy}, or add nodes")


def _times(there: float, amount: float) -> int:
    """Return how often an amount fits into what is there."""
    if 0 < amount < 1:
        return int(there) * int(1 / amount + 1e-9) + int((there % 1) / amount + 1e-9)
    return int(there / amount + 1e-9)


def _most() -> dict[str, Any] | None:
    """Return what a cluster with an autoscaler can have in all, None where nothing grows it."""
    return ray._private.state.state.get_max_resources_from_cluster_config()
