"""A run's record as a training leaves it, written without one: data, metrics, scores, grids, events and checkpoints."""

import hashlib
import math

import numpy as np
import pyarrow as pa

from ganray.config import Job, check_job
from ganray.data.card import Shard
from ganray.data.dataset import CARD, PreparedDataset
from ganray.data.shard import encode_shard
from ganray.gan.stats import STATS
from ganray.modalities.image import Pixels, grid_png
from ganray.runs.checkpoint import STATE, serialise
from ganray.runs.event_log import EventKind, RunEvent
from ganray.runs.metrics_log import Record, part_name
from ganray.runs.run import Run
from ganray.runs.status import Progress
from ganray.storage import ObjectStore, open_store
from tests.helpers.cards import card
from tests.helpers.records import PROTOCOL, best_at

TOTAL, EVERY = 1000, 50
COPIED = 7  # the training sample that the first fake is nearly


def drawn_job(name: str = "drawn", **changes: object) -> Job:
    """Return the job of a run with schedules, penalties and augmentation."""
    adam = {"lr": {"start": 2e-3, "end": 1e-5, "images": TOTAL}, "beta1": 0.0}
    return check_job(
        {
            "name": name,
            "data": {"resolution": 16, "channels": 1},
            "penalties": {"r1_gamma": {"start": 1.0, "end": 0.1, "images": TOTAL}},
            "optimizer": {"generator": adam, "discriminator": adam | {"lr": 1e-3}},
            "train": {"total_images": TOTAL},
            **changes,
        }
    )


def reals() -> Pixels:
    """Return 40 training samples of random blocks, which differ much."""
    blocks = np.random.default_rng(0).integers(0, 256, (40, 1, 4, 4), dtype=np.uint8)
    return blocks.repeat(4, axis=2).repeat(4, axis=3)


def fakes() -> Pixels:
    """Return 64 samples, of which the first is a training sample with a little noise."""
    noise = np.random.default_rng(1).integers(0, 256, (64, 1, 16, 16), dtype=np.uint8)
    noise[0] = np.clip(reals()[COPIED].astype(int) + 2, 0, 255)
    return noise


def write_dataset(storage: ObjectStore) -> PreparedDataset:
    """Write the training samples in two shards."""
    shards = []
    for number, pixels in enumerate(np.split(reals(), 2)):
        images = pa.array([row.tobytes() for row in pixels], pa.binary(256))
        data = encode_shard(pa.table({"image": images, "label": pa.array([-1] * 20, pa.int32())}))
        storage.write(f"datasets/drawn/shard-{number:05d}.parquet", data)
        shards.append(Shard(file=f"shard-{number:05d}.parquet", rows=20, sha256=hashlib.sha256(data).hexdigest()))
    made = card(40, name="<drawn> data", rows_per_shard=20, shards=shards, source={"kind": "folder"})
    storage.write(f"datasets/drawn/{CARD}", made.model_dump_json().encode())
    return PreparedDataset(storage, "datasets/drawn", made)


def train_lines(until: int, *, level: float = 1.0) -> list[Record]:
    """Return lines of metrics with a plausible course."""
    lines = []
    for seen in range(EVERY, until + 1, EVERY):
        stats = {name: level * (1 + math.sin(seen / 100 + place) / 4) for place, name in enumerate(STATS)}
        times = {"time/images_per_s": 500.0 + seen % 300, "time/data_wait_share": 0.01, "time/trained_s": seen / 500}
        lines.append({"kind": "train", "images_seen": seen, "attempt": 0, **stats, "step/skipped": 0.0, **times})
    return lines


def score_line(seen: int, frechet: float) -> Record:
    """Return what an evaluation writes."""
    shares = {"metric/precision": 0.5 + seen / 4000, "metric/recall": 0.4}
    scores = {"metric/frechet": frechet, "metric/kid": frechet / 100, **shares}
    return {"kind": "score", "images_seen": seen, "attempt": 0, **scores, "protocol": PROTOCOL.dump()}


def write_run(storage: str, name: str = "drawn", *, level: float = 1.0, until: int = TOTAL, **changes: object) -> Run:
    """Write a run that was trained `until` a number of images, and lost a worker on the way."""
    store = open_store(storage)
    run = Run(store, f"runs/{name}")
    run.record(drawn_job(name, **changes), write_dataset(store))
    scores = [score_line(seen, level * 1000 / seen) for seen in range(500, until + 1, 250)]
    run.write_metrics(part_name(0, 0), [*train_lines(until, level=level), *scores])
    for seen in range(250, until + 1, 250):
        run.write_samples(seen, {".png": grid_png(np.roll(fakes(), TOTAL - seen, axis=3))})
    run.checkpoints.save({STATE: serialise({})}, images_seen=until, attempt=0, progress=Progress(until / 500, best_at(until, level)))
    happened = [
        (EventKind.START, 0, {"driver": "here:1"}),
        (EventKind.TRAINING, 0, {"workers": 2}),
        (EventKind.CHECKPOINT, 500, {"seconds": 0.5, "bytes": 1000}),
        (EventKind.LOST_WORKER, 600, {"message": "rank <1> died"}),
        (EventKind.RECOVERY, 500, {"workers": 1, "seconds": 12.0, "images_again": 100}),
        (EventKind.RESIZE, 500, {"before": 2, "workers": 1}),
        (EventKind.PUBLISH, until, {"version": f"{storage}/models/drawn/0001"}),
        (EventKind.END, until, {"reason": "done"}),
    ]
    for place, (kind, seen, details) in enumerate(happened):
        run.append_event(RunEvent(kind, seen, 0, details, 1.8e9 + 60.0 * place))
    return run


def write_trials(storage: str, count: int, **changes: object) -> Run:
    """Write a sweep of trials that were trained to the end."""
    store = open_store(storage)
    sweep = Run(store, "sweeps/drawn")
    sweep.record(drawn_job("drawn", **changes), write_dataset(store))
    for number in range(count):
        trial = Run(store, f"sweeps/drawn/trials/{number:04d}")
        trial.record(drawn_job("drawn", seed=number, **changes), sweep.dataset)
        trial.write_metrics(part_name(0, 0), train_lines(TOTAL, level=number + 1.0))
    return sweep
