"""The metric of a sweep: which score trials are compared by, checked before anything starts."""

from difflib import get_close_matches

from ganray.config import Job, RotationExtractor
from ganray.config.compatibility import KINDS
from ganray.config.evaluate import DEFAULT_SCORE, SCORES
from ganray.errors import ConfigError, enumerated

FIELD = "sweep.metric"
PREFIX = "metric/"


def check_metric(job: Job) -> None:
    """Raise `ConfigError` if a sweep's metric is no score, or its mode not the way in which that is better."""
    sweep = job.required_sweep
    if not job.evaluate.enabled:
        raise ConfigError("evaluate", "is none, and a sweep compares scores", "leave it out")
    if sweep.metric not in SCORES:
        raise ConfigError(FIELD, f"there is no score {sweep.metric!r}", _meant(sweep.metric))
    rules, kind = KINDS[job.data.modality.kind], SCORES[sweep.metric]
    if job.data.modality.kind not in kind.kinds:
        having = [name for name, score in SCORES.items() if job.data.modality.kind in score.kinds]
        raise ConfigError(FIELD, f"{rules.nouns} have no {sweep.metric}", f"use {enumerated(having, last='or')}")
    if kind.mode is None and sweep.mode == "auto":
        raise ConfigError(FIELD, f"of {sweep.metric} {kind.direction}, neither less nor more", f"use {rules.score}, or set sweep.mode")
    if kind.mode and sweep.mode not in ("auto", kind.mode):
        raise ConfigError("sweep.mode", f"{sweep.mode} is against {sweep.metric}, of which {kind.direction}", "leave it at auto")


def check_has_score(job: Job, metric: str) -> None:
    """Raise `ConfigError` if generators of a job, a trial's or the sweep's own once it is resolved, do not have a score."""
    needs = SCORES[metric].needs
    if needs and isinstance(job.evaluate.extractor, RotationExtractor):
        problem = f"{metric} compares classes, which an extractor of kind rotation does not tell apart"
        raise ConfigError(FIELD, problem, f"use {DEFAULT_SCORE}, or data with labels and evaluate.extractor.kind=classifier")
    if needs == "conditional" and not job.networks.conditional:
        raise ConfigError(FIELD, f"only conditional generators have {metric}", "set networks.conditional=true, or use another score")


def _meant(name: str) -> str:
    """Return the score that a typo meant, or all that there are."""
    short = {known.removeprefix(PREFIX): known for known in SCORES}
    close = get_close_matches(name.lower().removeprefix(PREFIX), short, n=1)
    return f"did you mean {short[close[0]]}?" if close else f"use {', '.join(SCORES)}"
