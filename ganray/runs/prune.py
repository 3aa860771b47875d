"""Which checkpoints stay: the newest, the best, and nothing that was never committed."""

from ganray.runs.checkpoint import FOLDER, MANIFEST, DamagedCheckpoint, read_manifest
from ganray.runs.status import Progress
from ganray.storage import ObjectStore
from ganray.storage.leftovers import remove_leftovers


def committed_checkpoints(run: ObjectStore) -> list[str]:
    """Return the names of all checkpoints with a manifest, oldest first."""
    return [info.key.split("/")[1] for info in run.list(f"{FOLDER}/") if info.key.endswith(f"/{MANIFEST}")]


def progress_at(run: ObjectStore, name: str) -> Progress | None:
    """Return what a run knew at a checkpoint, None if its manifest cannot be read."""
    try:
        return read_manifest(run, name).progress
    except DamagedCheckpoint:
        return None


def prune(run: ObjectStore, *, newest: str, keep: int) -> None:
    """Delete what is older than the `keep` checkpoints up to `newest`, but for those that one of these names as its best.

    Manifests go first: a checkpoint without one is then deleted, also if a writer that died or had no room left it.
    """
    names = [name for name in committed_checkpoints(run) if name <= newest]
    kept = [progress for name in names[-keep:] if (progress := progress_at(run, name))]
    pinned = {progress.best.checkpoint for progress in kept if progress.best}
    for name in names[:-keep]:
        if name not in pinned:
            run.delete(f"{FOLDER}/{name}/{MANIFEST}")
    _delete_uncommitted(run, up_to=newest)


def remove_unfinished(run: ObjectStore) -> None:
    """Delete what is left of checkpoints that were never committed, temporary files included, while nobody writes any."""
    _delete_uncommitted(run)
    remove_leftovers(run.child(FOLDER), older_than_s=0)


def _delete_uncommitted(run: ObjectStore, *, up_to: str | None = None) -> None:
    """Delete the files of checkpoints without a manifest, up to a name if one is given."""
    names = {info.key: info.key.split("/")[1] for info in run.list(f"{FOLDER}/")}
    committed = {name for key, name in names.items() if key.endswith(f"/{MANIFEST}")}
    for key, name in names.items():
        if name not in committed and (up_to is None or name <= up_to):
            run.delete(key)
