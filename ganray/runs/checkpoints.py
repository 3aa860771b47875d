"""The checkpoints of a run: found by a listing, committed, pruned, and made anew for an attempt after a divergence or by a clone.

The attempt is part of the state and of every random stream's key: after a rollback data and latents differ, or it would only happen
again.
"""

import dataclasses
import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ganray.errors import ConfigError, DataError
from ganray.runs.checkpoint import (
    FOLDER,
    GENERATOR,
    MANIFEST,
    STATE,
    Checkpoint,
    DamagedCheckpoint,
    FileEntry,
    check_sizes,
    checkpoint_name,
    read_checkpoint,
    serialise,
    write_manifest,
)
from ganray.runs.status import Best, EndReason, Progress
from ganray.storage import ObjectStore
from ganray.storage.leftovers import remove_leftovers

logger = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of the run of a name, in `store`. `check_fence` is called before anything is written; it may raise `RunLocked`."""

    def __init__(self, run: str, store: ObjectStore, check_fence: Callable[[], None]) -> None:
        self.run, self.store, self.check_fence = run, store, check_fence
        self._reported: set[str] = set()  # damage that was logged already

    def names(self) -> list[str]:
        """Return the names of all committed checkpoints, oldest first."""
        return [info.key.split("/")[1] for info in self.store.list(f"{FOLDER}/") if info.key.endswith(f"/{MANIFEST}")]

    def latest(self, *, fewer_than: int | None = None) -> Checkpoint | None:
        """Return the newest checkpoint that can be resumed from, by a listing and its manifest, without reading its state.

        With `fewer_than`, the newest that has seen fewer images than that. Damaged ones are logged and passed over.
        """
        sizes = {info.key: info.size for info in self.store.list(f"{FOLDER}/")}
        names = [key.split("/")[1] for key in sizes if key.endswith(f"/{MANIFEST}")]
        for name in reversed(names):
            try:
                checkpoint = read_checkpoint(self.store, name)
                if fewer_than is not None and checkpoint.images_seen >= fewer_than:
                    continue
                check_sizes(checkpoint, sizes)
            except DamagedCheckpoint as error:
                self._report(f"{error}; the checkpoint before it is used")
            else:
                if STATE in checkpoint.files:
                    return checkpoint
        return None

    def newest_generator(self) -> Checkpoint:
        """Return the newest checkpoint that has a generator, scored or not. Raises `ConfigError` if there is none."""
        for name in reversed(self.names()):
            checkpoint = self._find(name)
            if checkpoint and GENERATOR in checkpoint.files:
                return checkpoint
        raise ConfigError("RUN", f"run {self.run!r} has no generator yet", "let it train past evaluate.every images, or to its end")

    def best_score(self) -> Best | None:
        """Return the best score so far, by the newest readable manifest; None if there is none."""
        latest = next((checkpoint for name in reversed(self.names()) if (checkpoint := self._find(name))), None)
        return latest.progress.best if latest else None

    def best(self) -> Checkpoint:
        """Return the checkpoint with the best generator. Raises `ConfigError` if none was scored, `DataError` if it is damaged."""
        best = self.best_score()
        if best is None:
            remedy = "let it train past evaluate.every images, and look at the losses in its metrics"
            raise ConfigError("RUN", f"run {self.run!r} has no generator with a finite score", remedy)
        try:
            checkpoint = read_checkpoint(self.store, best.checkpoint)
            checkpoint.read(GENERATOR)
        except DamagedCheckpoint as error:
            raise DataError("RUN", f"the best of run {self.run!r} is damaged ({error})", "raise train.total_images to train on") from error
        return checkpoint

    def save(self, files: Mapping[str, bytes | Path], *, images_seen: int, attempt: int, progress: Progress) -> Checkpoint:
        """Commit a checkpoint from memory or local files, its manifest last. The same one again replaces it."""
        self.check_fence()
        folder = f"{FOLDER}/{checkpoint_name(attempt, images_seen)}"
        entries = {file: self._write_file(f"{folder}/{file}", content) for file, content in files.items()}
        checkpoint = Checkpoint(self.store, attempt, images_seen, progress, entries)
        write_manifest(checkpoint)
        return checkpoint

    def discard_state(self, checkpoint: Checkpoint) -> None:
        """Take a training state whose hash is wrong out of its manifest, so that nobody resumes from it; a generator stays."""
        self.check_fence()
        files = {file: entry for file, entry in checkpoint.files.items() if file != STATE}
        write_manifest(dataclasses.replace(checkpoint, files=files))

    def roll_back(self, *, attempt: int, fresh: dict[str, Any], max_rollbacks: int) -> Checkpoint:
        """Commit the checkpoint that the next attempt starts from, and return it.

        It is a copy of the latest one, or of one before that if nothing came of the last rollback to it; of the `fresh` state if there
        is none. After `max_rollbacks` rollbacks its progress says that the run has ended DIVERGED.
        """
        latest = self.latest()
        source = self.latest(fewer_than=latest.images_seen) if latest and latest.progress.rolled_back else latest
        before = source.progress if source else Progress()
        state = source.state() if source else fresh
        num_rollbacks = 1 + (latest.progress.num_rollbacks if latest else 0)
        progress = Progress(
            trained_s=before.trained_s,
            best=before.best,
            ended=EndReason.DIVERGED if num_rollbacks > max_rollbacks else None,
            num_rollbacks=num_rollbacks,
            rolled_back=True,
            cloned_from=latest.progress.cloned_from if latest else None,
            monitor=before.monitor,
        )
        files = {STATE: serialise({**state, "attempt": attempt + 1})}
        return self.save(files, images_seen=state["images_seen"], attempt=attempt + 1, progress=progress)

    def clone(self, donor: "Checkpoints", checkpoint: str) -> None:
        """Make the donor's latest state, at a checkpoint or later, the latest of this run, under an attempt above all of its own.

        Done once however often it is asked for, also if both have trained on since. The best generator of this run so far stays its own.
        """
        source, own = donor.latest(), self.latest()
        assert source is not None, f"{donor.store.uri} has no checkpoint to clone"
        key = f"{donor.run}@{checkpoint}"
        if own is None or own.progress.cloned_from != key:
            attempt = max([int(name.split("-")[0]) for name in self.names()] + [source.attempt]) + 1
            best, donated = own.progress.best if own else None, source.progress
            progress = Progress(trained_s=donated.trained_s, best=best, cloned_from=key, monitor=donated.monitor)
            files = {STATE: serialise({**source.state(), "attempt": attempt})}
            self.save(files, images_seen=source.images_seen, attempt=attempt, progress=progress)

    def prune(self, *, newest: str, keep: int) -> None:
        """Delete what is older than the `keep` checkpoints up to `newest`, but for those that one of these names as its best.

        What is newer was damaged. Manifests go first: a checkpoint without one is then deleted, also if a writer that died or had no room
        left it.
        """
        names = [name for name in self.names() if name <= newest]
        kept = [checkpoint for name in names[-keep:] if (checkpoint := self._find(name))]
        pinned = {checkpoint.progress.best.checkpoint for checkpoint in kept if checkpoint.progress.best}
        for name in names[:-keep]:
            if name not in pinned:
                self.store.delete(f"{FOLDER}/{name}/{MANIFEST}")
        self._delete_uncommitted(up_to=newest)

    def remove_unfinished(self) -> None:
        """Delete what is left of checkpoints that were never committed, temporary files included.

        For the holder of the lock, while nobody writes any.
        """
        self.check_fence()
        self._delete_uncommitted()
        remove_leftovers(self.store.child(FOLDER), older_than_s=0)

    def _find(self, name: str) -> Checkpoint | None:
        """Return a checkpoint by name, None if its manifest cannot be read."""
        try:
            return read_checkpoint(self.store, name)
        except DamagedCheckpoint:
            return None

    def _write_file(self, key: str, content: bytes | Path) -> FileEntry:
        if isinstance(content, Path):
            return FileEntry(content.stat().st_size, self.store.upload(content, key))
        self.store.write(key, content)
        return FileEntry(len(content), hashlib.sha256(content).hexdigest())

    def _delete_uncommitted(self, *, up_to: str | None = None) -> None:
        """Delete the files of checkpoints without a manifest, up to a name if one is given."""
        names = {info.key: info.key.split("/")[1] for info in self.store.list(f"{FOLDER}/")}
        committed = {name for key, name in names.items() if key.endswith(f"/{MANIFEST}")}
        for key, name in names.items():
            if name not in committed and (up_to is None or name <= up_to):
                self.store.delete(key)

    def _report(self, message: str) -> None:
        if message not in self._reported:
            self._reported.add(message)
            logger.warning("%s", message)
