"""A local store that writes down what is read from it, by whichever process, for tests that count."""

import os
from dataclasses import dataclass
from pathlib import Path

from ganray.storage.base import Progress
from ganray.storage.local import LocalStore


@dataclass(frozen=True)
class RecordingStore(LocalStore):
    """Appends a line `operation path` to the file `log` for each object that is read or downloaded."""

    log: str = ""

    def read(self, key: str) -> bytes:
        self._record("read", key)
        return super().read(key)

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        return super().read_tagged(key)  # reads by `read`

    def download(self, key: str, path: Path, *, max_bytes: int | None = None, progress: Progress | None = None) -> str:
        self._record("download", key)
        return super().download(key, path, max_bytes=max_bytes, progress=progress)

    def _record(self, operation: str, key: str) -> None:
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)  # one write of a line is whole
        os.write(descriptor, f"{operation} {self.root}/{key}\n".encode())
        os.close(descriptor)


def recorded(log: Path, operation: str, name: str) -> int:
    """Return how often an operation met objects of a name."""
    lines = log.read_text().splitlines() if log.exists() else []
    return sum(line.startswith(f"{operation} ") and line.endswith(f"/{name}") for line in lines)
