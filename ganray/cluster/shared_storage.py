"""Shared storage: a run's storage must be the same place on every node of its cluster."""

import uuid

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ganray.errors import ClusterError
from ganray.storage import MissingObject, ObjectStore


def check_shared(storage: ObjectStore) -> None:
    """Raise `ClusterError` if an object written here is not found on every other node; nothing is left behind."""
    here = ray.get_runtime_context().get_node_id()
    others = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["NodeID"] != here]
    if not others or storage.uri.startswith("s3://"):
        return
    key = f".shared-check-{uuid.uuid4().hex}"
    storage.write(key, b"ganray checks that all nodes see this\n")
    try:
        on_node = [NodeAffinitySchedulingStrategy(node, soft=True) for node in others]
        if not all(ray.get([finds.options(scheduling_strategy=strategy).remote(storage, key) for strategy in on_node])):
            raise ClusterError("storage", f"{storage.uri} is not the same folder on every node", "use s3://... or a folder that they share")
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
