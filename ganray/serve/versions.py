"""The versions that a replica serves: the one of the best alias, which is followed, and others that permalinks ask for."""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ganray.errors import ArtifactError
from ganray.gan.directions import Directions
from ganray.generation.published_directions import read_directions
from ganray.generation.record import Record, make_record
from ganray.registry.alias import read_best
from ganray.registry.artifact import build_checked, open_artifact, read_artifact
from ganray.registry.manifest import CARD, Manifest
from ganray.registry.registry import Metrics, read_metrics
from ganray.serve.engine import Engine
from ganray.storage import ObjectStore, open_store

logger = logging.getLogger(__name__)
MAX_OTHERS = 3  # versions in memory beside the current one


@dataclass(frozen=True)
class Served:
    """A version that is loaded: its manifest, scores, model card, generator and published directions of its latents.

    `record` is what its files have in common.
    """

    manifest: Manifest
    metrics: Metrics
    card: str
    engine: Engine
    directions: Directions
    record: Record

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What `/model` says of the version, as JSON types."""
        generator = self.engine.generator
        return {
            "model": self.record.model,
            "version": self.record.version,
            "artifact": self.record.artifact,
            "manifest": self.manifest.hash,
            "scores": self.metrics.scores,
            "protocol": self.metrics.protocol.dump(),
            "images_seen": self.manifest.lineage.get("images_seen"),
            "kind": generator.codec.kind,
            "shape": list(generator.codec.shape),
            "dtype": generator.codec.dtype,
            "latent_dim": generator.latent_dim,
            "num_classes": generator.num_classes,
            "classes": generator.classes,
            "class_shares": list(generator.prior.class_shares),
            "directions": [{"gain": gain} for gain in self.directions.gains.tolist()],
            "card": self.card,
        }


def load_version(store: ObjectStore, *, public_key: Ed25519PublicKey | None, device: str) -> Served:
    """Return a version, verified and measured. Raises `ArtifactError` for one that is missing, damaged or not signed."""
    manifest, files = read_artifact(store, public_key=public_key)
    generator = build_checked(files, where=store.uri)
    card = files.get(CARD, b"").decode(errors="replace")
    directions = read_directions(files, generator.latent_dim, where=store.uri)
    engine, record = Engine.measured(generator, device), make_record(store, manifest, seed=0)
    return Served(manifest, read_metrics(store, manifest), card, engine, directions, record)


class Versions:
    """The versions of an artifact: `current` is the best when the artifact is a model's folder, else the one that it names.

    `problem` is why the newest best is not the current one, None if it is. One event loop uses it; what reads and builds runs in threads.
    """

    def __init__(self, artifact: str, *, public_key: Ed25519PublicKey | None = None, device: str = "cpu") -> None:
        self._artifact, self._public_key, self._device = artifact, public_key, device
        self._others: OrderedDict[str, Served] = OrderedDict()
        self._loading = asyncio.Lock()
        self.problem: str | None = None
        self.current = self._load(open_artifact(artifact))

    async def find(self, number: str | None) -> Served:
        """Return a version by its number, by default the current one. Raises `ArtifactError` for one that is not there."""
        if number is None or number == self.current.record.version:
            return self.current  # at once, also while another one is loaded
        async with self._loading:
            if number not in self._others:
                found = await asyncio.to_thread(self._load_other, number)
                self._others[number] = found
            self._others.move_to_end(number)
            while len(self._others) > MAX_OTHERS:
                self._others.popitem(last=False)
            return self._others[number]

    def is_loaded(self, number: str | None) -> bool:
        """Whether a version is in memory, the current one for None."""
        return number is None or number == self.current.record.version or number in self._others

    async def follow(self, every_s: float) -> None:
        """Look for a newly promoted version for ever. What is wrong with it is logged once, and the current one stays."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.refresh()
                self.problem = None
            except Exception as error:  # of any kind: whatever a version or the storage has, the next look may find it mended
                if self.problem != str(error):
                    logger.warning("still serving version %s: %s", self.current.record.version, error)
                self.problem = str(error)

    async def refresh(self) -> None:
        """Serve the best version from now on, if it is another one. Requests that are under way end with the one they began with."""
        best = await asyncio.to_thread(lambda: read_best(open_store(self._artifact)))
        if best is not None and best.version != self.current.record.version:
            previous, self.current = self.current, await self.find(best.version)
            self._others.pop(best.version, None)
            self._others[str(previous.record.version)] = previous
            logger.warning("serving version %s, promoted after %s", best.version, previous.record.version)

    def _load(self, store: ObjectStore) -> Served:
        return load_version(store, public_key=self._public_key, device=self._device)

    def _load_other(self, number: str) -> Served:
        store = open_store(self._artifact)
        if read_best(store) is None:
            problem = f"{store.uri} is the folder of one version"
            raise ArtifactError("version", problem, "leave it out, or serve the model's folder")
        found = self._load(store.child(number))
        if found.record.version != number:
            raise ArtifactError("version", f"there is no version {number}", "leave it out for the best")
        return found
