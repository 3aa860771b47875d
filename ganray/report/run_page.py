"""The page of a run: what it scored, how it trained, what it makes, what happened to it, and where it comes from."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from ganray.config import Job
from ganray.data.dataset import PreparedDataset
from ganray.errors import GanrayError
from ganray.metrics.score import Protocol
from ganray.modalities.codec import by
from ganray.report import run_figures
from ganray.report.images import Comparison, Progress, compare, read_grids
from ganray.report.page import ChartSection, render_page
from ganray.report.timeline import details, timeline, when, words
from ganray.runs.checkpoint import status_of
from ganray.runs.compare import mean_rate
from ganray.runs.event_log import EventKind, RunEvent, recoveries_in_words
from ganray.runs.metrics_log import Record
from ganray.runs.run import Run
from ganray.storage import MissingObject

MAX_LISTED = 200  # events in the table, the newest
ORIGIN = "start.json"


def render_run(run: Run, progress: Progress | None = None) -> str:
    """Return a run's page as HTML; what there is nothing to show of yet has no section. `progress` is called as data is read."""
    job, records, events, checkpoint = run.job, run.metrics(), run.events(), run.checkpoints.latest()
    best = checkpoint.progress.best if checkpoint else None
    scores = [record for record in records if record["kind"] == "score"]
    values = {
        "run": run,
        "job": job,
        "status": status_of(checkpoint, job.train).value.replace("_", " "),
        "images_seen": max([record["images_seen"] for record in records] + [checkpoint.images_seen if checkpoint else 0]),
        "progress": checkpoint.progress if checkpoint else None,
        "rate": mean_rate(records),
        "best": best,
        "last": scores[-1] if scores else None,
        "protocols": protocols(scores),
        "recoveries": recoveries_in_words(events) if any(event.kind == EventKind.RECOVERY for event in events) else None,
        "versions": versions(events),
        "grids": [vars(grid) for grid in read_grids(run.store)],
        "comparison": compare_with_data(run, progress),
        "events": [(when(event), words(event.kind), event, details(event)) for event in events[-MAX_LISTED:]],
        "num_events": len(events),
        "job_file": yaml.safe_dump(job.model_dump(mode="json", exclude_none=True), sort_keys=False),
        "lineage": list(lineage(run, job, run.dataset)),
    }
    return render_page("run.html.j2", chart_sections(run.name, job, records, events), values)


def chart_sections(name: str, job: Job, records: Sequence[Record], events: Sequence[RunEvent]) -> Iterator[ChartSection]:
    """Yield the sections with charts, in reading order."""
    marked = " Dotted lines: red a rollback, yellow a lost worker, violet another number of workers."
    has_marks = any(event.kind in run_figures.MARKED for event in events)
    caption = "By the protocol that is named below them." + (marked if has_marks else "")
    scores = [run_figures.mark_events(figure, events) for _, figure in run_figures.score_charts({name: records})]
    yield ChartSection("Scores", caption, scores)
    for section in run_figures.SECTIONS:
        figures = [run_figures.panel_chart(panel, records, events) for panel in section.panels]
        yield ChartSection(section.title, section.caption, [figure for figure in figures if figure])
    yield ChartSection("Schedules", "As the job says, over all of its images.", list(run_figures.schedule_charts(job)))
    figure = timeline(events)
    yield ChartSection("Checkpoints and events", "A click on a name in the legend hides that kind.", [figure] if figure else [])


def compare_with_data(run: Run, progress: Progress | None) -> Comparison | None:
    """Return the newest samples beside the data's, None without samples or where the data cannot be read any more."""
    try:
        return compare(run.store, run.dataset, progress)
    except (MissingObject, GanrayError):
        return None


def protocols(scores: Sequence[Record]) -> list[str]:
    """Return the protocols of scores in words, in the order in which they were used."""
    return list(dict.fromkeys(describe_protocol(Protocol.model_validate(record["protocol"])) for record in scores))


def describe_protocol(protocol: Protocol) -> str:
    """Return a protocol in words; hashes by their first digits."""
    parts = [f"{protocol.num_samples:,} samples" if protocol.num_samples else "", f"seed {protocol.seed}"]
    parts += [f"{protocol.neighbours} neighbours" if protocol.neighbours else ""]
    parts += [f"extractor {protocol.extractor[:12]}" if protocol.extractor else ""]
    parts += [f"dataset {protocol.dataset[:12]}" if protocol.dataset else "", "equal reals counted once" if protocol.distinct else ""]
    return f"decided by {protocol.metric.removeprefix('metric/')}, " + ", ".join(part for part in parts if part)


def versions(events: Sequence[RunEvent]) -> list[str]:
    """Return the URIs of the versions that were published of a run, newest first."""
    return [str(event.details["version"]) for event in reversed(events) if event.kind == EventKind.PUBLISH]


def lineage(run: Run, job: Job, dataset: PreparedDataset) -> Iterator[tuple[str, Any]]:
    """Yield where a run's generators come from, by name: run, data, start, versions, code."""
    card = dataset.card
    yield "run", run.uri
    parent, _, below = run.folder.partition("/trials/")
    if below:
        yield "trial of", f"sweep {parent.removeprefix('sweeps/')}"
    yield "dataset", f"{card.name}: {card.count:,} samples of {by(card.shape)}"
    yield "fingerprint of the dataset", card.fingerprint
    yield "stored in", dataset.uri
    yield "source", ", ".join(f"{name} {value}" for name, value in card.source.items() if value is not None)
    if card.licence:
        yield "licence of the data", card.licence
    yield "prepared by", ", ".join(f"{name} {value}" for name, value in card.created_by.items())
    if origin := read_origin(run):
        yield "started from", origin
    yield "seed", job.seed
    yield "model", job.model_name


def read_origin(run: Run) -> str | None:
    """Return the version that a run started from, None for random weights."""
    if run.job.train.start_from is None:
        return None
    try:
        origin = json.loads(run.store.read(ORIGIN))
    except MissingObject:
        return run.job.train.start_from
    return f"{origin['artifact']} (manifest {str(origin['manifest'])[:12]})"
