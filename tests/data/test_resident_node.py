"""Resident data when a node of the cluster dies."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.experimental import get_object_locations

from ganray.data.loading.order import rows
from ganray.data.loading.resident import Resident, load_resident
from ganray.storage import open_store
from tests.helpers.shards import numbers, write_numbered

pytestmark = pytest.mark.cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_shards_are_read_again_when_the_node_that_held_them_dies_though_no_cpu_is_free(cluster: Cluster, tmp_path: Path) -> None:
    node = cluster.add_node(num_cpus=1)
    prepared = write_numbered(open_store(tmp_path), count=2048, rows_per_shard=256, shape=(3, 32, 32))
    resident = load_resident(prepared)
    places = get_object_locations(resident.refs)
    assert any(place["node_ids"] == [node.node_id] for place in places.values())
    busy = ray.remote(num_cpus=1)(_Busy).remote()
    ray.get(busy.__ray_ready__.remote())
    cluster.remove_node(node, allow_graceful=False)
    images, labels = Resident(resident, seed=0).samples(0, 2048)
    assert numbers(images) == labels.tolist() == rows(0, 2048, count=2048, seed=0).tolist()


class _Busy:
    """Takes a CPU."""
