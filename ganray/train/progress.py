"""The progress actor of a run, between its workers and its driver: metrics and messages go up, a request to stop goes down."""

from typing import Any

import ray

from ganray.cluster.placement import on_this_node

NODES = "nodes"  # the metric that says on which node each worker trains, from the moment that they do
STARTED = "started"  # the metric that says when and where training began on them: time, images_seen, attempt
LOST = "lost"  # the metric that says what died last, and when: message, time
CONTROLLER = "controller"  # the metric with the newest sign of life of Ray Train's controller: its time
ANSWER_S = 1.0  # that the driver waits for an answer at a time


class ProgressActor:
    """Holds the newest metrics, and the messages that the driver has not logged yet."""

    def __init__(self, title: str = "") -> None:
        self.title = title
        self.metrics: dict[str, Any] = {}
        self.messages: list[str] = []
        self.stop_requested = False
        self.checkpoint_requests = 0

    def __repr__(self) -> str:
        return f"progress of {self.title}"  # what Ray's dashboard calls the actor

    def push(self, metrics: dict[str, Any]) -> tuple[bool, int]:
        """Take newer values of some metrics; return whether the run shall stop, and how often a checkpoint was asked for."""
        self.metrics.update(metrics)
        return self.stop_requested, self.checkpoint_requests

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

    def take(self, stop_requested: bool, checkpoint_requests: int) -> tuple[dict[str, Any], list[str]]:
        """Return the metrics so far and the messages since the last call; take requests to stop and for checkpoints."""
        self.stop_requested |= stop_requested
        self.checkpoint_requests = max(self.checkpoint_requests, checkpoint_requests)
        messages, self.messages = self.messages, []
        return self.metrics, messages


def start_progress_actor(title: str) -> Any:
    """Return a progress actor that lives on this node, as long as its driver; if its process dies, Ray starts it again, empty.

    `title` says in Ray's dashboard whose progress it is.
    """
    actor: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(ProgressActor)
    return actor.options(scheduling_strategy=on_this_node()).remote(title)


class ProgressReader:
    """The driver's end: never waits long, since the actor's process may have died, and sends requests with every call.

    `controller` is the time of the newest sign of life of Ray Train's controller.
    """

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.metrics: dict[str, Any] = {}
        self.controller: float | None = None
        self.answer: Any = None

    def take(self, *, stop_requested: bool, checkpoint_requests: int = 0) -> tuple[dict[str, Any], list[str]]:
        """Return the metrics so far and the messages since the last call."""
        self.answer = self.answer or self.actor.take.remote(stop_requested, checkpoint_requests)
        ready, _ = ray.wait([self.answer], timeout=ANSWER_S)
        if not ready:
            return self.metrics, []
        metrics, messages = ray.get(self.answer)
        self.answer = None
        self.controller = metrics.pop(CONTROLLER, self.controller)
        self.metrics.update(metrics)
        return self.metrics, messages


class ProgressClient:
    """Rank 0's end: sends without waiting, and reads the answer to an earlier message when it has come."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.answer: Any = None
        self.stop_requested = self.checkpoint_requested = False
        self.num_requests: int | None = None  # for checkpoints, as far as this process has heard

    def push(self, **metrics: Any) -> None:
        """Send metrics, and note whether a stop or a checkpoint was requested by the time of the last message that was answered."""
        if self.answer is not None:
            ready, _ = ray.wait([self.answer], timeout=0)
            if not ready:
                return
            stop_requested, num_requests = ray.get(self.answer)
            self.stop_requested |= stop_requested
            self.checkpoint_requested |= num_requests > (num_requests if self.num_requests is None else self.num_requests)
            self.num_requests = num_requests
        self.answer = self.actor.push.remote(metrics)

    def warn(self, message: str) -> None:
        """Send a message for the user."""
        self.actor.warn.remote(message)
