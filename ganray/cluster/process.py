"""The identity of a process: host, boot and container, process id and start time; by it a later process knows that one has ended."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def own_identity() -> dict[str, Any]:
    """Return this process's identity, plain data. `started` is None where the system does not tell."""
    return {"host": socket.gethostname(), "boot": boot_id(), "pid": os.getpid(), "started": started(os.getpid())}


def is_here(identity: Mapping[str, Any]) -> bool:
    """Return whether an identity is that of a process of this machine and container, since it was booted."""
    return identity.get("started") is not None and identity.get("boot") == boot_id()


def is_running_here(identity: Mapping[str, Any]) -> bool:
    """Return whether an identity is that of a process of this machine that is not stopped (SIGSTOP)."""
    return is_here(identity) and _state(identity.get("pid", -1)) not in ("T", "t")


def is_dead(identity: Mapping[str, Any]) -> bool:
    """Return whether an identity is that of a process that ran on this machine and has ended."""
    return is_here(identity) and started(identity.get("pid", -1)) != identity.get("started")


def boot_id() -> str:
    """Return an identity of this machine's boot and of the container that this process runs in."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return socket.gethostname()


def started(pid: int) -> str | None:
    """Return when a process of this machine was started, None if there is none (a zombie counts as none)."""
    fields = _stat(pid)
    return fields[19] if fields and fields[0] not in "ZX" else None


def _state(pid: int) -> str | None:
    """Return a process's state as /proc has it: T for one that was stopped."""
    fields = _stat(pid)
    return fields[0] if fields else None


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
