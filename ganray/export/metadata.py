"""The metadata of an exported model: which version it is, what goes in and comes out, and how closely it was compared."""

import json
from dataclasses import asdict, dataclass

from ganray.registry.artifact import PublishedGenerator
from ganray.registry.manifest import Manifest

PREFIX = "ganray."  # of the keys in a file's metadata


@dataclass(frozen=True)
class Metadata:
    """The origin and meaning of an exported model. `manifest` is the SHA-256 of the version's manifest, `range` that of samples."""

    model: str | None
    version: str | None
    artifact: str
    manifest: str
    latent_dim: int
    num_classes: int
    classes: list[str] | None
    tolerance: float
    range: tuple[float, float] = (-1.0, 1.0)

    @classmethod
    def of(cls, generator: PublishedGenerator, manifest: Manifest, uri: str, *, tolerance: float) -> "Metadata":
        """Return the metadata of a version's generator. Settings of its URI are left out: they are this machine's."""
        return cls(
            model=manifest.lineage.get("model"),
            version=manifest.lineage.get("version"),
            artifact=uri.partition("?")[0],
            manifest=manifest.hash,
            latent_dim=generator.latent_dim,
            num_classes=generator.num_classes,
            classes=generator.classes,
            tolerance=tolerance,
        )

    def texts(self) -> dict[str, str]:
        """Return the metadata as texts by key: what is no text itself is JSON."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        return {f"{PREFIX}{name}": value if isinstance(value, str) else json.dumps(value) for name, value in known.items()}
