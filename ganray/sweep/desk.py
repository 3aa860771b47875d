"""The desk between a sweep's driver and its slots: workers ask for a leg and hand in outcomes, the driver assigns and collects."""

from dataclasses import dataclass, field
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

LEAVE = "leave"


@dataclass
class Mail:
    """What the driver has not seen yet: slots that want a leg, legs that dead workers left behind, outcomes, words, and faults by trial."""

    wanting: list[str] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)


@ray.remote(num_cpus=0)
class Desk:
    """Holds what has been assigned to whom. It lives and dies with the sweep's driver."""

    def __init__(self) -> None:
        self.assigned: dict[str, Any] = {}
        self.mail = Mail()
        self.closed = False

    def ask(self, slot: str, fresh: bool) -> dict[str, Any] | str | None:
        """Return the leg that a slot was assigned, `LEAVE`, or None to ask again soon. A `fresh` worker group has nothing under way."""
        leg = self.assigned.get(slot)
        if fresh and isinstance(leg, dict) and leg.pop("taken", False):
            self.mail.dropped.append(self.assigned.pop(slot)["trial"])
            leg = None
        if leg is None:
            if slot not in self.mail.wanting:
                self.mail.wanting.append(slot)
        elif leg != LEAVE:
            leg["taken"] = True
        return leg

    def hand_in(self, slot: str, outcome: dict[str, Any]) -> None:
        """Take the outcome of a slot's leg."""
        self.assigned.pop(slot, None)
        self.mail.outcomes.append(outcome)

    def remark(self, line: str) -> None:
        """Take a line for the user."""
        self.mail.remarks.append(line)

    def fault(self, trial: int, what: str) -> None:
        """Take what a worker met that it could not go on from."""
        self.mail.faults[trial] = what

    def assign(self, slot: str, leg: dict[str, Any] | str) -> None:
        """Give a slot a leg, or ask it to leave; whatever it has asked meanwhile is answered by that."""
        self.assigned[slot] = leg
        self._forget_wish(slot)

    def give_up(self, slot: str) -> int | None:
        """Forget a slot that is gone, and return the trial of the leg that it had, if any."""
        leg = self.assigned.pop(slot, None)
        self._forget_wish(slot)
        return leg["trial"] if isinstance(leg, dict) else None

    def collect(self) -> Mail:
        """Return what has come since the last time."""
        mail, self.mail = self.mail, Mail()
        return mail

    def close(self) -> None:
        """Ask all legs to checkpoint and end."""
        self.closed = True

    def is_closed(self) -> bool:
        """Return whether all legs shall end."""
        return self.closed

    def _forget_wish(self, slot: str) -> None:
        self.mail.wanting = [other for other in self.mail.wanting if other != slot]


def start_desk() -> Any:
    """Return a desk that lives on this node, as long as its driver."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return Desk.options(scheduling_strategy=here).remote()
