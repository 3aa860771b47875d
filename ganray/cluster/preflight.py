"""Whether a job can run on the cluster that is connected: what would otherwise wait for ever, or fail at the end."""

import uuid

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ganray.config import Job
from ganray.errors import ClusterError
from ganray.storage import MissingObject, ObjectStore


def check_room(job: Job) -> None:
    """Raise `GanrayError` if a cluster that cannot grow, like a local Ray, has too few CPUs or GPUs for the job's workers."""
    there = ray.cluster_resources()
    cpus, gpus = there.get("CPU", 0), there.get("GPU", 0)
    needed = job.workers * job.resources.cpus_per_worker
    if needed > cpus:
        fits = max(int(cpus / job.resources.cpus_per_worker), 1)
        remedy = f"use workers={fits}, resources.cpus_per_worker={cpus / job.workers:g}, or a cluster (--address)"
        raise ClusterError("workers", f"{job.workers} workers need {needed:g} CPUs and this machine has {cpus:g}", remedy)
    needed = job.workers * job.resources.gpus_per_worker
    if job.use_gpu is True and needed > gpus:
        problem = f"{job.workers} workers need {needed:g} GPUs and this machine has {gpus:g}"
        raise ClusterError("use_gpu", problem, "use use_gpu=false (for a new run), fewer workers, or a cluster (--address)")


def check_shared(storage: ObjectStore) -> None:
    """Raise `GanrayError` if the storage is not the same place on every node of the cluster."""
    others = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["NodeID"] != ray.get_runtime_context().get_node_id()]
    if not others or storage.uri.startswith("s3://"):
        return
    key = f".shared-check-{uuid.uuid4().hex}"
    storage.write(key, b"ganray checks that all nodes see this\n")
    try:
        looks = [sees.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=True)).remote(storage, key) for node in others]
        if not all(ray.get(looks)):
            raise ClusterError("storage", f"{storage.uri} is not the same folder on every node", "use s3://... or a folder that they share")
    finally:
        storage.delete(key)


@ray.remote(num_cpus=0)
def sees(storage: ObjectStore, key: str) -> bool:
    """Return whether this node finds an object."""
    try:
        storage.read(key)
    except MissingObject:
        return False
    return True
