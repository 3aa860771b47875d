"""What coordination costs: a step and a checkpoint of 1 to 16 workers with tiny networks, and what grows with how much is stored.

workers: on one machine, so that more workers than cores take turns. Work is dealt out, so that all workers together compute what one
does alone: what they use of the processors beyond that is what coordinating them costs.
stored: the same action on a store that holds few and many checkpoints, parts of logs, trials, samples; nothing that a step or a
checkpoint waits for should grow.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import ray

import ganray
from benchmarks.ratios import seconds
from ganray.cluster.private_ray import private_ray
from ganray.cluster.session import use_settings
from ganray.data.loading.order import rows
from ganray.runs.checkpoint import STATE
from ganray.runs.metrics_log import newest_images, part_name
from ganray.runs.run import Run
from ganray.runs.status import Progress
from ganray.runs.trials import TrialStatus, write_trials
from ganray.storage import open_store
from ganray.sweep.journal import Journal, Outcome, Reported, Suggested, Trials
from ganray.train.reporter import LogReporter
from tests.helpers.runs import REPOSITORY, TINY, train_workers

WORKERS = (1, 2, 4, 8, 16)
STEPS_A_CHECKPOINT, CHECKPOINTS = 25, 12
BATCH = 64  # of 16 ghost batches
TICKS_A_S = os.sysconf("SC_CLK_TCK")
REPEATS = 15


class CpuReporter(LogReporter):
    """Takes down, at each new count of images, the processor seconds that all workers have used."""

    def __init__(self) -> None:
        self.used: list[tuple[int, float]] = []

    def update(self, snapshot: dict[str, Any]) -> None:
        """Note the counts."""
        images = snapshot.get("images_seen", 0)
        if images and (not self.used or images > self.used[-1][0]):
            self.used.append((images, sum(map(cpu_seconds, train_workers(os.getpid())))))

    def per_step(self) -> float:
        """Return processor seconds a step from the first count to the last, before workers end."""
        points = [point for point in self.used if point[1]]
        (first, since), (last, until) = points[0], max(points, key=lambda point: point[1])
        return (until - since) / ((last - first) / BATCH)


def cpu_seconds(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_A_S
    return 0.0


def by_workers(storage: Path, counts: list[int]) -> None:
    """Print a line for each number of workers."""
    print("workers  wall ms/step  CPU ms/step, all  coordination, CPU ms/step and worker  wall ms/checkpoint", flush=True)
    alone = 0.0
    for workers in counts:
        run, reporter = Run(open_store(storage), f"runs/workers-{workers}"), CpuReporter()
        train(storage, workers, reporter)
        lines = [record for record in run.metrics() if record["kind"] == "train" and record["images_seen"] > 2 * STEPS_A_CHECKPOINT * BATCH]
        step = statistics.median(BATCH / record["time/images_per_s"] for record in lines)
        used = reporter.per_step()
        alone = alone or used
        shown = f"{step * 1e3:12.1f}  {used * 1e3:16.1f}  {(used - alone) / workers * 1e3:36.2f}  {checkpoint_seconds(run) * 1e3:18.0f}"
        print(f"{workers:7}  {shown}", flush=True)


def train(storage: Path, workers: int, reporter: CpuReporter) -> None:
    """Train a run that checkpoints often and does nothing else."""
    every = STEPS_A_CHECKPOINT * BATCH
    own = [f"name=workers-{workers}", f"workers={workers}", f"train.total_images={CHECKPOINTS * every}", f"train.checkpoint_every={every}"]
    own += [f"storage={storage}", "networks.ghost_batch=4", f"train.log_every={every}", "train.samples_every=1000000000", "evaluate=none"]
    overrides = [setting for setting in TINY if not setting.startswith("evaluate.")]
    ganray.run_training(ganray.load_job(REPOSITORY / "jobs/quickstart.yaml", [*overrides, *own]), reporter=reporter)


def checkpoint_seconds(run: Run) -> float:
    """Return the wall seconds that a checkpoint takes from training, uploads beside it included."""
    trained = {record["images_seen"]: record["time/trained_s"] for record in run.metrics() if record["kind"] == "train"}
    times = {event.images_seen: event.time for event in run.events() if event.kind == "checkpoint"}
    marks = sorted(trained.keys() & times.keys())[1:]
    first, last = marks[0], marks[-1]
    took, of_training = times[last] - times[first], float(trained[last] - trained[first])
    return (took - of_training) / (len(marks) - 1)


def by_stored(folder: Path) -> None:
    """Print, for each action, its milliseconds where little and where much is stored."""
    print(f"\n{'action':44} {'stored':>9} {'ms':>9}", flush=True)
    for action, stored in (
        (checkpoints, (2, 20, 200)),
        (metrics_parts, (10, 100, 1000)),
        (journal_events, (10, 100, 1000)),
        (trial_lines, (10, 100, 1000)),
        (batch_order, (60_000, 600_000, 6_000_000)),
    ):
        for number in stored:
            for title, repeat in action(folder / f"{action.__name__}-{number}", number):
                print(f"{title:44} {number:9,} {statistics.median(seconds(repeat) for _ in range(REPEATS)) * 1e3:9.2f}", flush=True)


Actions = Iterator[tuple[str, Callable[[], object]]]


def checkpoints(folder: Path, number: int) -> Actions:
    """Write a checkpoint and prune, and find the latest, where so many are kept."""
    run = Run(open_store(folder), "runs/r")
    for count in range(number):
        run.checkpoints.save({STATE: bytes(1000)}, images_seen=count, attempt=0, progress=Progress())
    yield "find the latest checkpoint", run.checkpoints.latest

    def write() -> None:
        newest = run.checkpoints.save({STATE: bytes(1000)}, images_seen=number, attempt=0, progress=Progress())
        run.checkpoints.prune(newest=newest.name, keep=number + 1)

    yield "write a checkpoint and prune", write


def metrics_parts(folder: Path, number: int) -> Actions:
    """Write a part of the metrics log, and find its newest record, where there are so many parts."""
    run = Run(open_store(folder), "runs/r")
    for count in range(number):
        run.write_metrics(part_name(0, count), [{"kind": "train", "images_seen": count, "attempt": 0}])
    yield "write a part of the metrics log", lambda: run.write_metrics("last", [{"kind": "train", "images_seen": number, "attempt": 0}])
    yield "find the newest metrics", lambda: newest_images(run.store, attempt=0)


def journal_events(folder: Path, number: int) -> Actions:
    """Append to a sweep's journal, where there are so many trials."""
    journal = Journal(open_store(folder))
    journal.events += [Suggested(count, {"lr": 0.1}, 0.0) for count in range(number)]
    yield "append to the journal of a sweep", lambda: journal.append(Reported(0, 100, Outcome(TrialStatus.PAUSED, 100), "PAUSE", {}, 0.0))


def trial_lines(folder: Path, number: int) -> Actions:
    """Write the lines of so many trials, which the driver does beside training."""
    trials = Trials([100], [Suggested(count, {"lr": 0.1}, 0.0) for count in range(number)])
    store = open_store(folder)
    yield "write the trials of a sweep (beside training)", lambda: write_trials(store, trials.all)


def batch_order(_: Path, number: int) -> Actions:
    """Say which rows are a batch of a dataset of so many samples, in the middle of an epoch."""
    rows(number // 2, BATCH, count=number, seed=0)  # an epoch's permutation is made once
    yield "order of a batch", lambda: np.sum(rows(number // 2, BATCH, count=number, seed=0))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="*", default=list(WORKERS), help="none: only the table of what is stored")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.workers:
            use_settings()
            with private_ray(Path(folder)):
                ray.init(address="local", num_cpus=max(arguments.workers) + 1, include_dashboard=False, log_to_driver=False)
                by_workers(Path(folder), arguments.workers)
                ray.shutdown()
        by_stored(Path(folder))


if __name__ == "__main__":
    main()
