"""Places that a process reserved are given back once it has been ended."""

from typing import Any

import pytest
import ray
from ray.util.placement_group import placement_group, placement_group_table

from ganray.cluster.placement import remove_orphaned_placement_groups


@ray.remote(num_cpus=0)
class Reserver:
    """Reserves places, as Ray Train's controller does for its workers."""

    def reserve(self) -> str:
        """Reserve a CPU and return the group's id."""
        group = placement_group([{"CPU": 1.0}])
        assert group.wait(30)
        return str(group.id.hex())


def state_of(group: str) -> str:
    """Return the state of a placement group, by its id."""
    table: dict[str, Any] = placement_group_table()
    return str(table[group]["state"])


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_address")
def test_places_of_a_process_that_was_ended_are_given_back() -> None:
    ended, lives = Reserver.remote(), Reserver.remote()
    groups = ray.get([reserver.reserve.remote() for reserver in (ended, lives)])
    assert [state_of(group) for group in groups] == ["CREATED", "CREATED"]
    ray.kill(ended)
    remove_orphaned_placement_groups()
    assert [state_of(group) for group in groups] == ["REMOVED", "CREATED"]
    ray.kill(lives)
    remove_orphaned_placement_groups()
    assert state_of(groups[1]) == "REMOVED"
