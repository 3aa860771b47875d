"""A training checkpoint: a folder of files and a manifest with their sizes and SHA-256, which is written last and commits them.

A checkpoint is `checkpoints/<attempt>-<images seen>/`, so names sort by age. A listing tells whether it is whole by size; its hashes
are compared when a file is read. Ray's own run state is not needed to resume.
"""

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganray.cluster.scratch import scratch_folder
from ganray.config import Train
from ganray.runs.status import Progress, RunStatus
from ganray.storage import MissingObject, ObjectStore
from ganray.storage.files import local_errors

FOLDER = "checkpoints"
STATE = "state.pt"
GENERATOR = "generator.safetensors"
MANIFEST = "manifest.json"


class DamagedCheckpoint(Exception):
    """A checkpoint whose files do not match its manifest."""


@dataclass(frozen=True)
class FileEntry:
    """A file of a checkpoint: its size in bytes and its SHA-256 in hex."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Checkpoint:
    """One committed checkpoint of the run in `store`."""

    store: ObjectStore
    attempt: int
    images_seen: int
    progress: Progress
    files: Mapping[str, FileEntry]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return checkpoint_name(self.attempt, self.images_seen)

    def read(self, file: str) -> bytes:
        """Return a file's bytes. Raises `DamagedCheckpoint` unless they are those that were saved."""
        try:
            data = self.store.read(self._key(file))
        except MissingObject:
            raise DamagedCheckpoint(f"{self._key(file)} is missing") from None
        self._check(file, hashlib.sha256(data).hexdigest())
        return data

    def read_state(self) -> bytes:
        """Return the file with the training state, verified; from S3 in parallel parts. Raises `DamagedCheckpoint`."""
        with self._local_copy(STATE) as path:
            return path.read_bytes()

    def state(self) -> dict[str, Any]:
        """Return the training state, on the CPU. Raises `DamagedCheckpoint`."""
        with self._local_copy(STATE) as path:
            return load_state(path)

    @contextlib.contextmanager
    def _local_copy(self, file: str) -> Iterator[Path]:
        with scratch_folder("download") as folder:
            try:
                digest = self.store.download(self._key(file), Path(folder, file))
            except MissingObject:
                raise DamagedCheckpoint(f"{self._key(file)} is missing") from None
            self._check(file, digest)
            yield Path(folder, file)

    def _check(self, file: str, digest: str) -> None:
        if file not in self.files or digest != self.files[file].sha256:
            raise DamagedCheckpoint(f"{self._key(file)} is not what was saved")

    def _key(self, file: str) -> str:
        return f"{FOLDER}/{self.name}/{file}"


def checkpoint_name(attempt: int, images_seen: int) -> str:
    """Return a checkpoint's name; names sort by age."""
    return f"{attempt:03d}-{images_seen:012d}"


def serialise(state: Mapping[str, Any]) -> bytes:
    """Return a state as the bytes of a file that `load_state` reads."""
    import torch  # it takes a while to import, which listings do without

    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def serialise_to(path: Path, state: Mapping[str, Any]) -> None:
    """Write what `serialise` returns to a temporary file, without a second copy in memory. Raises `StorageError` if there is no room."""
    import torch  # it takes a while to import, which listings do without

    with local_errors("write", path.parent, field="TMPDIR"), path.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch's writer fails once more over what failed first
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_state(file: Path | bytes) -> dict[str, Any]:
    """Return the training state in a file or its bytes, on the CPU, without unpickling anything but tensors and plain values."""
    import torch  # it takes a while to import, which listings do without

    state: dict[str, Any] = torch.load(io.BytesIO(file) if isinstance(file, bytes) else file, map_location="cpu", weights_only=True)
    return state


def write_manifest(checkpoint: Checkpoint) -> None:
    """Commit a checkpoint whose files are written."""
    manifest = {
        "images_seen": checkpoint.images_seen,
        "attempt": checkpoint.attempt,
        "progress": checkpoint.progress.to_json(),
        "files": {file: vars(entry) for file, entry in checkpoint.files.items()},
    }
    checkpoint.store.write(f"{FOLDER}/{checkpoint.name}/{MANIFEST}", json.dumps(manifest, indent=1).encode())


def read_checkpoint(run: ObjectStore, name: str) -> Checkpoint:
    """Return a checkpoint by name. Raises `DamagedCheckpoint` if its manifest is missing or unreadable."""
    try:
        manifest = json.loads(run.read(f"{FOLDER}/{name}/{MANIFEST}"))
        files = {file: FileEntry(entry["size"], entry["sha256"]) for file, entry in manifest["files"].items()}
        return Checkpoint(run, manifest["attempt"], manifest["images_seen"], Progress.from_json(manifest["progress"]), files)
    except (MissingObject, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedCheckpoint(f"checkpoint {name} has no readable manifest ({type(error).__name__})") from error


def check_sizes(checkpoint: Checkpoint, sizes: Mapping[str, int]) -> None:
    """Raise `DamagedCheckpoint` unless every file of a checkpoint has its size in a listing, by key."""
    for file, entry in checkpoint.files.items():
        key = f"{FOLDER}/{checkpoint.name}/{file}"
        if key not in sizes:
            raise DamagedCheckpoint(f"{key} is missing")
        if sizes[key] != entry.size:
            raise DamagedCheckpoint(f"{key} is not what was saved")


def status_of(checkpoint: Checkpoint | None, train: Train, *, until: int | None = None) -> RunStatus:
    """Return how a run stands whose latest checkpoint this is."""
    if checkpoint is None:
        return RunStatus.NEW
    progress, max_seconds = checkpoint.progress, train.max_seconds
    if progress.ended and progress.ended.is_failure:
        return RunStatus(progress.ended.value)
    if checkpoint.images_seen >= (until or train.total_images):
        return RunStatus.DONE
    if max_seconds is not None and progress.trained_s >= max_seconds:
        return RunStatus.TIME_LIMIT
    return RunStatus.ROLLED_BACK if progress.rolled_back else RunStatus.UNFINISHED


def limits_of(train: Train) -> dict[str, float | None]:
    """Return where a run ends, which is what a result stands for."""
    return {"total_images": train.total_images, "max_seconds": train.max_seconds}
