"""The application on Ray Serve: replicas of the generator, each with the HTTP interface, and one collector of their metrics.

`ganray.serve.application:application` is the import path for Serve config files; its arguments are those of `Settings`.
"""

import asyncio
import logging
from typing import Any

import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from ganray.cluster.private_ray import keep_replicas_private
from ganray.gan.sampling import CHUNK
from ganray.registry.signing import load_public_key
from ganray.serve.batching import Batcher
from ganray.serve.engine import check_gpu, run_pieces
from ganray.serve.http import Service, create_app
from ganray.serve.limits import RateLimit
from ganray.serve.metrics import REPORT_EVERY_S, Collector, Observations
from ganray.serve.settings import Settings
from ganray.serve.versions import Versions

logger = logging.getLogger(__name__)
MAX_BATCH = 2 * CHUNK  # samples that wait for one another at most
MAX_ONGOING = 256  # requests of a replica
MAX_QUEUED = 2048  # requests that wait for a replica; beyond, they are refused with 503


def application(settings: Settings) -> Application:
    """Return the application of a server. Raises `ConfigError` for an unusable key."""
    key = load_public_key(settings.public_key, field="--public-key") if settings.public_key else None
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw) if key else None
    scaling = {"min_replicas": settings.min_replicas, "max_replicas": settings.max_replicas, "target_ongoing_requests": 16}
    replicas = Replica.options(  # type: ignore[attr-defined]  # a deployment
        autoscaling_config=scaling, ray_actor_options={"num_cpus": 1, "num_gpus": int(settings.use_gpu)}
    )
    bound: Application = replicas.bind(settings, raw, MetricsCollector.bind())  # type: ignore[attr-defined]  # a deployment
    return bound


@serve.deployment(max_ongoing_requests=MAX_ONGOING, max_queued_requests=MAX_QUEUED, graceful_shutdown_wait_loop_s=0.2)
@serve.ingress()
class Replica:
    """One replica: the versions in memory, and a thread that generates."""

    def __init__(self, settings: Settings, public_key: bytes | None, collector: DeploymentHandle[Any]) -> None:
        keep_replicas_private()
        torch.set_num_threads(1)  # for the samples of `ganray generate`, which generates on one
        if settings.use_gpu:
            check_gpu()
        key = Ed25519PublicKey.from_public_bytes(public_key) if public_key else None
        versions = Versions(settings.artifact, public_key=key, device="cuda" if settings.use_gpu else "cpu")
        self._collector = collector
        self._observed = Observations(serve.get_replica_context().replica_id.unique_id, str(versions.current.record.version))
        self._service = Service(
            versions=versions,
            sample=Batcher(run_pieces, limit=MAX_BATCH, observe=lambda num: self._observed.batches.append(num)),
            metrics=self._metrics,
            observed=self._observed,
            max_num=settings.max_num,
            rate=RateLimit(settings.rate),
            follow_s=settings.follow_s,
        )
        self._reporting: asyncio.Task[None] | None = None

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Return the HTTP interface, as Ray Serve asks for it after the constructor."""
        return create_app(self._service)

    async def check_health(self) -> None:
        """Begin to report metrics; Ray Serve calls this in the replica's event loop, again and again."""
        if self._reporting is None:
            self._reporting = asyncio.create_task(self._report())

    async def _metrics(self) -> bytes:
        rendered: bytes = await self._collector.render.remote()
        return rendered

    async def _report(self) -> None:
        """Send what was counted to the collector, for ever; one that is restarting misses it."""
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            self._observed.version = str(self._service.versions.current.record.version)
            try:
                await self._collector.report.remote(self._observed.taken())
            except Exception as error:  # of any kind: metrics stop nobody
                logger.warning("metrics were not sent: %s", error)


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 0}, graceful_shutdown_wait_loop_s=0.2)
class MetricsCollector:
    """The collector of metrics as a deployment of its own."""

    def __init__(self) -> None:
        keep_replicas_private()
        self._collector = Collector()

    def report(self, seen: Observations) -> None:
        """Count what a replica has seen."""
        self._collector.report(seen)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return self._collector.render()


def arguments(settings: Settings) -> dict[str, Any]:
    """Return settings as the arguments of a Serve config file, without defaults."""
    return settings.model_dump(mode="json", exclude_defaults=True)
