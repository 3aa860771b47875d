"""Placement groups whose creator has died: what one reserves stays reserved until its driver ends, unless the driver removes it.

Ray Train has a remover of its own, which needs Ray's dashboard.
"""

import ray
from ray.core.generated.gcs_pb2 import PlacementGroupTableData  # type: ignore[attr-defined]  # made when it is imported
from ray.util.placement_group import PlacementGroup, remove_placement_group


def remove_orphaned_placement_groups() -> None:
    """Remove the placement groups that actors of this driver have made which have died."""
    job_id = ray.get_runtime_context().get_job_id()
    for row in ray._private.state.state._connect_and_get_accessor().get_placement_group_table():
        group = PlacementGroupTableData.FromString(row)
        is_orphaned = group.creator_actor_dead and group.creator_job_id.hex() == job_id
        if is_orphaned and group.state != PlacementGroupTableData.REMOVED:
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(group.placement_group_id)))
