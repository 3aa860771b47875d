"""The charts of runs as plotly figures: every metric over images seen, of one run or of several, and schedules."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from ganray.config import Cosine, Job
from ganray.config.evaluate import SCORES
from ganray.config.schedules import value_at
from ganray.report.figures import Curve, curves_chart
from ganray.runs.event_log import EventKind, RunEvent
from ganray.runs.metrics_log import Record

SCHEDULE_POINTS = 200
FROM_ZERO = {"rangemode": "tozero", "type": "linear"}
MAX_MARKS = 40
MARKED = {EventKind.ROLLBACK: "#c92a2a", EventKind.LOST_WORKER: "#b08900", EventKind.RESIZE: "#9c36b5"}


class Panel(NamedTuple):
    """One chart of metrics: its title, the metrics in it by the names that its legend has, and whether they are shares of 1."""

    title: str
    metrics: Mapping[str, str]
    is_share: bool = False

    @property
    def yaxis(self) -> dict[str, str]:
        """How the axis of values departs from the usual."""
        return FROM_ZERO if self.is_share else {}


class MetricSection(NamedTuple):
    """Charts that belong together, below one heading."""

    title: str
    caption: str
    panels: Sequence[Panel]


SECTIONS = (
    MetricSection(
        "Losses",
        "Means over the steps of a line of metrics.",
        [Panel("loss", {"discriminator": "loss/discriminator", "generator": "loss/generator"})],
    ),
    MetricSection(
        "Discriminator and diversity",
        "Logits of reals and fakes; how often the discriminator tells them apart, and the fakes' variance relative to the reals'.",
        [
            Panel("logit", {"of reals": "logits/real", "of fakes": "logits/fake"}),
            Panel("share", {"accuracy": "discriminator/accuracy", "diversity of samples": "samples/diversity"}, is_share=True),
        ],
    ),
    MetricSection(
        "Gradient norms",
        "Over all parameters of a network. A step whose gradients are not finite is skipped.",
        [
            Panel("norm", {"discriminator": "gradient/discriminator", "generator": "gradient/generator"}),
            Panel("share of steps", {"skipped steps": "step/skipped"}, is_share=True),
        ],
    ),
    MetricSection(
        "Penalties",
        "Penalties as measured, before their weights.",
        [Panel("penalty", {"R1": "penalty/r1", "R2": "penalty/r2", "WGAN-GP": "penalty/wgan_gp"})],
    ),
    MetricSection(
        "Throughput",
        "Images a second of training, over all workers; the share of the time in which steps waited for data; seconds that training stood "
        "still for a checkpoint, and that its upload took.",
        [
            Panel("images/s", {"images/s": "time/images_per_s"}),
            Panel("share of time", {"waiting for data": "time/data_wait_share"}, is_share=True),
            Panel("seconds", {"checkpoint": "time/checkpoint_s", "upload": "time/upload_s"}),
        ],
    ),
)


def points_of(records: Sequence[Record], metric: str) -> list[tuple[float, float]]:
    """Return (images seen, value) of every record that has a metric."""
    return [(record["images_seen"], record[metric]) for record in records if isinstance(record.get(metric), int | float)]


def used_points(records: Sequence[Record], metric: str) -> list[tuple[float, float]]:
    """Return the points of a metric of training, nothing where it is 0 throughout, as what a job does not use is."""
    points = points_of(records, metric)
    return points if any(value for _, value in points) else []


def panel_chart(panel: Panel, records: Sequence[Record], events: Sequence[RunEvent]) -> go.Figure | None:
    """Return one run's chart of a panel's metrics, with its events as lines."""
    figure = curves_chart([Curve(name, used_points(records, metric)) for name, metric in panel.metrics.items()], title=panel.title)
    return figure and mark_events(figure, events)


def overlay_charts(panel: Panel, logs: Mapping[str, Sequence[Record]]) -> Iterator[go.Figure]:
    """Yield a chart for each metric of a panel, with a curve a run."""
    for name, metric in panel.metrics.items():
        curves = [Curve(run, used_points(records, metric)) for run, records in logs.items()]
        title = name if name == panel.title else f"{panel.title}, {name}"
        if figure := curves_chart(curves, title=title, yaxis=panel.yaxis):
            yield figure


def score_charts(logs: Mapping[str, Sequence[Record]], *, markers: bool = True) -> Iterator[tuple[str, go.Figure]]:
    """Yield (metric, chart) for every score that a run has, with a curve a run and, where it is known, the range of values."""
    measured = [metric for metric in SCORES if any(metric in record for log in logs.values() for record in log)]
    for metric in measured:
        curves = [Curve(run, points_of(records, metric)) for run, records in logs.items()]
        kind = SCORES[metric]
        yaxis = FROM_ZERO if math.isfinite(kind.high) else {}
        title = f"{metric.removeprefix('metric/').replace('_', ' ')}: {kind.direction}"
        figure = curves_chart(curves, title=title, markers=markers, yaxis=yaxis)
        if figure:
            yield metric, figure


def mark_events(figure: go.Figure, events: Sequence[RunEvent]) -> go.Figure:
    """Return the figure with a line where a run was rolled back, lost a worker or was resized; the newest of very many."""
    for event in [event for event in events if event.kind in MARKED][-MAX_MARKS:]:
        figure.add_vline(x=event.images_seen, line={"color": MARKED[event.kind], "width": 1, "dash": "dot"})
    return figure


def schedule_charts(job: Job) -> Iterator[go.Figure]:
    """Yield charts of learning rates, weights of penalties, and what else a job has scheduled, over the whole run."""
    generator, discriminator, penalties = job.optimizer.generator, job.optimizer.discriminator, job.penalties
    yield from _schedule_chart(job, "learning rate", {"generator": generator.lr, "discriminator": discriminator.lr})
    weights = {"R1": penalties.r1_gamma, "R2": penalties.r2_gamma, "WGAN-GP": penalties.wgan_gp}
    yield from _schedule_chart(job, "weight of penalty", {name: weight for name, weight in weights.items() if weight != 0})
    others = {
        "decay of a moment": {
            f"{name}, {network}": getattr(adam, name)
            for network, adam in (("generator", generator), ("discriminator", discriminator))
            for name in ("beta1", "beta2")
        },
        "EMA half-life in images": {"EMA half-life": job.train.ema_half_life},
        "probability of augmentation": {"augmentation": getattr(job.augment, "p", 0.0)},
    }
    for title, schedules in others.items():
        yield from _schedule_chart(job, title, {name: value for name, value in schedules.items() if isinstance(value, Cosine)})


def _schedule_chart(job: Job, title: str, schedules: Mapping[str, float | Cosine[float] | Cosine[int]]) -> Iterator[go.Figure]:
    """Yield a chart of schedules, if there are any; those that are equal share a curve."""
    total = job.train.total_images
    images = [round(total * place / SCHEDULE_POINTS) for place in range(SCHEDULE_POINTS + 1)]
    names: dict[str, list[str]] = {}
    for name, schedule in schedules.items():
        names.setdefault(repr(schedule), []).append(name)
    curves = [Curve(", ".join(same), [(seen, value_at(schedules[same[0]], seen)) for seen in images]) for same in names.values()]
    only = f", {curves[0].name}" if len(curves) == 1 else ""
    if figure := curves_chart(curves, title=f"{title}{only}", yaxis={"rangemode": "tozero"}):
        yield figure
