"""The divergence monitor over recipes and learning rates: no good trial is ended, and a collapsed one is.

Every trial trains to its end on Fashion-MNIST at 16 x 16, whatever the monitor finds, and is scored on the way. `ended` is where
the monitor would have ended it with divergence.on_collapse=stop, `warned` where it warns of a discriminator that wins. A trial is
good if its last Frechet distance is less than half of the first, and collapsed if its samples are alike for the last quarter, and
less varied than before. With `--out` the
lines of metrics that the monitor judged are kept, which tests/train/test_collapse.py judges again.
"""

import argparse
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.fashion import Ganray, LabelledImages, load_images, moments
from ganray.config import Divergence, Job, load_job
from ganray.gan.stats import STATS
from ganray.metrics.frechet import Moments, frechet_distance
from ganray.runs.status import MonitorState
from ganray.train.worker.divergence import MIN_DIVERSITY, SKIPPED, DivergenceMonitor

QUICKSTART = Path(__file__).parents[1] / "jobs/quickstart.yaml"
LOG_EVERY = 1_280  # images
NUM_SCORES, NUM_SAMPLES = 8, 2_000
SMALL = ["data.resolution=16", "networks.width=16", "train.precision=float32", "workers=1", "train.max_seconds=null"]
PLAIN = ["networks.conditional=false", "loss={kind: non-saturating}", "penalties={r1_gamma: 0.0, every: 1}"]
CRITIC = ["networks={kind: dcgan, width: 16, discriminator_norm: none}", "loss={kind: wasserstein}", "penalties={wgan_gp: 10}"]
RESIDUAL = ["networks={kind: r3gan, width: 16, depth: 1, latent_dim: 16, group_width: 4}", "loss={kind: relativistic}"]
RECIPES = {
    "quickstart": [],
    "plain": PLAIN,
    "diff-augment": [*PLAIN, "augment={kind: diff-augment}"],
    "hinge": [*PLAIN, "loss={kind: hinge}"],
    "saturating": [*PLAIN, "loss={kind: saturating}"],
    "wgan-gp": CRITIC,
    "r3gan": [*RESIDUAL, "penalties={r1_gamma: 0.1, r2_gamma: 0.1}"],
}
RATES = ("5e-5", "2e-4", "1e-3", "1e-2")  # of both networks
UNEQUAL = {  # of generator and discriminator; one that soon stands still is played until all samples are alike
    "plain": [("1e-2", "1e-4"), ("2e-2", "1e-5"), ("1e-5", "2e-3"), ("1e-1", "1e-1")],
    "hinge": [("5e-3", "{start: 2e-3, end: 1e-8, images: 6_000}")],
    "saturating": [("2e-3", "1e-4"), ("2e-3", "{start: 1e-3, end: 1e-8, images: 10_000}")],
}
SHORT = [("quickstart", "1e-3", "1e-3"), ("plain", "5e-5", "5e-5"), ("hinge", *UNEQUAL["hinge"][0])]


@dataclass
class Trial:
    """A trial: (images, diversity, accuracy, skipped) of each line of metrics, and Frechet distances by images."""

    recipe: str
    generator_rate: str
    discriminator_rate: str
    lines: list[tuple[int, float, float, float]] = field(default_factory=list)
    frechet: dict[int, float] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether the samples have come much nearer to the reals."""
        first, *_, last = self.frechet.values()
        return last < first / 2

    @property
    def has_collapsed(self) -> bool:
        """Whether the samples were alike for the last quarter, and less varied than before."""
        diversity = [line[1] for line in self.lines]
        before, last = diversity[: -len(diversity) // 4], diversity[-len(diversity) // 4 :]
        return max(last) < min(MIN_DIVERSITY, max(before))

    def found(self, event: str, *, patience: int) -> int | None:
        """Return the images at which the monitor raises an event for the first time."""
        monitor = DivergenceMonitor(Divergence(on_collapse="stop", patience=patience), MonitorState())
        for images, diversity, accuracy, skipped in self.lines:
            means = {**dict.fromkeys(STATS, 0.0), SKIPPED: skipped, "samples/diversity": diversity, "discriminator/accuracy": accuracy}
            if any(begun.name == event for begun in monitor.check_metrics(means, images)):
                return images
        return None


def main() -> None:
    """Train all trials, print what the monitor makes of each, and whether it ended what it should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=102_400, help="images that each trial trains on")
    parser.add_argument("--patience", type=int, default=Divergence().patience, help="divergence.patience of the monitor")
    parser.add_argument("--short", action="store_true", help="three trials only")
    parser.add_argument("--only", choices=RECIPES, help="one recipe only")
    parser.add_argument("--out", type=Path, help="a .jsonl file that the trials are added to, a line each")
    arguments = parser.parse_args()
    data = load_images("train", side=16)
    reference, trials = moments(data[0]), []
    for trial in planned(short=arguments.short, only=arguments.only):
        train(trial, data, reference, arguments.images)
        trials.append(trial)
        print(described(trial, arguments.patience), flush=True)
        if arguments.out:
            with arguments.out.open("a") as file:
                file.write(json.dumps(asdict(trial)) + "\n")
    for name, chosen in (("good", [t for t in trials if t.is_good]), ("collapsed", [t for t in trials if t.has_collapsed])):
        ended = sum(trial.found("collapsed", patience=arguments.patience) is not None for trial in chosen)
        print(f"{name} trials that the monitor ends: {ended} of {len(chosen)}")


def planned(*, short: bool, only: str | None) -> list[Trial]:
    """Return the trials to train."""
    pairs = {recipe: [*((rate, rate) for rate in RATES), *UNEQUAL.get(recipe, [])] for recipe in RECIPES} | {"hinge": UNEQUAL["hinge"]}
    trials = SHORT if short else [(recipe, *pair) for recipe, rates in pairs.items() for pair in rates]
    return [Trial(*trial) for trial in trials if only in (None, trial[0])]


def train(trial: Trial, data: LabelledImages, reference: Moments, images: int) -> None:
    """Train a trial, and note its lines of metrics and scores."""
    training = Ganray(data, job_of(trial, images))
    sums, steps = torch.zeros(len(STATS) + 1), 0
    while (seen := training.state.images_seen) < images:
        sums, steps = sums + training.measured_step(), steps + 1
        now = training.state.images_seen
        if now // LOG_EVERY > seen // LOG_EVERY:
            *means, skipped = (sums / steps).tolist()
            line = dict(zip(STATS, means, strict=True))
            trial.lines.append((now, round(line["samples/diversity"], 4), round(line["discriminator/accuracy"], 4), round(skipped, 4)))
            sums, steps = torch.zeros(len(STATS) + 1), 0
        if now == LOG_EVERY or now * NUM_SCORES // images > seen * NUM_SCORES // images:
            trial.frechet[now] = round(frechet_distance(moments(training.samples(number=NUM_SAMPLES)), reference), 3)


def job_of(trial: Trial, images: int) -> Job:
    """Return the job that a trial trains."""
    rates: dict[str, Any] = {"generator": trial.generator_rate, "discriminator": trial.discriminator_rate}
    beta = 0.5 if PLAIN[0] in RECIPES[trial.recipe] else 0.0
    optimizer = [f"optimizer.{network}={{lr: {rate}, beta1: {beta}, beta2: 0.999}}" for network, rate in rates.items()]
    small = [override for override in SMALL if trial.recipe != "r3gan" or not override.startswith("networks")]
    return load_job(QUICKSTART, [*small, f"train.total_images={images}", *RECIPES[trial.recipe], *optimizer])


def described(trial: Trial, patience: int) -> str:
    """Return a trial and what the monitor makes of it as a line."""
    rates = f"{trial.generator_rate} / {trial.discriminator_rate}"
    diversity = [f"{line[1]:.2f}" for line in trial.lines[:: max(len(trial.lines) // 6, 1)]]
    verdicts = {"ended": trial.found("collapsed", patience=patience), "warned": trial.found("discriminator won", patience=patience)}
    found = ", ".join(f"{name} at {images:,}" for name, images in verdicts.items() if images is not None) or "nothing found"
    return f"{trial.recipe}, rates {rates}: frechet {list(trial.frechet.values())}, diversity {' '.join(diversity)}: {found}"


if __name__ == "__main__":
    main()
