"""Noticing what goes wrong in training, from the statistics that every line of metrics holds anyway. Every rank judges alike."""

from dataclasses import dataclass

from ganray.config import Divergence
from ganray.gan.stats import STATS

SKIPPED = "step/skipped"
GRACE_IMAGES = 20_000  # before which, or before a tenth of the run, nothing is called collapsed or won
MIN_DIVERSITY = 0.05  # of a batch of fakes: their mean squared distance over that of reals
MAX_DIVERSITY = 100.0  # beyond which samples have left the range of pictures for good
WINNING_ACCURACY = 0.999
WINNING_STRETCHES = 3  # lines of metrics in a row
LOST_RECALL = 0.1  # of the best so far
REMEDY = "lower learning rates, or raise penalties.r1_gamma"


@dataclass(frozen=True)
class Event:
    """Something went wrong. `ends` is why the run shall end for it, if it shall."""

    name: str
    says: str
    ends: str | None = None


class DivergenceMonitor:
    """Judges each line of metrics and each score; tells of a trouble when it begins, not again while it lasts."""

    def __init__(self, config: Divergence, *, total_images: int) -> None:
        self.config = config
        self.grace = min(GRACE_IMAGES, total_images // 10)
        self.ongoing: set[str] = set()
        self.won_for = 0
        self.best_recall = 0.0

    def line(self, means: dict[str, float], images_seen: int) -> list[Event]:
        """Return what there is to say of a stretch of steps, given its means, up to so many images."""
        skipped, settled, measured = means[SKIPPED], images_seen >= self.grace, STATS[0] in means
        exploded = measured and means["samples/diversity"] > MAX_DIVERSITY
        diverged = exploded or skipped >= self.config.max_skipped
        self.won_for = self.won_for + 1 if measured and means["discriminator/accuracy"] >= WINNING_ACCURACY else 0
        collapsed = settled and measured and means["samples/diversity"] < MIN_DIVERSITY
        not_finite = f"{skipped:.0%} of steps had gradients that were not finite"
        troubles = {
            "skipped": (skipped > 0 and not diverged, f"{not_finite}, and were skipped"),
            "diverged": (diverged, f"training has diverged: {'samples are far out of range' if exploded else not_finite}"),
            "discriminator won": (
                settled and self.won_for >= WINNING_STRETCHES,
                f"the discriminator tells every fake from every real: {REMEDY}",
            ),
            "collapsed": (collapsed, f"samples have become alike: {REMEDY}"),
        }
        return self._begun(troubles, images_seen)

    def score(self, scores: dict[str, float], images_seen: int) -> list[Event]:
        """Return what there is to say of an evaluation."""
        recall, best = scores["metric/recall"], self.best_recall
        self.best_recall = max(best, recall)
        lost = images_seen >= self.grace and best >= LOST_RECALL and recall < LOST_RECALL * best
        return self._begun({"lost recall": (lost, f"recall fell from {best:.2f} to {recall:.2f}: samples have lost variety")}, images_seen)

    def _begun(self, troubles: dict[str, tuple[bool, str]], images_seen: int) -> list[Event]:
        collapse = {"collapsed": "collapsed", "lost recall": "collapsed"} if self.config.on_collapse == "stop" else {}
        ends = {"diverged": "diverged"} | collapse
        begun = [
            Event(name, f"at {images_seen:,} images {says}", ends.get(name))
            for name, (is_so, says) in troubles.items()
            if is_so and (name not in self.ongoing or name in ends)
        ]
        for name, (is_so, _) in troubles.items():
            (self.ongoing.add if is_so else self.ongoing.discard)(name)
        return begun
