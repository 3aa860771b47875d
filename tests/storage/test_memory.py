"""Large files pass through memory a little at a time: a process that moves one measures itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.s3_server import S3Server

MAX_MB = 200
MOVE = """
import json, sys, threading
from pathlib import Path
from ganray.storage import open_store

def megabytes():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) / 1024

uri, path = sys.argv[1], Path(sys.argv[2])
store, peak, over = open_store(uri), [0.0], threading.Event()
store.write("warm", b"x"), store.read("warm")
base = megabytes()

def watch():
    while not over.wait(0.01):
        peak[0] = max(peak[0], megabytes())

watcher = threading.Thread(target=watch)
watcher.start()
sent = store.upload(path, "state.pt")
received = store.download("state.pt", path.with_name("copy"))
over.set()
watcher.join()
print(json.dumps({"base": base, "over": peak[0] - base, "same": sent == received}))
"""


@pytest.mark.parametrize("megabytes", [300, pytest.param(1000, marks=pytest.mark.chaos)])
@pytest.mark.parametrize("kind", ["local", "s3"])
def test_moving_a_large_file_takes_little_memory(
    kind: str, megabytes: int, tmp_path: Path, s3_server: S3Server, request: pytest.FixtureRequest
) -> None:
    uri = request.getfixturevalue("bucket") if kind == "s3" else str(tmp_path / "store")
    with (tmp_path / "state").open("wb") as file:
        for number in range(megabytes):
            file.write(number.to_bytes(8, "big") * 125_000)
    done = subprocess.run([sys.executable, "-c", MOVE, uri, str(tmp_path / "state")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(kind, megabytes, found)
    assert found["same"]
    assert found["over"] < MAX_MB
