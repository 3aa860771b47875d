"""The page of a sweep: its winner and finalists, its trials, and what the search found."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ganray.config import Job, Sweep, check_job
from ganray.config.renamed import modernise
from ganray.errors import ConfigError
from ganray.report import sweep_figures
from ganray.report.importance import importances
from ganray.report.page import ChartSection, data_uri, render_page
from ganray.report.parallel_coordinates import parallel_coordinates
from ganray.runs.run import JOB, RESULT
from ganray.runs.trials import Trial, best_first, read_trials, trial_name
from ganray.storage import MissingObject, ObjectStore

FINALISTS = "finalists.json"
RANKED = "The stronger the line, the better the trial; the pointer names it."


def render_sweep(sweep: ObjectStore, name: str) -> str:
    """Return the page of the sweep in a store. Raises `ConfigError` if it has no trials yet."""
    stored, trials = _read_json(sweep, JOB), read_trials(sweep)
    if stored is None or not trials:
        raise ConfigError("NAME", f"sweep {name!r} has no trials yet", "wait until it has some")
    return render(check_job(modernise(stored)), trials, sweep)


def render(job: Job, trials: list[Trial], sweep: ObjectStore) -> str:
    """Return the page as HTML; what there is nothing to show of yet has no section."""
    assert job.sweep is not None
    ranked = best_first(trials, maximise=job.sweep.maximise)
    finalists = (_read_json(sweep, FINALISTS) or {"rows": []})["rows"]
    values = {
        "job": job,
        "metric": sweep_figures.metric_name(job.sweep),
        "statuses": Counter(trial.status for trial in trials),
        "images": sum(trial.images for trial in trials),
        "result": _read_json(sweep, RESULT),
        "winner": trials[finalists[0]["trial"]] if finalists else None,
        "finalists": [row | {"grid": _sample_grid(sweep, row["trial"])} for row in finalists],
        "final_scores": {row["trial"]: row["score"] for row in finalists},
        "fields": sorted(job.sweep.space),
        "trials": [*ranked, *(trial for trial in trials if trial not in ranked)],
    }
    return render_page("sweep.html.j2", chart_sections(job.sweep, trials, ranked), values)


def chart_sections(sweep: Sweep, trials: list[Trial], ranked: list[Trial]) -> Iterator[ChartSection]:
    """Yield the sections for which there is data."""
    importance = "How much each field decides whether a trial is among the best (PED-ANOVA, Watanabe et al. 2023)."
    lineage = (
        "Who copied whose training state, and when. A colour stands for the initial weights that a member carries; grey ones died out."
    )
    spent = "The best score so far, over the images of all trials."
    charts = (
        ("Best score over images spent", spent, sweep_figures.best_so_far(sweep, trials), 0),
        ("Learning curves", f"Every trial's scores as it trained. {RANKED}", sweep_figures.learning_curves(sweep, trials, ranked), 0),
        (
            "Parallel coordinates",
            f"Every trial's params and its best score. {RANKED}",
            parallel_coordinates(sweep, ranked),
            80 * (len(sweep.space) + 1),
        ),
        ("Importance", importance, sweep_figures.importance_bars(importances(sweep, ranked)), 0),
        ("Lineage", lineage, sweep_figures.lineage(trials), 0),
    )
    return (ChartSection(title, caption, [figure], width) for title, caption, figure, width in charts if figure is not None)


def _sample_grid(sweep: ObjectStore, trial: int) -> str | None:
    """Return a finalist's grid of samples as a data URI."""
    try:
        return data_uri(sweep.read(f"finalists/{trial_name(trial)}.png"))
    except MissingObject:
        return None


def _read_json(sweep: ObjectStore, key: str) -> Any:
    """Return what a file of the sweep holds, None without it."""
    try:
        return json.loads(sweep.read(key))
    except MissingObject:
        return None
