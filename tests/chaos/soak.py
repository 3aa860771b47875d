"""`make soak`: short runs one after another in one process, then one long run; neither may take more and more of anything.

Sampled are memory, handles and threads of the driver, of Ray's processes below it (the workers among them), how many there are, and
the objects in the store but for logs, which have a part a checkpoint. What the last third of the samples has more than the middle third
is growth; the first third warms up. Prints figures, and one line of JSON at the end; exits with 1 if anything grows.
"""

import argparse
import contextlib
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ganray
from ganray.cluster.background import BackgroundCall
from ganray.cluster.session import ray_session
from ganray.train.reporter import LogReporter
from tests.helpers.runs import REPOSITORY, TINY, descendants

EVERY_S = 5.0
SHORT = ["train.total_images=3200", "evaluate.every=3200", "publish.every=0"]
LONG = ["train.total_images=1000000000", "evaluate.every=64000", "train.samples_every=1000000000", "publish.every=64000"]
LOGS = ("metrics", "events", "samples")  # folders of a run that grow with it
MAX_GROWTH = 0.05  # of the middle third
SLACK = {"memory": 8 << 20, "handles": 2, "threads": 2, "processes": 1, "objects": 8}  # that is no growth
Sample = dict[str, float]


def sample(storage: Path, per_run: int) -> Sample:
    """Return what there is now, objects for each run."""
    driver = measure(os.getpid())
    below = {pid: title for pid in descendants(os.getpid()) if (title := title_of(pid)).startswith("ray::")}
    workers = [measure(pid) for pid, title in below.items() if "RayTrainWorker" in title]
    objects = sum(not set(LOGS) & set(path.parts) for path in storage.rglob("*") if path.is_file())
    found = {f"driver {name}": value for name, value in driver.items()}
    found |= {f"worker {name}": max(worker[name] for worker in workers) for name in driver if workers}
    return found | {"Ray processes": len(below), "store objects": objects / max(per_run, 1)}


def measure(pid: int) -> Sample:
    """Return a process's memory (bytes that it shares with no other), open handles and threads."""
    with contextlib.suppress(OSError):
        memory = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Private_")]
        return {
            "memory": sum(int(words[1]) << 10 for words in memory),
            "handles": len(os.listdir(f"/proc/{pid}/fd")),
            "threads": len(os.listdir(f"/proc/{pid}/task")),
        }
    return {"memory": 0, "handles": 0, "threads": 0}


def title_of(pid: int) -> str:
    """Return a process's command line, empty of one that has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return ""


def short_runs(folder: Path, until: float) -> Iterator[Sample]:
    """Train short runs one after another, on data that is prepared once, and sample after each."""
    number = 0
    while time.monotonic() < until or not number:
        number += 1
        train(folder, f"run-{number:05d}", SHORT)
        yield sample(folder, number)


def long_run(folder: Path, until: float) -> Iterator[Sample]:
    """Train one run until the time is up, and sample as it trains."""
    limit = f"train.max_seconds={until - time.monotonic():.0f}"
    call = BackgroundCall(lambda: train(folder, "long", [*LONG, limit]), name="long run")
    call.start()
    while call.is_alive():
        call.join(EVERY_S)
        found = sample(folder, 1)
        if "worker memory" in found:
            yield found
    if call.error:
        raise call.error


def train(folder: Path, name: str, overrides: list[str]) -> None:
    """Train the tiny job in this process."""
    own = [f"name={name}", f"storage={folder}", f"publish.model={name}", *overrides]
    ganray.run_training(ganray.load_job(REPOSITORY / "jobs/quickstart.yaml", [*TINY, *own]), reporter=LogReporter())


def growth_of(samples: list[Sample]) -> dict[str, Any]:
    """Return, of each figure, the medians of the middle and of the last third of the samples, and whether it grew."""
    third = max(len(samples) // 3, 1)
    found = {}
    for name in samples[-1]:
        middle, last = (
            statistics.median(sample.get(name, 0.0) for sample in part)
            for part in (samples[third : 2 * third] or samples, samples[-third:])
        )
        grew = last - middle > max(MAX_GROWTH * middle, SLACK[name.split()[1]])
        found[name] = {"middle": middle, "last": last, "grew": grew}
    return found


def soak(seconds: float) -> dict[str, Any]:
    """Run both halves, and return their figures."""
    found: dict[str, Any] = {}
    for number, (title, half) in enumerate({"short runs": short_runs, "one long run": long_run}.items(), start=1):
        with tempfile.TemporaryDirectory(prefix="soak-") as folder, ray_session("local"):
            samples = list(half(Path(folder), time.monotonic() + seconds / 2))
        found[title] = {"samples": len(samples), **growth_of(samples)}
        print(f"{number}. {title}: {len(samples)} samples", flush=True)
        for name, figures in growth_of(samples).items():
            shown = [
                f"{figures[part] / (1 << 20):,.1f} MiB" if "memory" in name else f"{figures[part]:,.1f}" for part in ("middle", "last")
            ]
            print(f"   {name:16} {shown[0]:>14} -> {shown[1]:>14}{'  grew' if figures['grew'] else ''}", flush=True)
    return found


def main() -> None:
    """Soak for a while, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    found = soak(arguments.minutes * 60)
    print(json.dumps(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(any(figures["grew"] for half in found.values() for figures in half.values() if isinstance(figures, dict)))


if __name__ == "__main__":
    main()
