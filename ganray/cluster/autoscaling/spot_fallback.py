"""An autoscaler's provider for AWS that starts on-demand instances where AWS refuses spot ones: Ray itself would ask for spot for ever.

`cluster.yaml` names it as its provider. It is imported where that is read: by `ray up`, and by the autoscaler on the head.
"""

import logging
import time
from typing import Any

from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler.node_launch_exception import NodeLaunchException

logger = logging.getLogger(__name__)

MARKET = "InstanceMarketOptions"
PAUSE_S = 600.0  # without asking for spot of an instance type again after it was refused
NO_SPOT = frozenset(  # EC2's error codes that another market, or another time, has an answer to
    {
        "InsufficientCapacity",
        "InsufficientHostCapacity",
        "InsufficientInstanceCapacity",
        "MaxSpotInstanceCountExceeded",
        "SpotMaxPriceTooLow",
        "UnfulfillableCapacity",
    }
)


class SpotFallbackNodeProvider(AWSNodeProvider):
    """Ray's provider for AWS, which tries every zone for a spot instance, and then the same without `InstanceMarketOptions`."""

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)  # type: ignore[no-untyped-call]
        self.refused: dict[str, float] = {}  # when spot was refused last, by instance type

    def _create_node(self, node_config: dict[str, Any], tags: dict[str, str], count: int) -> dict[str, Any]:
        kind = node_config.get("InstanceType", "")
        if MARKET not in node_config:
            return self._start(node_config, tags, count)
        if time.monotonic() - self.refused.get(kind, -PAUSE_S) >= PAUSE_S:
            try:
                return self._start(node_config, tags, count)
            except NodeLaunchException as error:
                if error.category not in NO_SPOT:
                    raise
                self.refused[kind] = time.monotonic()
                logger.warning("AWS has no spot %s (%s): on-demand instead, for %d minutes", kind, error.category, PAUSE_S // 60)
        return self._start({name: value for name, value in node_config.items() if name != MARKET}, tags, count)

    def _start(self, node_config: dict[str, Any], tags: dict[str, str], count: int) -> dict[str, Any]:
        created: dict[str, Any] = super()._create_node(node_config, dict(tags), count)  # type: ignore[no-untyped-call]
        return created
