"""Collapse and a discriminator that wins, judged by what the run had before, on curves that `python -m benchmarks.collapse` recorded."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from benchmarks.collapse import Trial
from ganray.config import Divergence, Job
from ganray.gan.stats import STATS
from ganray.runs.checkpoint import STATE, serialise
from ganray.runs.run import Run
from ganray.runs.status import EndReason, MonitorState, Progress
from ganray.storage import open_store
from ganray.train.worker import metrics
from ganray.train.worker.divergence import SKIPPED, DivergenceMonitor, Event

RECORDED = [Trial(**json.loads(line)) for line in Path(__file__).with_name("collapse.jsonl").read_text().splitlines()]
REMEMBERED = MonitorState(0.9, 640, alike_since=1280, recall=0.4, num_lost_recalls=1, collapsed=True, ongoing=("lost recall",))
Curve = list[tuple[int, float, float]]  # images, diversity, accuracy


def line(diversity: float, accuracy: float = 0.7) -> dict[str, float]:
    return {**dict.fromkeys(STATS, 0.5), SKIPPED: 0.0, "samples/diversity": diversity, "discriminator/accuracy": accuracy}


def judged(curve: Curve, config: Divergence) -> Iterator[tuple[MonitorState, list[Event]]]:
    """Yield the monitor's state after each line of a curve, and the events of that."""
    monitor = DivergenceMonitor(config, MonitorState())
    for images, diversity, accuracy in curve:
        events = monitor.check_metrics(line(diversity, accuracy), images)
        yield monitor.state, events


def found(curve: Curve, event: str, **config: Any) -> int | None:
    """Return the images at which an event is raised for the first time."""
    events = zip(curve, judged(curve, Divergence(**config)), strict=True)
    return next((images for (images, *_), (_, begun) in events if any(each.name == event for each in begun)), None)


def steady(*pieces: tuple[int, float], accuracy: float = 0.7) -> Curve:
    """Return a curve of pieces of as many images at a diversity, a line every 1,000 images."""
    levels = [diversity for images, diversity in pieces for _ in range(images // 1000)]
    return [(1000 * (number + 1), diversity, accuracy) for number, diversity in enumerate(levels)]


@pytest.mark.parametrize(
    ("curve", "at"),
    [
        (steady((100_000, 0.02)), 51_000),  # alike from the start
        (steady((100_000, 0.0)), 51_000),
        (steady((40_000, 0.02), (60_000, 0.5)), None),  # a slow start
        (steady((40_000, 0.02), (40_000, 0.03), (20_000, 0.04)), None),  # slow, but progress
        (steady((100_000, 0.06)), None),  # not alike
        (steady((20_000, 0.9), (20_000, 0.02)), 31_000),  # alike after it was diverse
        (steady((20_000, 0.9), (20_000, 0.08)), 31_000),
        (steady((20_000, 0.9), (20_000, 0.2)), None),  # less diverse, not alike
        (steady((20_000, 0.9), (8_000, 0.02), (20_000, 0.9), (8_000, 0.02), (20_000, 0.9)), None),  # it recovers
        (steady((60_000, 0.9), (8_000, 0.02)), None),  # not for long
        (steady((2_000, 30.0), (20_000, 0.5)), None),  # samples that were out of range are no measure
    ],
)
def test_collapse_is_judged_by_what_the_run_had_before(curve: Curve, at: int | None) -> None:
    assert found(curve, "collapsed", on_collapse="stop") == at
    assert found(curve, "collapsed", on_collapse="warn") == at


@pytest.mark.parametrize(("on_collapse", "ends"), [("warn", None), ("stop", EndReason.COLLAPSED)])
def test_a_collapse_ends_the_run_if_it_is_to(on_collapse: str, ends: EndReason | None) -> None:
    events = [event for _, begun in judged(steady((60_000, 0.02)), Divergence(on_collapse=on_collapse)) for event in begun]
    assert {(event.name, event.ends) for event in events} == {("collapsed", ends)}
    assert len(events) == (1 if ends is None else 10)


def test_patience_is_a_field_of_the_job() -> None:
    assert found(steady((4_000, 0.02)), "collapsed", patience=2000) == 3000
    assert found(steady((5_000, 0.9), (4_000, 0.02)), "collapsed", patience=10_000) == 8000


@pytest.mark.parametrize(
    ("curve", "at"),
    [
        (steady((100_000, 0.02), accuracy=1.0), 11_000),
        (steady((100_000, 0.6), accuracy=0.98), 11_000),
        (steady((100_000, 0.02), accuracy=0.97), None),
        (steady((100_000, 0.02), accuracy=0.7), None),
        (steady((50_000, 0.02), accuracy=0.7)[:20] + steady((50_000, 0.02), accuracy=1.0)[20:], 31_000),
        (steady((8_000, 0.02), (8_000, 0.03), (8_000, 0.04), (8_000, 0.06), accuracy=1.0), None),  # it makes progress all the same
    ],
)
def test_a_discriminator_that_wins_outright_is_told_of_early(curve: Curve, at: int | None) -> None:
    assert found(curve, "discriminator won") == at


@pytest.mark.parametrize("trial", RECORDED, ids=lambda trial: f"{trial.recipe} {trial.generator_rate} {trial.discriminator_rate}")
def test_no_good_trial_of_the_benchmark_is_ended_and_a_collapsed_one_is(trial: Trial) -> None:
    ended = trial.found("collapsed", patience=Divergence().patience)
    assert not (trial.is_good and ended)
    if trial.has_collapsed:
        assert ended


def test_samples_more_varied_than_reals_do_not_grow_for_ever() -> None:
    monitor = DivergenceMonitor(Divergence(), MonitorState())
    events = [event.name for images in range(640, 30_000, 640) for event in monitor.check_metrics(line(1.3, 1.0), images)]
    assert events == ["discriminator won"]


def test_the_benchmark_has_trials_of_both_kinds() -> None:
    assert sum(trial.is_good for trial in RECORDED) >= 15
    assert sum(trial.has_collapsed for trial in RECORDED) >= 4


@pytest.mark.parametrize("curve", [steady((20_000, 0.9), (20_000, 0.02), (5_000, 0.5)), steady((80_000, 0.02), accuracy=1.0)])
def test_a_resumed_run_is_judged_as_one_that_was_not_interrupted(curve: Curve) -> None:
    config = Divergence(on_collapse="stop")
    unbroken = list(judged(curve, config))
    state = MonitorState()
    for (images, diversity, accuracy), expected in zip(curve, unbroken, strict=True):  # resumed at every line
        monitor = DivergenceMonitor(config, Progress.from_json(json.loads(json.dumps(Progress(monitor=state).to_json()))).monitor)
        assert (monitor.check_metrics(line(diversity, accuracy), images), monitor.state) == (expected[1], expected[0])
        state = monitor.state


def test_a_checkpoint_of_an_earlier_version_has_nothing_to_remember() -> None:
    old = {name: value for name, value in Progress().to_json().items() if name != "monitor"}
    assert Progress.from_json(old) == Progress()


def test_a_rollback_and_a_clone_remember_what_their_state_was_judged_by(tmp_path: Path) -> None:
    storage = open_store(tmp_path)
    run, other = Run(storage, "runs/a"), Run(storage, "runs/b")
    files = {STATE: serialise({"images_seen": 2000, "attempt": 0})}
    checkpoint = run.checkpoints.save(files, images_seen=2000, attempt=0, progress=Progress(monitor=REMEMBERED))
    other.checkpoints.clone(run.checkpoints, checkpoint.name)
    assert run.checkpoints.roll_back(attempt=0, fresh={}, max_rollbacks=3).progress.monitor == REMEMBERED
    cloned = other.checkpoints.latest()
    assert cloned is not None
    assert cloned.progress.monitor == REMEMBERED


@pytest.mark.parametrize(("remembered", "ended"), [(MonitorState(), None), (REMEMBERED, EndReason.COLLAPSED)])
def test_a_run_that_was_killed_between_a_lost_recall_and_the_next_line_ends_at_that(
    monkeypatch: pytest.MonkeyPatch, remembered: MonitorState, ended: EndReason | None
) -> None:
    job = Job(divergence=Divergence(on_collapse="stop"))
    client = SimpleNamespace(stop_requested=False, checkpoint_requested=False, push=lambda **_: None, warn=lambda _: None)
    monkeypatch.setattr(metrics, "ProgressClient", lambda _: client)
    context = cast(Any, SimpleNamespace(job=job, total_images=10_000, progress_actor=None))
    state = cast(Any, SimpleNamespace(images_seen=640, attempt=0, generator=torch.nn.Linear(1, 1)))
    logger = metrics.MetricsLogger(context, state, cast(Any, SimpleNamespace(waited_s=0.0)), None, Progress(monitor=remembered))
    logger.add(torch.tensor([*line(0.5).values()]))
    logger.log()
    assert logger.ended == ended
