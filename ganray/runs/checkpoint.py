"""Checkpoints of a run in its store: files first, then a manifest with their hashes, which is what makes a checkpoint one.

A checkpoint is a folder `checkpoints/<attempt>-<images seen>/`. Ray's own run state is not needed to resume, so it cannot tear one.
"""

import contextlib
import hashlib
import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganray.storage import MissingObject, ObjectStore

STATE = "state.pt"
GENERATOR = "generator.safetensors"
MANIFEST = "manifest.json"


class TornCheckpoint(Exception):
    """A checkpoint whose files are not what its manifest says."""


@dataclass(frozen=True)
class Checkpoint:
    """One complete checkpoint. `progress` is what the run knew then: best score, seconds trained, whether it was done."""

    store: ObjectStore
    name: str
    manifest: dict[str, Any]

    @property
    def images_seen(self) -> int:
        return self.manifest["images_seen"]

    @property
    def progress(self) -> dict[str, Any]:
        return self.manifest["progress"]

    def read(self, file: str) -> bytes:
        """Return a file's bytes; raise `TornCheckpoint` unless they are those that were saved."""
        return _read_checked(self.store, f"checkpoints/{self.name}/{file}", self.manifest["files"][file]["sha256"])

    @contextlib.contextmanager
    def local_copy(self, file: str) -> Iterator[Path]:
        """Give a file on this machine's disk, however large; raise `TornCheckpoint` unless it is what was saved."""
        key = f"checkpoints/{self.name}/{file}"
        with tempfile.TemporaryDirectory(prefix="ganray-") as folder:
            try:
                digest = self.store.download(key, Path(folder, file))
            except MissingObject as error:
                raise TornCheckpoint(f"{key} is missing") from error
            if digest != self.manifest["files"][file]["sha256"]:
                raise TornCheckpoint(f"{key} is not what was saved")
            yield Path(folder, file)

    def state(self) -> dict[str, Any]:
        """Return the training state, on the CPU."""
        with self.local_copy(STATE) as path:
            return torch.load(path, map_location="cpu", weights_only=True)


def checkpoint_name(attempt: int, images_seen: int) -> str:
    """Return a checkpoint's name; names sort by age."""
    return f"{attempt:03d}-{images_seen:012d}"


def serialise(state: Mapping[str, Any]) -> bytes:
    """Return a state as the bytes of a file that `torch.load(weights_only=True)` reads."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def serialise_to(path: Path, state: Mapping[str, Any]) -> None:
    """Write what `serialise` returns to a file, without a second copy in memory."""
    with path.open("wb") as file:
        torch.save(state, file)


def save_checkpoint(
    run: ObjectStore, files: Mapping[str, bytes | Path], *, images_seen: int, attempt: int, progress: Mapping[str, Any]
) -> str:
    """Write a checkpoint, from memory or local files, into a run's store and return its name. The same one again replaces it."""
    name = checkpoint_name(attempt, images_seen)
    hashes = {file: _store_file(run, f"checkpoints/{name}/{file}", content) for file, content in files.items()}
    manifest = {"images_seen": images_seen, "attempt": attempt, "progress": progress, "files": hashes}
    run.write(f"checkpoints/{name}/{MANIFEST}", json.dumps(manifest, indent=1).encode())
    return name


def _store_file(run: ObjectStore, key: str, content: bytes | Path) -> dict[str, Any]:
    """Write a file of a checkpoint and return its entry in the manifest."""
    if isinstance(content, Path):
        return {"size": content.stat().st_size, "sha256": run.upload(content, key)}
    run.write(key, content)
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def checkpoint_names(run: ObjectStore) -> list[str]:
    """Return the names of all checkpoints that were finished, oldest first."""
    return [info.key.split("/")[1] for info in run.list("checkpoints/") if info.key.endswith(f"/{MANIFEST}")]


def load_checkpoint(run: ObjectStore, name: str) -> Checkpoint:
    """Return a checkpoint by name; raise `TornCheckpoint` if its manifest is missing or broken."""
    try:
        manifest = json.loads(run.read(f"checkpoints/{name}/{MANIFEST}"))
        return Checkpoint(run, name, {key: manifest[key] for key in ("images_seen", "attempt", "progress", "files")})
    except (MissingObject, ValueError, KeyError) as error:
        raise TornCheckpoint(f"checkpoint {name} has no readable manifest ({type(error).__name__})") from error


def newest_checkpoint(run: ObjectStore, *, fewer_than: int | None = None) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest checkpoint whose state is whole, and a line for each newer one that was torn.

    With `fewer_than`, the newest that has seen fewer images than that.
    """
    passed_over = []
    for name in reversed(checkpoint_names(run)):
        try:
            checkpoint = load_checkpoint(run, name)
            if fewer_than is not None and checkpoint.images_seen >= fewer_than:
                continue
            with checkpoint.local_copy(STATE):
                pass
        except TornCheckpoint as error:
            passed_over.append(f"{error}; the checkpoint before it is used")
        else:
            return checkpoint, passed_over
    return None, passed_over


def prune_checkpoints(run: ObjectStore, *, newest: str, keep: int) -> None:
    """Delete what is older than the `keep` checkpoints up to `newest`, but for those that one of these names as its best.

    Manifests go first. What is newer than `newest` was found torn, and will be written again.
    """
    names = [name for name in checkpoint_names(run) if name <= newest]
    pinned = {best["checkpoint"] for best in (_best_at(run, name) for name in names[-keep:]) if best}
    for name in names[:-keep]:
        if name not in pinned:
            run.delete(f"checkpoints/{name}/{MANIFEST}")
            for info in run.list(f"checkpoints/{name}/"):
                run.delete(info.key)


def _best_at(run: ObjectStore, name: str) -> dict[str, Any] | None:
    try:
        return load_checkpoint(run, name).progress["best"]
    except TornCheckpoint:
        return None


def _read_checked(store: ObjectStore, key: str, sha256: str) -> bytes:
    try:
        data = store.read(key)
    except MissingObject as error:
        raise TornCheckpoint(f"{key} is missing") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise TornCheckpoint(f"{key} is not what was saved")
    return data
