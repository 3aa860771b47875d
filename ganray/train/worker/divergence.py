"""The divergence monitor: notices what goes wrong in training, from statistics that every line of metrics holds anyway.

Every rank judges the same averaged numbers, so all ranks come to the same decision.
"""

from dataclasses import dataclass

from ganray.config import Divergence
from ganray.gan.stats import STATS
from ganray.runs.status import EndReason

SKIPPED = "step/skipped"
GRACE_IMAGES = 20_000  # before which, or before a tenth of the run, nothing is called collapsed or won
MIN_DIVERSITY = 0.05  # of a batch of fakes: their mean squared distance over that of reals
MAX_DIVERSITY = 100.0  # beyond which samples have left the range of images for good
WINNING_ACCURACY = 0.999
WINNING_INTERVALS = 3  # lines of metrics in a row
LOST_RECALL = 0.1  # of the best so far
REMEDY = "lower learning rates, or raise penalties.r1_gamma"


@dataclass(frozen=True)
class Event:
    """Something went wrong. `ends` is why the run ends for it, None if it goes on."""

    name: str
    message: str
    ends: EndReason | None = None


class DivergenceMonitor:
    """Judges each line of metrics and each score; an event is raised when its condition begins, not again while it lasts."""

    def __init__(self, config: Divergence, *, total_images: int) -> None:
        self.config = config
        self.grace = min(GRACE_IMAGES, total_images // 10)
        self.ongoing: set[str] = set()
        self.num_won = 0  # intervals in a row
        self.best_recall = 0.0

    def check_metrics(self, means: dict[str, float], images_seen: int) -> list[Event]:
        """Return the events of an interval of steps, given its mean statistics."""
        skipped, settled, measured = means[SKIPPED], images_seen >= self.grace, STATS[0] in means
        exploded = measured and means["samples/diversity"] > MAX_DIVERSITY
        diverged = exploded or skipped >= self.config.max_skipped
        self.num_won = self.num_won + 1 if measured and means["discriminator/accuracy"] >= WINNING_ACCURACY else 0
        collapsed = settled and measured and means["samples/diversity"] < MIN_DIVERSITY
        not_finite = f"{skipped:.0%} of steps had gradients that were not finite"
        conditions = {
            "skipped": (skipped > 0 and not diverged, f"{not_finite}, and were skipped"),
            "diverged": (diverged, f"training has diverged: {'samples are far out of range' if exploded else not_finite}"),
            "discriminator won": (
                settled and self.num_won >= WINNING_INTERVALS,
                f"the discriminator tells every fake from every real: {REMEDY}",
            ),
            "collapsed": (collapsed, f"samples have become alike: {REMEDY}"),
        }
        return self._begun(conditions, images_seen)

    def check_scores(self, scores: dict[str, float], images_seen: int) -> list[Event]:
        """Return the events of an evaluation."""
        recall, best = scores["metric/recall"], self.best_recall
        self.best_recall = max(best, recall)
        lost = images_seen >= self.grace and best >= LOST_RECALL and recall < LOST_RECALL * best
        return self._begun({"lost recall": (lost, f"recall fell from {best:.2f} to {recall:.2f}: samples have lost variety")}, images_seen)

    def _begun(self, conditions: dict[str, tuple[bool, str]], images_seen: int) -> list[Event]:
        collapsed = {"collapsed": EndReason.COLLAPSED, "lost recall": EndReason.COLLAPSED} if self.config.on_collapse == "stop" else {}
        ends = {"diverged": EndReason.DIVERGED} | collapsed
        begun = [
            Event(name, f"at {images_seen:,} images {message}", ends.get(name))
            for name, (holds, message) in conditions.items()
            if holds and (name not in self.ongoing or name in ends)
        ]
        for name, (holds, _) in conditions.items():
            (self.ongoing.add if holds else self.ongoing.discard)(name)
        return begun
