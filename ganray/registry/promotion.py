"""Moving a model's best pointer by hand: promote a version, or roll back to the one before."""

from ganray.errors import ArtifactError
from ganray.registry.alias import Best, before_last, move_by_hand, read_history
from ganray.registry.manifest import find_manifest, read_manifest
from ganray.registry.registry import Registry, read_metrics
from ganray.registry.verify import damage
from ganray.storage import ObjectStore, child


def promote(registry: Registry, name: str, number: str, *, why: str) -> Best:
    """Point a model's best at a version, whatever its score, once it is found whole. Raises `GanrayError`."""
    store, number = registry.version(name, number)
    if problems := damage(store):
        raise ArtifactError("VERSION", f"{number} is damaged: {problems[0]}", "name a version that `ganray models verify` finds whole")
    target = _standing(store, number)
    return move_by_hand(registry.model(name), "promote", lambda _: target, why=why)


def rollback(registry: Registry, name: str, *, why: str) -> Best:
    """Point a model's best at the version that it was before, and return where it stands now. Again goes back further."""
    model = registry.existing(name)
    return move_by_hand(model, "rollback", lambda _: _before(model, name), why=why)


def _before(model: ObjectStore, name: str) -> Best:
    """Return the nearest version that the pointer came from and that is still there."""
    for number in before_last(read_history(model)):
        store = child(model, number)
        manifest = find_manifest(store)
        if manifest and not manifest.deleted:
            return _standing(store, number)
    raise ArtifactError("NAME", f"the best of model {name!r} never was another version that is still there", "promote one instead")


def _standing(store: ObjectStore, number: str) -> Best:
    metrics = read_metrics(store, read_manifest(store))
    if metrics.score is None:
        raise ArtifactError(store.uri, f"has no score of {metrics.protocol.metric}", "name a version that was scored")
    return Best(number, metrics.score, metrics.protocol.model_dump())
