"""The line between a run's workers and its driver: progress comes up, a request to stop goes down."""

from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@ray.remote(num_cpus=0)
class Monitor:
    """Holds the newest progress and the events that the driver has not shown yet."""

    def __init__(self) -> None:
        self.progress: dict[str, Any] = {}
        self.events: list[str] = []
        self.stop = False

    def push(self, progress: dict[str, Any]) -> bool:
        """Take newer values of some keys; return whether the run shall stop."""
        self.progress.update(progress)
        return self.stop

    def say(self, event: str) -> None:
        """Take a line for the user."""
        self.events.append(event)

    def request_stop(self) -> None:
        """Ask the workers to checkpoint and end."""
        self.stop = True

    def take(self) -> tuple[dict[str, Any], list[str]]:
        """Return the progress so far and the events since the last call."""
        events, self.events = self.events, []
        return self.progress, events


def was_asked_to_stop(monitor: Any) -> bool:
    """Return whether the driver has asked the workers to stop."""
    return ray.get(monitor.push.remote({}))


def start_monitor() -> Any:
    """Return a monitor that lives on this node, as long as its driver."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return Monitor.options(scheduling_strategy=here).remote()


class MonitorClient:
    """Rank 0's end: sends without waiting, and reads the answer to an earlier message when it has come."""

    def __init__(self, monitor: Any) -> None:
        self.monitor = monitor
        self.answer: Any = None
        self.stop_requested = False

    def push(self, **progress: Any) -> None:
        """Send progress, and note whether a stop was asked for by the time of the last message that was answered."""
        if self.answer is not None:
            ready, _ = ray.wait([self.answer], timeout=0)
            if not ready:
                return
            self.stop_requested |= ray.get(self.answer)
        self.answer = self.monitor.push.remote(progress)

    def say(self, event: str) -> None:
        """Send a line for the user."""
        self.monitor.say.remote(event)
