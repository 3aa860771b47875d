"""Deletion of versions and garbage collection.

A deleted version leaves its reservation, and a tombstone in its manifest's place: its number is never used again, and a publisher
that was taken for dead cannot finish a version whose files were removed. The alias lists versions under deletion, so that it
cannot move to one of them.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from itertools import groupby

from ganray.errors import ArtifactError, ConfigError, StorageError
from ganray.registry.alias import Best, actor, move_alias, read_best, read_tagged_best, referenced_versions, replace_best, timestamp
from ganray.registry.manifest import MANIFEST, VERSION, find_manifest, make_tombstone
from ganray.registry.registry import Registry
from ganray.registry.reservation import is_reservation_file
from ganray.storage import ObjectInfo, ObjectStore


class State(StrEnum):
    """The lifecycle of a version, from its reservation on."""

    UNFINISHED = auto()  # reserved, without a manifest
    PUBLISHED = auto()
    DELETING = auto()  # announced, without a tombstone
    PARTLY_DELETED = auto()  # a tombstone, but files are left, or the announcement is
    DELETED = auto()


class Reason(StrEnum):
    """Why something can be collected."""

    UNREFERENCED = "nothing points to it"
    UNFINISHED = "its publication was never finished"
    DELETING = "its deletion was never finished"
    PARTLY_DELETED = "files of a deleted version"
    UPLOAD = "unfinished upload"


REASONS = {State.UNFINISHED: Reason.UNFINISHED, State.DELETING: Reason.DELETING, State.PARTLY_DELETED: Reason.PARTLY_DELETED}


@dataclass(frozen=True)
class Removal:
    """Something that `collect` removes: a version of a model, or by its key a leftover of the store. `size` is in bytes."""

    model: str
    version: str | None
    key: str | None
    why: Reason
    size: int


def delete_version(registry: Registry, name: str, number: str, *, why: str, pinned_too: bool) -> None:
    """Delete a version. Raises `ConfigError` for the best, and, unless `pinned_too`, for one that the history names."""
    _, number = registry.version(name, number)
    model = registry.model(name)
    best = read_best(model)
    if not pinned_too and number in referenced_versions(model) and not (best and best.version == number):
        remedy = "a rollback may need it; use --pinned-too to delete it all the same"
        raise ConfigError("VERSION", f"the history of model {name!r} names {number}", remedy)
    delete_versions(model, [number], why=why)


def delete_versions(model: ObjectStore, numbers: Iterable[str], *, why: str) -> None:
    """Delete published versions: announced in the alias, then tombstones, then the files. Raises `ConfigError` for the best."""
    numbers = tuple(numbers)
    _announce(model, numbers, why=why)
    for number in numbers:
        replace_by_tombstone(model.child(number), why=why)
    _end_announcement(model, numbers)


def replace_by_tombstone(version: ObjectStore, *, why: str) -> None:
    """Replace a published version's manifest by a tombstone, and remove its files."""
    _, tag = version.read_tagged(MANIFEST)
    manifest = find_manifest(version)
    is_deleted = manifest is not None and manifest.deleted is not None
    if not is_deleted and not version.write_if_unchanged(MANIFEST, _tombstone(why), tag):
        raise StorageError(f"{version.uri}/{MANIFEST}", "was changed while it was deleted", "look at it, and delete it again")
    _remove_files(version)


def discard_unfinished(version: ObjectStore, *, why: str) -> None:
    """Write the tombstone of a version that was never finished, and remove its files; one that is finished by now stays."""
    if version.write_if_absent(MANIFEST, _tombstone(why)):
        _remove_files(version)


def plan_garbage(registry: Registry, name: str | None, *, keep: int, older_than_s: float) -> list[Removal]:
    """Return the garbage of a model, or of all without a name: that of `plan_collection` and `plan_leftovers`.

    Raises `ArtifactError` for a model of which no version was ever reserved.
    """
    known = registry.reserved_models()
    if name is not None and name not in known:
        problem = f"there is no model {name!r} in {registry.storage.uri}"
        raise ArtifactError("NAME", problem, f"its models: {', '.join(known) or 'none yet'}")
    models = known if name is None else [name]
    garbage = [removal for model in models for removal in plan_collection(registry, model, keep=keep, older_than_s=older_than_s)]
    leftovers = plan_leftovers(registry, older_than_s=older_than_s)
    return garbage + [removal for removal in leftovers if name is None or removal.model == name]


def plan_collection(registry: Registry, name: str, *, keep: int, older_than_s: float) -> list[Removal]:
    """Return the garbage of a model: unreferenced versions, unfinished ones, and what deletions left.

    The best, versions that the history names, the `keep` newest ones, and all that was written in the last `older_than_s` stay.
    """
    model = registry.model(name)
    infos = [info for info in model.list() if VERSION.fullmatch(info.key.split("/")[0])]
    files = {number: list(group) for number, group in groupby(infos, key=lambda info: info.key.split("/")[0])}
    best = read_best(model)
    states = {number: version_state(model.child(number), number, files[number], best) for number in files}
    published = sorted((number for number, state in states.items() if state is State.PUBLISHED), key=int)
    kept = set(published) if best is None else referenced_versions(model) | set(published[-keep:] if keep else ())
    return [
        Removal(name, number, None, reason, _size(files[number]))
        for number, state in states.items()
        if (reason := _reason(state, is_kept=number in kept)) and _is_older(files[number], older_than_s)
    ]


def plan_leftovers(registry: Registry, *, older_than_s: float) -> list[Removal]:
    """Return the unfinished uploads under a registry's models that killed processes left."""
    models = registry.storage.child("models")
    old = (info for info in models.leftovers() if time.time() - info.modified >= older_than_s)
    return [Removal(info.key.split("/")[0], None, info.key, Reason.UPLOAD, info.size) for info in old]


def collect(registry: Registry, removals: Iterable[Removal], *, why: str) -> None:
    """Remove what a plan found, but for versions that the alias has come to reference since."""
    for removal in removals:
        if removal.key is not None:
            registry.storage.child("models").remove_leftover(removal.key)
        elif removal.version is not None and removal.version not in referenced_versions(registry.model(removal.model)):
            _collect_version(registry.model(removal.model), removal.version, removal.why, why=why)


def version_state(version: ObjectStore, number: str, files: list[ObjectInfo], best: Best | None) -> State:
    """Return the lifecycle state of a version, from its manifest, the listing of its files and the state of the alias."""
    manifest = find_manifest(version)
    if manifest is None:
        return State.UNFINISHED
    is_announced = best is not None and number in best.deleting
    if not manifest.deleted:
        return State.DELETING if is_announced else State.PUBLISHED
    return State.PARTLY_DELETED if is_announced or any(not _outlives_deletion(info.key) for info in files) else State.DELETED


def _announce(model: ObjectStore, numbers: tuple[str, ...], *, why: str) -> None:
    """List versions as under deletion in the alias, to which nothing may move any more. Raises `ConfigError` for the best."""
    model.check_conditional_writes()
    while True:
        seen = read_tagged_best(model)
        if seen is None:
            raise ArtifactError("NAME", f"{model.uri} has no best version yet", "promote one: ganray models promote NAME VERSION")
        if seen.best.version in numbers:
            raise ConfigError("VERSION", f"{seen.best.version} is the best", "promote another one first, or roll back")
        if move_alias(model, seen, "delete", seen.best, why, deleting=numbers):
            return


def _end_announcement(model: ObjectStore, numbers: Iterable[str]) -> None:
    """Take deleted versions off the alias's list."""
    done = set(numbers)
    while (seen := read_tagged_best(model)) and done & set(seen.best.deleting):
        left = tuple(number for number in seen.best.deleting if number not in done)
        if replace_best(model, seen, replace(seen.best, deleting=left)):
            return


def _collect_version(model: ObjectStore, number: str, reason: Reason, *, why: str) -> None:
    match reason:
        case Reason.UNREFERENCED:
            delete_versions(model, [number], why=why)
        case Reason.UNFINISHED:
            discard_unfinished(model.child(number), why=why)
        case _:
            replace_by_tombstone(model.child(number), why=why)
            _end_announcement(model, [number])


def _reason(state: State, *, is_kept: bool) -> Reason | None:
    """Return why a version in a state can be collected, None if it stays."""
    if state is State.PUBLISHED:
        return None if is_kept else Reason.UNREFERENCED
    return REASONS.get(state)


def _tombstone(why: str) -> bytes:
    return make_tombstone(who=actor(), when=timestamp(), why=why)


def _remove_files(version: ObjectStore) -> None:
    for info in version.list():
        if not _outlives_deletion(info.key):
            version.delete(info.key)


def _outlives_deletion(key: str) -> bool:
    """Whether a file stays when its version is deleted: the tombstone and the reservation."""
    name = key.split("/")[-1]
    return name == MANIFEST or is_reservation_file(name)


def _is_older(files: list[ObjectInfo], seconds: float) -> bool:
    return time.time() - max(info.modified for info in files) >= seconds


def _size(files: list[ObjectInfo]) -> int:
    return sum(info.size for info in files if not _outlives_deletion(info.key))
