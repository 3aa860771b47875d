"""Metrics for Prometheus: each replica counts, and sends what it counted to one collector, which a scrape of any replica asks."""

import time
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SILENT_S = 10.0  # after which a replica counts as gone
REPORT_EVERY_S = 1.0


@dataclass
class Observations:
    """What a replica has counted since its last report. `requests` are (endpoint, status, seconds)."""

    replica: str
    version: str
    requests: list[tuple[str, int, float]] = field(default_factory=list)
    samples: list[tuple[str, int]] = field(default_factory=list)  # version, number
    batches: list[int] = field(default_factory=list)  # numbers of samples

    def taken(self) -> "Observations":
        """Return what was counted, and begin anew."""
        taken = Observations(self.replica, self.version, self.requests, self.samples, self.batches)
        self.requests, self.samples, self.batches = [], [], []
        return taken


class Collector:
    """Sums up the observations of all replicas."""

    def __init__(self) -> None:
        disable_created_metrics()
        self._registry = CollectorRegistry()
        self._requests = Counter("ganray_requests", "Requests by endpoint and status.", ["endpoint", "status"], registry=self._registry)
        self._seconds = Histogram(
            "ganray_request_seconds", "Time to answer a request.", ["endpoint"], buckets=SECONDS, registry=self._registry
        )
        self._samples = Counter("ganray_samples", "Samples generated, by version.", ["version"], registry=self._registry)
        self._batches = Histogram(
            "ganray_batch_samples", "Samples of requests in a batch of the generator.", buckets=BATCH_SIZES, registry=self._registry
        )
        self._replicas = Gauge("ganray_replicas", "Replicas, by the version that they serve.", ["version"], registry=self._registry)
        self._alive: dict[str, tuple[str, float]] = {}  # version and time of the last report, by replica

    def report(self, seen: Observations) -> None:
        """Count what a replica has seen."""
        for endpoint, status, seconds in seen.requests:
            self._requests.labels(endpoint, str(status)).inc()
            self._seconds.labels(endpoint).observe(seconds)
        for version, number in seen.samples:
            self._samples.labels(version).inc(number)
        for number in seen.batches:
            self._batches.observe(number)
        self._alive[seen.replica] = (seen.version, time.monotonic())

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        self._alive = {replica: (version, at) for replica, (version, at) in self._alive.items() if time.monotonic() - at < SILENT_S}
        self._replicas.clear()
        for version, _ in self._alive.values():
            self._replicas.labels(version).inc()
        return generate_latest(self._registry)
