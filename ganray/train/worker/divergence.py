"""The divergence monitor: notices what goes wrong in training, from statistics that every line of metrics holds anyway.

Every rank judges the same averaged numbers, so all ranks come to the same decision. What a run was like before is part of its
checkpoints, so a resumed run comes to it too.

Samples of an untrained generator are nearly alike, and a low rate leaves them so for long: runs that ended well had 0.01 to 0.9 of
the reals' diversity after 10,000 images (`python -m benchmarks.collapse`). So a run has collapsed only if its samples are alike after they
were not, or have been alike for `divergence.patience` images without progress.
"""

from dataclasses import dataclass, replace

from ganray.config import Divergence
from ganray.gan.stats import STATS
from ganray.runs.status import EndReason, MonitorState

SKIPPED = "step/skipped"
RECALL = "metric/recall"  # not every kind of sample has it
MIN_DIVERSITY = 0.05  # of a batch of fakes: their mean squared distance over that of reals
MAX_DIVERSITY = 100.0  # beyond which samples have left the range of images for good
GROWTH = 1.1  # of the best diversity, from which it counts as progress
LOST_DIVERSITY = 0.1  # of the best so far
LOST_PATIENCE = 1 / 5  # of `divergence.patience`: less will do for samples that were diverse before
CERTAIN_ACCURACY = 0.98
CERTAIN_IMAGES = 10_000  # of a discriminator that wins, with no progress of the samples
LOST_RECALL = 0.1  # of the best so far
LOST_RECALLS = 2  # evaluations in a row that end a run
REMEDY = "lower learning rates, or raise penalties.r1_gamma"
WON_REMEDY = "raise penalties.r1_gamma, or the generator's rate over the discriminator's"


@dataclass(frozen=True)
class Event:
    """Something went wrong. `ends` is why the run ends for it, None if it goes on."""

    name: str
    message: str
    ends: EndReason | None = None


@dataclass(frozen=True)
class Condition:
    """Something that is wrong while it `holds`; `ends` is why the run ends for it, None if it goes on."""

    holds: bool
    message: str
    ends: EndReason | None = None


class DivergenceMonitor:
    """Judges each line of metrics and each score; an event is raised when its condition begins, not again while it lasts.

    `state` is what it remembers of the run.
    """

    def __init__(self, config: Divergence, state: MonitorState) -> None:
        self.config, self.state = config, state
        self.on_collapse = EndReason.COLLAPSED if config.on_collapse == "stop" else None

    def check_metrics(self, means: dict[str, float], images_seen: int) -> list[Event]:
        """Return the events of an interval of steps, given its mean statistics."""
        skipped, measured = means[SKIPPED], STATS[0] in means
        exploded = measured and means["samples/diversity"] > MAX_DIVERSITY
        diverged = exploded or skipped >= self.config.max_skipped
        not_finite = f"{skipped:.0%} of steps had gradients that were not finite"
        problem = "samples are far out of range" if exploded else not_finite
        conditions = {
            "skipped": Condition(skipped > 0 and not diverged, f"{not_finite}, and were skipped"),
            "diverged": Condition(diverged, f"training has diverged: {problem}", EndReason.DIVERGED),
        }
        if measured:
            conditions |= self._compare(means["samples/diversity"], means["discriminator/accuracy"], images_seen)
        return self._begun(conditions, images_seen)

    def check_scores(self, scores: dict[str, float], images_seen: int) -> list[Event]:
        """Return the events of an evaluation; if `state.collapsed`, the run ends at the next line of metrics."""
        if RECALL not in scores:
            return []
        recall, best = scores[RECALL], self.state.recall
        lost = best >= LOST_RECALL and recall < LOST_RECALL * best
        num_lost = self.state.num_lost_recalls + 1 if lost else 0
        ends = self.on_collapse if num_lost >= LOST_RECALLS else None
        collapsed = self.state.collapsed or ends is not None
        self.state = replace(self.state, recall=max(best, recall), num_lost_recalls=num_lost, collapsed=collapsed)
        message = f"recall fell from {best:.2f} to {recall:.2f}: samples have lost variety"
        return self._begun({"lost recall": Condition(lost, message, ends)}, images_seen)

    def _compare(self, diversity: float, accuracy: float, images_seen: int) -> dict[str, Condition]:
        """Return how samples and discriminator are by what the run had before, which this interval becomes part of."""
        before, best = self.state, self.state.diversity
        reached = min(diversity, 1.0)
        if has_grown := reached > GROWTH * best:
            before = replace(before, diversity=reached, grown_at=images_seen)
        is_lost, is_certain = diversity < LOST_DIVERSITY * best, accuracy >= CERTAIN_ACCURACY
        is_alike = is_lost or diversity < MIN_DIVERSITY
        alike_since = images_seen if before.alike_since is None or has_grown else before.alike_since
        certain_since = images_seen if before.certain_since is None else before.certain_since
        self.state = replace(before, alike_since=alike_since if is_alike else None, certain_since=certain_since if is_certain else None)
        alike, certain = images_seen - alike_since, images_seen - max(certain_since, before.grown_at)
        fell = f"samples have become alike, with {diversity:.0%} of the reals' diversity after {best:.0%}: {REMEDY}"
        stuck = f"samples are alike, and have been for {alike:,} images: use other learning rates"
        won = f"the discriminator tells every fake from every real, and samples grow no more varied: {WON_REMEDY}"
        patience = self.config.patience * (LOST_PATIENCE if is_lost else 1)
        return {
            "discriminator won": Condition(is_certain and certain >= CERTAIN_IMAGES, won),
            "collapsed": Condition(is_alike and alike >= patience, fell if is_lost else stuck, self.on_collapse),
        }

    def _begun(self, conditions: dict[str, Condition], images_seen: int) -> list[Event]:
        ongoing = set(self.state.ongoing)
        begun = [
            Event(name, f"at {images_seen:,} images {condition.message}", condition.ends)
            for name, condition in conditions.items()
            if condition.holds and (name not in ongoing or condition.ends)
        ]
        for name, condition in conditions.items():
            (ongoing.add if condition.holds else ongoing.discard)(name)
        self.state = replace(self.state, ongoing=tuple(sorted(ongoing)))
        return begun
