"""The page of several runs: their metrics in one chart each, their newest samples, and the fields in which their jobs differ."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ganray.report import run_figures
from ganray.report.images import Grid, read_grids
from ganray.report.page import ChartSection, render_page
from ganray.report.run_page import protocols
from ganray.runs.checkpoint import status_of
from ganray.runs.compare import SAME_IN_ALL, flatten, mean_rate
from ganray.runs.event_log import recoveries
from ganray.runs.metrics_log import Record
from ganray.runs.run import Run


def render_comparison(runs: Mapping[str, Run]) -> str:
    """Return the page of runs, by the names that it gives them, as HTML."""
    logs = {name: run.metrics() for name, run in runs.items()}
    jobs = [flatten(run.job.model_dump(mode="json")) for run in runs.values()]
    settings = {field: [job.get(field) for job in jobs] for each in jobs for field in each if field not in SAME_IN_ALL}
    used = {name: protocols([record for record in log if record["kind"] == "score"]) for name, log in logs.items()}
    grids = [(name, read_newest(run)) for name, run in runs.items()]
    values = {
        "names": list(runs),
        "facts": list(facts_of(runs, logs)),
        "differences": [(field, values) for field, values in settings.items() if len(set(map(str, values))) > 1],
        "protocols": used,
        "has_one_protocol": len({tuple(found) for found in used.values() if found}) <= 1,
        "grids": [(name, grid) for name, grid in grids if grid],
    }
    return render_page("comparison.html.j2", chart_sections(logs), values)


def chart_sections(logs: Mapping[str, Sequence[Record]]) -> Iterator[ChartSection]:
    """Yield the sections with charts, in reading order."""
    yield ChartSection(
        "Scores",
        "A click on a run in the legend hides it, two clicks hide the others.",
        [figure for _, figure in run_figures.score_charts(logs)],
    )
    for section in run_figures.SECTIONS:
        figures = [figure for panel in section.panels for figure in run_figures.overlay_charts(panel, logs)]
        yield ChartSection(section.title, section.caption, figures)


def facts_of(runs: Mapping[str, Run], logs: Mapping[str, Sequence[Record]]) -> Iterator[tuple[str, list[Any]]]:
    """Yield how the runs stand as rows: name, and a value each run, None where there is none."""
    found = [_facts(run, logs[name]) for name, run in runs.items()]
    for name in dict.fromkeys(name for facts in found for name in facts):
        yield name, [facts.get(name) for facts in found]


def read_newest(run: Run) -> Grid | None:
    """Return a run's newest grid of samples, None if it has none."""
    grids = read_grids(run.store, newest=1)
    return grids[-1] if grids else None


def _facts(run: Run, log: Sequence[Record]) -> dict[str, Any]:
    job, checkpoint = run.job, run.checkpoints.latest()
    best = checkpoint.progress.best if checkpoint else None
    facts: dict[str, Any] = {
        "status": status_of(checkpoint, job.train).value.replace("_", " "),
        "images": f"{checkpoint.images_seen if checkpoint else 0:,} of {job.train.total_images:,}",
        "trained": f"{checkpoint.progress.trained_s if checkpoint else 0:,.0f} s",
        "images/s": mean_rate(log),
        "recoveries": recoveries(run.events())["recoveries"],
    }
    return facts | ({"best at": f"{best.images_seen:,} images", **best.scores} if best else {})
