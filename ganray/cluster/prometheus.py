"""Prometheus metrics by Ray: the agent of each node exports what its processes record, under names that begin with `ray_ganray_`.

The driver records them, from what workers send it anyway. `grafana.json` beside this file is a dashboard of all of them.
"""

from collections import Counter as Counts
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.metrics import Counter, Gauge


@dataclass(frozen=True)
class Series:
    """A gauge: the metric of a run that it shows, by name, or by a prefix whose rest becomes the value of `tag`."""

    name: str
    metric: str
    description: str
    tag: str | None = None


SERIES = (
    Series("ganray_images_seen", "images_seen", "Real images that the run has seen"),
    Series("ganray_images_per_second", "time/images_per_s", "Real images trained on a second, over all workers"),
    Series("ganray_data_wait_share", "time/data_wait_share", "Share of the time that training waits for data, 0 to 1"),
    Series("ganray_trained_seconds", "time/trained_s", "Seconds of training steps so far"),
    Series("ganray_checkpoint_seconds", "time/checkpoint_s", "Seconds that training stood still for the newest checkpoint"),
    Series("ganray_upload_seconds", "time/upload_s", "Seconds that the newest checkpoint's upload took"),
    Series("ganray_loss", "loss/", "Loss of a network", "network"),
    Series("ganray_gradient_norm", "gradient/", "Norm of a network's gradients", "network"),
    Series("ganray_score", "metric/", "Newest score of a metric", "metric"),
)
WORKERS, TRIALS = "ganray_workers", "ganray_trials"
RECOVERIES, RECOVERY_SECONDS, IMAGES_AGAIN = "ganray_recoveries", "ganray_recovery_seconds", "ganray_images_trained_again"
COUNTERS = {
    RECOVERIES: "Times that training went on after something had died",
    RECOVERY_SECONDS: "Seconds without training until it went on, summed up",
    IMAGES_AGAIN: "Images that recoveries trained again",
}


class RunMetrics:
    """Records the metrics of one run."""

    def __init__(self, run: str) -> None:
        self.run = {"run": run}
        self.gauges = {series: _gauge(series.name, series.description, series.tag) for series in SERIES}
        self.workers = _gauge(WORKERS, "Workers that train", None)
        self.counters = {name: Counter(name, description=text, tag_keys=("run",)) for name, text in COUNTERS.items()}
        self.last: dict[str, Any] = {}

    def update(self, metrics: Mapping[str, Any], *, workers: int) -> None:
        """Take in the newest metrics; what is no number is not shown."""
        self.workers.set(workers, self.run)
        for name, value in metrics.items():
            if isinstance(value, int | float) and self.last.get(name) != value:
                self.last[name] = value
                self._set(name, value)

    def recover(self, seconds: float | None, images_again: int) -> None:
        """Count a recovery."""
        for name, amount in ((RECOVERIES, 1), (RECOVERY_SECONDS, seconds), (IMAGES_AGAIN, images_again)):
            if amount:
                self.counters[name].inc(amount, self.run)

    def _set(self, name: str, value: float) -> None:
        for series, gauge in self.gauges.items():
            if series.tag and name.startswith(series.metric):
                gauge.set(value, {**self.run, series.tag: name.removeprefix(series.metric)})
            elif name == series.metric:
                gauge.set(value, self.run)


class SweepMetrics:
    """Records how many trials of a sweep stand how."""

    def __init__(self, sweep: str) -> None:
        self.sweep = sweep
        self.trials = Gauge(TRIALS, description="Trials of a sweep by status", tag_keys=("sweep", "status"))
        self.statuses: set[str] = set()

    def update(self, statuses: Iterable[str]) -> None:
        """Take in the status of every trial."""
        counts = Counts(statuses)
        self.statuses |= counts.keys()
        for status in self.statuses:
            self.trials.set(counts[status], {"sweep": self.sweep, "status": status})


def has_agent() -> bool:
    """Return whether an agent exports what this process records; there is none where Ray Client connects it."""
    return not ray.util.client.ray.is_connected()


def names() -> list[str]:
    """Return the names under which Prometheus finds all of them."""
    gauges = [WORKERS, TRIALS, *(series.name for series in SERIES)]
    return [f"ray_{name}" for name in gauges] + [f"ray_{name}_total" for name in COUNTERS]


def _gauge(name: str, description: str, tag: str | None) -> Gauge:
    return Gauge(name, description=description, tag_keys=("run", tag) if tag else ("run",))
