"""The first step of a new run on prepared data: seconds from `ganray train` on a laptop, a local Ray and its workers started."""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.helpers.runs import REPOSITORY

STAGES = {"preparing data": "Ray is there", "starting workers": "the data is there", " images": "the first step"}


def start(storage: Path, name: str) -> dict[str, float]:
    """Train a new run of the quickstart's job for some steps, and return after how many seconds each stage was over."""
    job = [str(REPOSITORY / "jobs/quickstart.yaml"), f"storage={storage}", f"name={name}", "evaluate=none", "train.total_images=640"]
    began, seconds = time.perf_counter(), dict[str, float]()
    command = [sys.executable, "-m", "ganray", "train", *job]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=REPOSITORY) as process:
        for line in process.stderr or ():
            for mark, stage in STAGES.items():
                if mark in line:
                    seconds.setdefault(stage, time.perf_counter() - began)
    assert process.returncode == 0, f"{' '.join(command)} failed"
    return seconds


def main() -> None:
    """Print median and range of each stage, after one start that prepares the data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start(Path(folder), "prepares")
        measured = [start(Path(folder), f"start-{number}") for number in range(arguments.starts)]
    for stage in STAGES.values():
        seconds = sorted(each[stage] for each in measured)
        print(f"{stage}: {statistics.median(seconds):.1f} s ({seconds[0]:.1f} to {seconds[-1]:.1f})")


if __name__ == "__main__":
    main()
