"""Publication of an existing artifact, from any storage, in a registry."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

from ganray.registry.artifact import build_checked, read_artifact
from ganray.registry.manifest import GENERATOR
from ganray.registry.promotion import promote_if_better
from ganray.registry.registry import Registry, read_metrics
from ganray.registry.signing import is_signed
from ganray.storage import ObjectStore

logger = logging.getLogger(__name__)


def push(
    registry: Registry,
    name: str,
    source: ObjectStore,
    *,
    exports: Mapping[str, bytes] | None = None,
    public_key: Path | None = None,
    signing_key: Path | None = None,
) -> tuple[ObjectStore, bool]:
    """Publish the artifact in `source` as the model's next version, and return its store and whether it now is the best.

    Pushing it again returns the version that has it. The version's lineage names the one that it was pushed from. It becomes the
    best only by a better score of the same protocol. `exports` are files to add to it, by name. `public_key`, by which the source must
    be signed, and `signing_key` are PEM files; the source's own signature holds for its model and version alone. Raises `ArtifactError`
    for a source that is damaged, not signed, or holds no generator.
    """
    manifest, files = read_artifact(source, public_key=public_key)
    metrics = read_metrics(source, manifest)
    build_checked(files, where=source.uri)
    origin = {"model": manifest.lineage.get("model"), "version": manifest.lineage.get("version"), "manifest": manifest.hash}
    lineage = {**manifest.lineage, "pushed_from": origin}
    key = ":".join(["pushed", manifest.hash, hashlib.sha256(files[GENERATOR]).hexdigest(), *sorted(exports or {})])
    number = registry.publish(name, {**files, **(exports or {})}, lineage, key=key, signing_key=signing_key)
    if signing_key is None and is_signed(source, manifest):
        problem = "%s %s is not signed: the signature of %s holds for that version alone; push it again with --signing-key to sign it"
        logger.warning(problem, name, number, source.uri)
    model = registry.model(name)
    is_best = metrics.score is not None and promote_if_better(model, number, metrics.score, metrics.protocol, rescore=lambda _: None)
    return model.child(number), is_best
