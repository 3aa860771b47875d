"""Whether a storage is the same place on every node, on a cluster of two."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from ganray.cluster.shared_storage import check_shared
from ganray.errors import ClusterError
from ganray.storage import MissingObject, ObjectStore, open_store

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module", autouse=True)
def _two_nodes() -> Iterator[None]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield
    ray.shutdown()
    cluster.shutdown()


@dataclass(frozen=True)
class OwnFolder:
    """A store whose objects only the node that it was made on finds."""

    inner: ObjectStore
    node: str

    @property
    def uri(self) -> str:
        return self.inner.uri

    def read(self, key: str) -> bytes:
        if ray.get_runtime_context().get_node_id() != self.node:
            raise MissingObject(key)
        return self.inner.read(key)

    def write(self, key: str, data: bytes) -> None:
        self.inner.write(key, data)

    def delete(self, key: str) -> None:
        self.inner.delete(key)


def test_a_folder_that_all_nodes_see_passes_and_is_left_clean(tmp_path: Path) -> None:
    check_shared(open_store(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_one_node_is_refused_and_is_left_clean(tmp_path: Path) -> None:
    own = OwnFolder(open_store(tmp_path), ray.get_runtime_context().get_node_id())
    with pytest.raises(ClusterError, match="not the same folder on every node"):
        check_shared(own)
    assert list(tmp_path.iterdir()) == []
