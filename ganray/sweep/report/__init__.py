"""The report of a sweep: one self-contained HTML page that opens without network, charts by plotly in a frame by jinja2."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from ganray.config import Job, Sweep
from ganray.errors import ConfigError
from ganray.storage import MissingObject, ObjectStore, open_store
from ganray.storage.files import atomic_write, local_errors
from ganray.sweep.records import JOB, RESULT, Trial, best_first, read_trials, sweep_store, trial_name
from ganray.sweep.report import figures
from ganray.sweep.report.importance import importances
from ganray.sweep.report.parallel_coordinates import parallel_coordinates

FINALISTS = "finalists.json"
RANKED = "The stronger the line, the better the trial; the pointer names it."


class Chart(NamedTuple):
    """A section of the page that holds a plotly figure; where that has less than `min_width` pixels, it scrolls sideways."""

    title: str
    caption: str
    figure: go.Figure
    min_width: int = 0

    @property
    def anchor(self) -> str:
        """The section's id."""
        return self.title.lower().replace(" ", "-")

    @property
    def json(self) -> Any:
        """The figure as plotly.js takes it: numbers that are not finite as null."""
        return json.loads(self.figure.to_json())


def write_report(storage_uri: str, name: str, path: Path) -> None:
    """Write the page about the sweep `name` to a file. Raises `ConfigError` if there is no such sweep, or it has no trials yet."""
    storage = open_store(storage_uri)
    sweep = sweep_store(storage, name)
    stored, trials = _read_json(sweep, JOB), read_trials(sweep)
    if stored is None or not trials:
        raise ConfigError(
            "SWEEP", f"there is no sweep {name!r} with trials in {storage.uri}", "name one that `ganray sweep` has started there"
        )
    page = render(Job.model_validate(stored), trials, sweep)
    with local_errors("write", path, field="--out"), atomic_write(path) as file:
        file.write(page.encode())


def render(job: Job, trials: list[Trial], sweep: ObjectStore) -> str:
    """Return the page as HTML; what there is nothing to show of yet has no section."""
    assert job.sweep is not None
    ranked = best_first(trials, maximise=job.sweep.maximise)
    finalists = (_read_json(sweep, FINALISTS) or {"rows": []})["rows"]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"short": figures.short, "trial_name": trial_name}
    template = environment.from_string(files(__package__).joinpath("page.html.j2").read_text())
    return template.render(
        job=job,
        metric=figures.metric_name(job.sweep),
        statuses=Counter(trial.status for trial in trials),
        images=sum(trial.images for trial in trials),
        result=_read_json(sweep, RESULT),
        winner=trials[finalists[0]["trial"]] if finalists else None,
        finalists=[row | {"grid": _sample_grid(sweep, row["trial"])} for row in finalists],
        final_scores={row["trial"]: row["score"] for row in finalists},
        charts=list(_charts(job.sweep, trials, ranked)),
        fields=sorted(job.sweep.space),
        trials=[*ranked, *(trial for trial in trials if trial not in ranked)],
        plotly_js=get_plotlyjs(),
    )


def _charts(sweep: Sweep, trials: list[Trial], ranked: list[Trial]) -> Iterator[Chart]:
    """Return the charts for which there is data."""
    importance = "How much each field decides whether a trial is among the best (PED-ANOVA, Watanabe et al. 2023)."
    lineage = (
        "Who copied whose training state, and when. A colour stands for the initial weights that a member carries; grey ones died out."
    )
    charts = (
        ("Best score over images spent", "The best score so far, over the images of all trials.", figures.best_so_far(sweep, trials), 0),
        ("Learning curves", f"Every trial's scores as it trained. {RANKED}", figures.learning_curves(sweep, trials, ranked), 0),
        (
            "Parallel coordinates",
            f"Every trial's params and its best score. {RANKED}",
            parallel_coordinates(sweep, ranked),
            80 * (len(sweep.space) + 1),
        ),
        ("Importance", importance, figures.importance_bars(importances(sweep, ranked)), 0),
        ("Lineage", lineage, figures.lineage(trials), 0),
    )
    return (Chart(*chart) for chart in charts if chart[2] is not None)


def _sample_grid(sweep: ObjectStore, trial: int) -> str | None:
    """Return a finalist's grid of samples as a data URI."""
    try:
        return "data:image/png;base64," + base64.b64encode(sweep.read(f"finalists/{trial_name(trial)}.png")).decode()
    except MissingObject:
        return None


def _read_json(sweep: ObjectStore, key: str) -> Any:
    """Return what a file of the sweep holds, None without it."""
    try:
        return json.loads(sweep.read(key))
    except MissingObject:
        return None
