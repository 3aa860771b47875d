"""The tracking process: reads from its driver what to track, keeps trackers up to date, and ends with the driver.

Its status is 0 if every tracker has all that the run's record has.
"""

import json
import os
import sys
import threading
from typing import Any

from pydantic import TypeAdapter

from ganray.config import Tracker
from ganray.runs.lock import Fence
from ganray.runs.run import Run
from ganray.storage import open_store
from ganray.track.sync import SyncThread

TRACKERS: TypeAdapter[list[Tracker]] = TypeAdapter(list[Tracker])


def main() -> int:
    """Track until the driver says that the run has ended, or is gone."""
    described, report = json.loads(sys.stdin.readline()), printer()
    threads = [SyncThread(config, run_of(described), report) for config in TRACKERS.validate_python(described["trackers"])]
    for thread in threads:
        thread.start()
    if not sys.stdin.readline():  # the driver has died: what it did not send, the next one does
        os._exit(1)
    threading.Thread(target=end_with_driver, daemon=True).start()
    for thread in threads:
        thread.finishing.set()
    for thread in threads:
        thread.join()
    return 0 if all(thread.is_complete for thread in threads) else 1


def run_of(described: dict[str, Any]) -> Run:
    """Return the run that the driver has described, fenced by the driver's lock."""
    run = Run(open_store(described["storage"]), described["folder"])
    if described["token"]:
        run.fence = Fence(run.store, run.name, described["token"])
    return run


def end_with_driver() -> None:
    """End this process once the driver is gone, at whatever it is then."""
    sys.stdin.readline()
    os._exit(1)


def printer() -> Any:
    """Return a function that tells the driver a line; what packages print by themselves goes nowhere."""
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return lambda line: print(line, file=lines)


if __name__ == "__main__":
    status = main()
    os._exit(status)  # packages may wait at exit
