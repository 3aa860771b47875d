"""Shared storage: a run's storage must be the same place on every node of its cluster."""

import uuid

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ganray.cluster.errors import results_of
from ganray.errors import ClusterError
from ganray.storage import MissingObject, ObjectStore


def check_shared(storage: ObjectStore) -> None:
    """Raise `ClusterError` if an object written here is not found on every node, or the error of a node; nothing is left behind.

    On this node, other processes see the same folders, but may lack credentials that this one has.
    """
    is_folder = not storage.uri.startswith("s3://")
    here = ray.get_runtime_context().get_node_id()
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"] and not (is_folder and node["NodeID"] == here)]
    if not nodes:
        return
    key = f".shared-check-{uuid.uuid4().hex}"
    storage.write(key, b"ganray checks that all nodes see this\n")
    try:
        on_node = [NodeAffinitySchedulingStrategy(node, soft=True) for node in nodes]
        tasks = [finds.options(scheduling_strategy=strategy).remote(storage, key) for strategy in on_node]
        found = results_of(tasks, "looking for the storage on every node")
        if not all(found):
            remedy = "use s3://... or a folder that they share" if is_folder else "set the same AWS_ variables on all of them"
            raise ClusterError("storage", f"{storage.uri} is not the same folder on every node", remedy)
    finally:
        storage.delete(key)


@ray.remote(num_cpus=0)
def finds(storage: ObjectStore, key: str) -> bool:
    """Return whether this node finds an object."""
    try:
        storage.read(key)
    except MissingObject:
        return False
    return True
