"""Population-based training between two generations: who copies whom, with what settings, and the copying of training states."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray

from ganray.config import Job
from ganray.config.sweep import Choice, Dimension, PbtScheduler, QUniform, RandInt
from ganray.errors import GanrayError
from ganray.runs.checkpoint import STATE, Checkpoint, checkpoint_names, newest_checkpoint, save_checkpoint, serialise
from ganray.storage import ObjectStore
from ganray.sweep.records import BROKE_BY_ITSELF, PAUSED, Trial, rank_key, trial_store
from ganray.sweep.space import Point, all_values, trial_job, value_at

TRIES = 20  # variations of a point before the donor's own is taken, where they make jobs that cannot be


@dataclass(frozen=True)
class Exploit:
    """One trial that takes over another's state and, varied, its point."""

    trial: int
    donor: int
    point: Point


def plan_exploits(job: Job, trials: list[Trial], images: int) -> list[Exploit]:
    """Return who copies whom after a generation that ended at `images`: the worst quantile, and whoever broke, one of the best.

    Depends on the sweep's seed, the trials' scores and `images` alone, so a driver that was killed decides the same again.
    """
    sweep, scheduler = job.sweep, job.sweep.scheduler
    members = [trial for trial in trials if trial.status in (PAUSED, *BROKE_BY_ITSELF)]
    ranked = sorted(members, key=lambda trial: (_rank(trial, maximise=sweep.maximise), trial.number))
    most = max(1, int(len(ranked) * scheduler.quantile)) if len(ranked) > 1 else 0
    donors = [trial for trial in ranked[:most] if math.isfinite(_rank(trial, maximise=sweep.maximise))]
    losers = [trial for trial in ranked if trial not in donors and (trial in ranked[-most:] or trial.status in BROKE_BY_ITSELF)]
    return [_exploit(job, loser, donors, images) for loser in losers] if donors else []


def carry_out(job: Job, sweep: ObjectStore, trials: list[Trial], images: int) -> list[Exploit]:
    """Let the worst copy the best, in the store and then in the trials' records, and return what was done."""
    exploits = plan_exploits(job, trials, images)
    names = ray.get([copy_state.remote(sweep, exploit.donor, exploit.trial) for exploit in exploits])
    for exploit, name in zip(exploits, names, strict=True):
        trial, donor = trials[exploit.trial], trials[exploit.donor]
        change = {"images": images, "from": donor.number, "checkpoint": name, "before": trial.point, "after": exploit.point}
        trial.lineage.append({**change, "score": trial.last if trial.status == PAUSED else None, "donor_score": donor.last})
        trial.point, trial.status, trial.images, trial.target, trial.reason, trial.ended = exploit.point, PAUSED, images, images, None, None
    return exploits


@ray.remote(num_cpus=0, max_retries=3)
def copy_state(sweep: ObjectStore, donor: int, trial: int) -> str:
    """Give a trial the newest checkpoint of another as its own newest, and return the donor's checkpoint's name."""
    own, other = trial_store(sweep, trial), trial_store(sweep, donor)
    checkpoint, _ = newest_checkpoint(other)
    source = f"{donor}@{checkpoint.name}"
    newest, _ = newest_checkpoint(own)
    if newest is None or newest.progress.get("copied_from") != source:
        adopt(own, checkpoint, newest, source)
    return checkpoint.name


def adopt(own: ObjectStore, checkpoint: Checkpoint, newest: Checkpoint | None, source: str) -> str:
    """Save another trial's checkpoint under an attempt above all of the trial's own, and return its name.

    The attempt is part of the state: it makes the copy's data and latents differ from the donor's from here on. The best
    generator of the trial so far stays its own.
    """
    attempt = max([int(name.split("-")[0]) for name in checkpoint_names(own)] + [checkpoint.manifest["attempt"]]) + 1
    files = {STATE: serialise({**checkpoint.state(), "attempt": attempt})}
    own_best = newest and newest.progress["best"]
    progress = {"trained_s": checkpoint.progress["trained_s"], "best": own_best, "ended": None, "returns": 0, "copied_from": source}
    return save_checkpoint(own, files, images_seen=checkpoint.images_seen, attempt=attempt, progress=progress)


def vary(space: Mapping[str, Dimension], point: Point, scheduler: PbtScheduler, draws: np.random.Generator) -> Point:
    """Return a point near another: each field is drawn anew, scaled by a factor within its range, or moved to a neighbouring value."""
    return {**point, **{path: _varied(space[path], point.get(path), scheduler, draws) for path in sorted(space)}}


def _exploit(job: Job, loser: Trial, donors: list[Trial], images: int) -> Exploit:
    draws = np.random.default_rng((job.sweep.seed, loser.number, images))
    donor = donors[draws.integers(len(donors))]
    for _ in range(TRIES):
        point = vary(job.sweep.space, donor.point, job.sweep.scheduler, draws)
        try:
            trial_job(job, point, loser.number)
        except GanrayError:
            continue
        return Exploit(loser.number, donor.number, point)
    return Exploit(loser.number, donor.number, donor.point)


def _varied(dimension: Dimension, value: Any, scheduler: PbtScheduler, draws: np.random.Generator) -> Any:
    anew, step = draws.random(), int(draws.integers(2))
    if value is None or anew < scheduler.resample:
        return value_at(dimension, float(draws.random()))
    if isinstance(dimension, Choice | RandInt | QUniform):
        values = all_values(dimension)
        nearest = values.index(value) if value in values else 0
        return values[min(max(nearest + (1 if step else -1), 0), len(values) - 1)]
    moved = float(value) * scheduler.factors[step]
    return min(max(moved, dimension.low), dimension.high)


def _rank(trial: Trial, *, maximise: bool) -> float:
    return math.inf if trial.status in BROKE_BY_ITSELF else rank_key(trial.last, maximise=maximise)
