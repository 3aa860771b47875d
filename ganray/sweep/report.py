"""A sweep as one self-contained HTML page: no script, no network, pictures within."""

import base64
import math
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import Any

from ganray.config import Job
from ganray.errors import ConfigError
from ganray.runs.layout import read_json
from ganray.storage import MissingObject, ObjectStore, open_store
from ganray.storage.local import atomic_write, local_errors
from ganray.sweep.charts import Series, bar_chart, line_chart, lineage_chart, parallel_chart, shade
from ganray.sweep.finalists import FINALISTS
from ganray.sweep.proposals import distributions
from ganray.sweep.records import JOB, RESULT, Trial, best_first, rank_key, read_trials, sweep_store

MIN_TRIALS_FOR_IMPORTANCE = 4
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2733; }
h1 { margin-bottom: 0; } h2 { margin: 2.2rem 0 .4rem; font-size: 1.15rem; } p { margin: .3rem 0; color: #52606d; }
svg { width: 100%; height: auto; } .grid { stroke: #e6e9ed; } .axis { stroke: #9aa5b1; }
.tick { font-size: 11px; fill: #52606d; } .label { font-size: 12px; fill: #1c2733; }
polyline:hover { stroke: #d9480f; stroke-width: 3; } table { border-collapse: collapse; font-size: 13px; width: 100%; }
th, td { text-align: right; padding: .2rem .5rem; border-bottom: 1px solid #e6e9ed; font-variant-numeric: tabular-nums; }
th:nth-child(2), td:nth-child(2) { text-align: left; } .finalists { display: flex; flex-wrap: wrap; gap: 1.2rem; }
figure { margin: 0; flex: 1 1 16rem; max-width: 20rem; } figure img { width: 100%; image-rendering: pixelated; }
figcaption { font-size: 13px; }
"""


def write_report(storage_uri: str, name: str, path: Path) -> None:
    """Write the page about the sweep `name` to a file. Raises `GanrayError` if there is no such sweep, or it has no trials yet."""
    storage = open_store(storage_uri)
    sweep = sweep_store(storage, name)
    stored, trials = read_json(sweep, JOB), read_trials(sweep)
    if stored is None or not trials:
        raise ConfigError(
            "SWEEP", f"there is no sweep {name!r} with trials in {storage.uri}", "name one that `ganray sweep` has started there"
        )
    page = render(Job.model_validate(stored), trials, sweep)
    with local_errors("write", path, field="--out"), atomic_write(path) as file:
        file.write(page.encode())


def render(job: Job, trials: list[Trial], sweep: ObjectStore) -> str:
    """Return the page."""
    finalists = (read_json(sweep, FINALISTS) or {"rows": []})["rows"]
    ranked = best_first(trials, maximise=job.sweep.maximise)
    parts = [
        _head(job, trials, finalists, read_json(sweep, RESULT)),
        _section("Finalists", "scored again, on more samples and latents that the search has not seen", _finalists(sweep, finalists)),
        _section("Best so far", "over the images that all trials have trained on", _best_so_far(job, trials)),
        _section("Every trial", "score at each evaluation; darker is better", _curves(job, trials, ranked)),
        _section("Fields", "a line a trial, through what it was given to what it reached; darker is better", _fields(job, ranked)),
        _section("Importance", "of each field for being among the best (PED-ANOVA, Watanabe et al. 2023)", _importance(job, ranked)),
        _section("Lineage", "who copied whose training state, and when", _lineage(trials)),
        _section("Trials", "best first", _table(job, [*ranked, *(trial for trial in trials if trial not in ranked)])),
    ]
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(job.name)}</title><style>{STYLE}</style>'
    return f"{head}<body>{''.join(parts)}</body></html>\n"


def spending(trials: list[Trial]) -> list[tuple[int, float | None]]:
    """Return (images that all trials had spent, score) at every end of a leg, in the order of time."""
    ends = []
    for trial in trials:
        before = [0, *(leg["images"] for leg in trial.legs)]
        ends += [(leg["at"], leg["images"] - start, leg["score"]) for leg, start in zip(trial.legs, before, strict=False)]
    ends.sort(key=lambda end: end[0])
    return list(zip(accumulate(images for _, images, _ in ends), (score for _, _, score in ends), strict=True))


def importances(job: Job, ranked: list[Trial]) -> dict[str, float]:
    """Return each field's importance, nothing where trials are too few to tell."""
    import optuna

    known = [trial for trial in ranked if job.sweep.space.keys() <= trial.point.keys() and math.isfinite(trial.score)]
    if len(known) < MIN_TRIALS_FOR_IMPORTANCE:
        return {}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize" if job.sweep.maximise else "minimize")
    study.add_trials([_frozen(job, trial) for trial in known])
    return optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())


def _frozen(job: Job, trial: Trial) -> Any:
    from optuna.trial import create_trial

    ranges = distributions(job.sweep)
    params = {path: _within(trial.point[path], ranges[path]) for path in ranges}
    return create_trial(params=params, distributions=ranges, value=trial.score)


def _within(value: Any, distribution: Any) -> Any:
    """Return a value as its distribution has it: what was given, rather than drawn, may lie outside."""
    if hasattr(distribution, "choices"):
        text = str(value) if isinstance(value, list) else value
        return text if text in distribution.choices else distribution.choices[0]
    return min(max(float(value), distribution.low), distribution.high)


def _head(job: Job, trials: list[Trial], finalists: list[dict[str, Any]], result: dict[str, Any] | None) -> str:
    images = sum(trial.images for trial in trials)
    state = f"ended: {result['ended']}" if result else "under way"
    lines = [
        f"{len(trials)} trials, {images:,} images, searched by {job.sweep.searcher.kind} with scheduler {job.sweep.scheduler.kind}; {state}"
    ]
    if finalists:
        point = trials[finalists[0]["trial"]].point
        lines.append(f"winner: trial {finalists[0]['trial']:04d}, {', '.join(f'{path} = {_short(point[path])}' for path in sorted(point))}")
    if result and result["version"]:
        lines.append(f"published as {result['version']}")
    return f"<h1>{escape(job.name)}</h1>" + "".join(f"<p>{escape(line)}</p>" for line in lines)


def _section(title: str, says: str, content: str) -> str:
    return f'<section id="{title.lower().replace(" ", "-")}"><h2>{title}</h2><p>{says}</p>{content}</section>' if content else ""


def _finalists(sweep: ObjectStore, rows: list[dict[str, Any]]) -> str:
    figures = "".join(_figure(sweep, row) for row in rows)
    return f'<div class="finalists">{figures}</div>' if figures else ""


def _figure(sweep: ObjectStore, row: dict[str, Any]) -> str:
    try:
        picture = base64.b64encode(sweep.read(f"finalists/{row['trial']:04d}.png")).decode()
    except MissingObject:
        return ""
    says = f"trial {row['trial']:04d} at {row['images_seen']:,} images: <b>{row['score']:.4g}</b>"
    says += f" on {row['protocol']['num_samples']:,} samples, first {row['first_score']:.4g} on {row['first_protocol']['num_samples']:,}"
    return f'<figure><img src="data:image/png;base64,{picture}" alt="samples"><figcaption>{says}</figcaption></figure>'


def _best_so_far(job: Job, trials: list[Trial]) -> str:
    sign = -1 if job.sweep.maximise else 1
    ends = [(images, score) for images, score in spending(trials) if score is not None and math.isfinite(score)]
    best = list(accumulate((score for _, score in ends), lambda a, b: min(a, b, key=lambda score: sign * score)))
    points = [(images, score) for (images, _), score in zip(ends, best, strict=True)]
    return line_chart([Series(points, "best so far", shade(0), 2.2)], x="images spent", y=job.sweep.metric, step=True) if points else ""


def _curves(job: Job, trials: list[Trial], ranked: list[Trial]) -> str:
    colours = dict(zip((trial.number for trial in ranked), _shades(len(ranked)), strict=True))
    order = sorted(trials, key=lambda trial: -rank_key(trial.score, maximise=job.sweep.maximise))
    lines = [
        Series(
            [(images, score) for images, score in trial.curve if math.isfinite(score)], _named(trial), colours.get(trial.number, shade(1))
        )
        for trial in order
        if trial.curve
    ]
    return line_chart(lines, x="images of a trial", y=job.sweep.metric) if lines else ""


def _fields(job: Job, ranked: list[Trial]) -> str:
    fields = [*sorted(job.sweep.space), job.sweep.metric]
    rows = [{path: trial.point.get(path) for path in fields} | {job.sweep.metric: trial.score} for trial in reversed(ranked)]
    shades = list(reversed(_shades(len(ranked))))
    return parallel_chart(rows, fields, [_named(trial) for trial in reversed(ranked)], shades) if rows else ""


def _importance(job: Job, ranked: list[Trial]) -> str:
    found = importances(job, ranked)
    return bar_chart(found) if found else ""


def _lineage(trials: list[Trial]) -> str:
    copies = [
        (copy["images"], copy["from"], trial.number, f"{trial.number:04d} copied {copy['from']:04d} at {copy['images']:,} images")
        for trial in trials
        for copy in trial.lineage
    ]
    return lineage_chart([trial.name for trial in trials], copies, end=max(trial.target for trial in trials)) if copies else ""


def _table(job: Job, trials: list[Trial]) -> str:
    fields = sorted(job.sweep.space)
    names = ["trial", "status", "images", "best", "last", "min", *fields]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    return f"<table><tr>{head}</tr>{''.join(_row(trial, fields) for trial in trials)}</table>"


def _row(trial: Trial, fields: list[str]) -> str:
    status = f"{trial.status}: {trial.reason}" if trial.reason else trial.status
    cells = [trial.name, status, f"{trial.images:,}", _short(trial.score), _short(trial.last), f"{trial.busy_s / 60:.1f}"]
    cells += [_short(trial.point.get(path)) for path in fields]
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _shades(count: int) -> list[str]:
    return [shade(min(0.9 * number / max(count - 1, 1), 0.9)) for number in range(count)]


def _named(trial: Trial) -> str:
    return f"trial {trial.name}: {_short(trial.score)}; " + ", ".join(f"{path}={_short(trial.point[path])}" for path in sorted(trial.point))


def _short(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
