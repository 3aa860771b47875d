"""An artifact from anywhere, published in a registry as a version of its own."""

import hashlib
from pathlib import Path

from ganray.registry.alias import move_best
from ganray.registry.artifact import GENERATOR, build_checked, read_artifact
from ganray.registry.manifest import read_manifest
from ganray.registry.registry import Registry, read_metrics
from ganray.storage import ObjectStore, child


def push(
    registry: Registry, name: str, source: ObjectStore, *, public_key: Path | None = None, signing_key: Path | None = None
) -> tuple[ObjectStore, bool]:
    """Publish the artifact in `source` as the model's next version, and return its store and whether it now is the best.

    Pushing it again returns the version that has it. A version's lineage tells what it was pushed from. It becomes the best by a
    better score of the same protocol alone. Raises `GanrayError` for what is not whole, not signed by `public_key`, or no generator.
    """
    manifest = read_manifest(source)
    files = read_artifact(source, public_key=public_key)
    metrics = read_metrics(source, manifest)
    build_checked(files, where=source.uri)
    origin = {"model": manifest.lineage.get("model"), "version": manifest.lineage.get("version"), "manifest": manifest.hash}
    lineage = {**manifest.lineage, "pushed_from": origin}
    key = f"pushed:{manifest.hash}:{hashlib.sha256(files[GENERATOR]).hexdigest()}"
    number = registry.publish(name, files, lineage, key=key, signing_key=signing_key)
    model = registry.model(name)
    is_best = metrics.score is not None and move_best(model, number, metrics.score, metrics.protocol.model_dump(), rescore=lambda _: None)
    return child(model, number), is_best
