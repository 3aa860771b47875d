"""The progress actor of a run, between its workers and its driver: metrics and messages go up, a request to stop goes down."""

from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

NODES = "nodes"  # the metric that says on which node each worker trains, from the moment that they do
STARTED = "started"  # the metric that says when and where training began on them: time, images_seen, attempt
LOST = "lost"  # the metric that says what died last, and when: message, time
ANSWER_S = 1.0  # that the driver waits for an answer at a time


class ProgressActor:
    """Holds the newest metrics, and the messages that the driver has not logged yet."""

    def __init__(self) -> None:
        self.metrics: dict[str, Any] = {}
        self.messages: list[str] = []
        self.stop_requested = False

    def push(self, metrics: dict[str, Any]) -> bool:
        """Take newer values of some metrics; return whether the run shall stop."""
        self.metrics.update(metrics)
        return self.stop_requested

    def warn(self, message: str) -> None:
        """Take a message for the user; where one worker group trains several trials, they push whose it is."""
        trial = self.metrics.get("trial")
        self.messages.append(message if trial is None else f"trial {trial:04d}: {message}")

    def lose(self, message: str, when: float) -> None:
        """Take what died at a time (Unix seconds)."""
        self.metrics[LOST] = {"message": message, "time": when}

    def request_stop(self) -> None:
        """Ask the workers to checkpoint and end."""
        self.stop_requested = True

    def take(self, stop_requested: bool) -> tuple[dict[str, Any], list[str]]:
        """Return the metrics so far and the messages since the last call; take a request to stop."""
        self.stop_requested |= stop_requested
        messages, self.messages = self.messages, []
        return self.metrics, messages


def start_progress_actor() -> Any:
    """Return a progress actor that lives on this node, as long as its driver; if its process dies, Ray starts it again, empty."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(ProgressActor)
    return actor.options(scheduling_strategy=here).remote()


class ProgressReader:
    """The driver's end: never waits long, since the actor's process may have died, and sends a request to stop with every call."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.metrics: dict[str, Any] = {}
        self.answer: Any = None

    def take(self, *, stop_requested: bool) -> tuple[dict[str, Any], list[str]]:
        """Return the metrics so far and the messages since the last call."""
        self.answer = self.answer or self.actor.take.remote(stop_requested)
        ready, _ = ray.wait([self.answer], timeout=ANSWER_S)
        if not ready:
            return self.metrics, []
        metrics, messages = ray.get(self.answer)
        self.answer = None
        self.metrics.update(metrics)
        return self.metrics, messages


class ProgressClient:
    """Rank 0's end: sends without waiting, and reads the answer to an earlier message when it has come."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.answer: Any = None
        self.stop_requested = False

    def push(self, **metrics: Any) -> None:
        """Send metrics, and note whether a stop was requested by the time of the last message that was answered."""
        if self.answer is not None:
            ready, _ = ray.wait([self.answer], timeout=0)
            if not ready:
                return
            self.stop_requested |= ray.get(self.answer)
        self.answer = self.actor.push.remote(metrics)

    def warn(self, message: str) -> None:
        """Send a message for the user."""
        self.actor.warn.remote(message)
