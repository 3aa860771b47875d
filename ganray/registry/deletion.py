"""Deleting versions, and finding what nobody needs any more.

A deleted version leaves its claim, and a tombstone in its manifest's place: its number is never used again, and a publisher that
was taken for dead cannot finish what was cleared away.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from ganray.errors import ConfigError
from ganray.registry.alias import VERSION, Best, announce_deletion, deletion_done, now, pinned, read_best, who
from ganray.registry.manifest import MANIFEST, find_manifest, make_tombstone
from ganray.registry.registry import Registry
from ganray.registry.reservation import is_of_claim
from ganray.storage import ObjectInfo, ObjectStore, child

UNUSED, UNFINISHED, UNDELETED, REMAINS = (
    "nothing points to it",
    "its publication was never finished",
    "its deletion was never finished",
    "remains of a deleted version",
)


@dataclass(frozen=True)
class Removal:
    """Something that `collect` removes: a version of a model, or a leftover of the store; why, and how many bytes."""

    model: str
    version: str | None
    key: str | None
    why: str
    size: int


def delete_version(registry: Registry, name: str, number: str, *, why: str, pinned_too: bool) -> None:
    """Delete a version that is not the best, and, unless `pinned_too`, that the history does not name. Raises `GanrayError`."""
    _, number = registry.version(name, number)
    model = registry.model(name)
    if not pinned_too and number in pinned(model) and number != _best_version(model):
        remedy = "a rollback may want it; say --pinned-too to delete it all the same"
        raise ConfigError("VERSION", f"the history of model {name!r} names {number}", remedy)
    retire(model, [number], why=why)


def retire(model: ObjectStore, numbers: Iterable[str], *, why: str) -> None:
    """Delete versions: forbid to move to them, lay their tombstones, and remove their files."""
    numbers = tuple(numbers)

    def refuse_best(best: Best) -> None:
        if best.version in numbers:
            raise ConfigError("VERSION", f"{best.version} is the best", "promote another one first, or roll back")

    announce_deletion(model, numbers, why=why, check=refuse_best)
    for number in numbers:
        bury(child(model, number), why=why)
    deletion_done(model, numbers)


def bury(version: ObjectStore, *, why: str) -> None:
    """Lay a finished version's tombstone, and remove its files."""
    _, tag = version.read_tagged(MANIFEST)
    if not find_manifest(version).deleted and not version.write_if_unchanged(MANIFEST, _tombstone(why), tag):
        raise OSError(f"{version.uri}/{MANIFEST} was changed while it was deleted")
    _clear(version)


def bury_unfinished(version: ObjectStore, *, why: str) -> None:
    """Lay the tombstone of a version that was never finished, and remove its files; leave it if it is finished by now."""
    if version.write_if_absent(MANIFEST, _tombstone(why)):
        _clear(version)


def plan_collection(registry: Registry, name: str, *, keep: int, older_than_s: float) -> list[Removal]:
    """Return what of a model nothing points to and nobody waits for: versions, unfinished ones, and what deletions left.

    The best, what the history names, and the `keep` newest versions stay, and so does what was written in the last `older_than_s`.
    """
    model = registry.model(name)
    infos = [info for info in model.list() if VERSION.fullmatch(info.key.split("/")[0])]
    folders = {number: list(files) for number, files in groupby(infos, key=lambda info: info.key.split("/")[0])}
    best, held = read_best(model), pinned(model)
    standing = {number: _standing(child(model, number), files, best) for number, files in folders.items()}
    newest = sorted((number for number, state in standing.items() if state == "published"), key=int)[-keep:] if keep else []
    found = []
    for number, files in folders.items():
        why = _why_remove(standing[number], is_held=number in held or number in newest or best is None)
        if why and _is_older(files, older_than_s):
            found.append(Removal(name, number, None, why, _size(files)))
    return found


def plan_leftovers(registry: Registry, *, older_than_s: float) -> list[Removal]:
    """Return the uploads under a registry's models that were never finished, as a killed process leaves them."""
    models = child(registry.storage, "models")
    old = (info for info in models.leftovers() if time.time() - info.modified >= older_than_s)
    return [Removal(info.key.split("/")[0], None, info.key, "unfinished upload", info.size) for info in old]


def collect(registry: Registry, removals: Iterable[Removal], *, why: str) -> None:
    """Remove what a plan found. What has become the best, or pinned, since the plan was made stays: it is looked at again."""
    for removal in removals:
        if removal.version is None:
            child(registry.storage, "models").remove_leftover(removal.key)
            continue
        model = registry.model(removal.model)
        if removal.version in pinned(model):
            continue
        if removal.why == UNUSED:
            retire(model, [removal.version], why=why)
        elif removal.why == UNFINISHED:
            bury_unfinished(child(model, removal.version), why=why)
        else:
            bury(child(model, removal.version), why=why)
            deletion_done(model, [removal.version])


def _tombstone(why: str) -> bytes:
    return make_tombstone(who=who(), when=now(), why=why)


def _clear(version: ObjectStore) -> None:
    for info in version.list():
        if not _is_kept(info.key):
            version.delete(info.key)


def _standing(version: ObjectStore, files: list[ObjectInfo], best: Best | None) -> str:
    number = files[0].key.split("/")[0]
    manifest = find_manifest(version)
    if manifest is None:
        return "unfinished"
    is_announced = best is not None and number in best.deleting
    if not manifest.deleted:
        return "deleting" if is_announced else "published"
    return "remains" if is_announced or any(not _is_kept(info.key) for info in files) else "deleted"


def _why_remove(standing: str, *, is_held: bool) -> str | None:
    if standing == "published":
        return None if is_held else UNUSED
    return {"unfinished": UNFINISHED, "deleting": UNDELETED, "remains": REMAINS}.get(standing)


def _is_kept(key: str) -> bool:
    """Whether a file stays when its version is deleted."""
    name = key.split("/")[-1]
    return name == MANIFEST or is_of_claim(name)


def _is_older(files: list[ObjectInfo], seconds: float) -> bool:
    return time.time() - max(info.modified for info in files) >= seconds


def _size(files: list[ObjectInfo]) -> int:
    return sum(info.size for info in files if not _is_kept(info.key))


def _best_version(model: ObjectStore) -> str | None:
    best = read_best(model)
    return best.version if best else None
