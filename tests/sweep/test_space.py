"""The space of a sweep: what is drawn from it, and one line for every mistake in it, before anything starts."""

import sys
from pathlib import Path

import pytest

from ganray.cli import main
from ganray.config import Job, check_job
from ganray.errors import GanrayError
from ganray.sweep.plan import check_space, complete, sample, trial_job

LR = "optimizer.generator.lr"
REPOSITORY = Path(__file__).parents[2]


def job(**sweep: object) -> Job:
    """Return a job with a sweep of one learning rate."""
    return check_job({"name": "x", "train": {"total_images": 900}, "sweep": {"space": {LR: {"loguniform": [1e-5, 1e-1]}}, **sweep}})


def test_samples_depend_on_their_key_alone() -> None:
    space = job().sweep.space
    assert sample(space, 3, 7) == sample(space, 3, 7) != sample(space, 3, 8)
    assert sample(space, 3, 7) != sample(space, 4, 7)
    assert all(1e-5 <= sample(space, 0, number)[LR] <= 1e-1 for number in range(100))


def test_members_of_a_population_have_a_value_for_every_field() -> None:
    population = job(scheduler="pbt", space={LR: {"loguniform": [1e-5, 1e-1]}, "penalties.r1_gamma": {"choice": [1, 2]}})
    assert complete(population, {LR: 1}) == {LR: 1.0, "penalties.r1_gamma": population.penalties.r1_gamma}
    falling = job(space={f"{LR}.start": {"loguniform": [1e-5, 1e-1]}}, scheduler="pbt")
    with pytest.raises(GanrayError, match=r"sweep.start_from: a population needs a value of optimizer.generator.lr.start"):
        complete(falling, {})


def test_a_schedule_s_start_can_be_searched_and_ends_with_the_trial() -> None:
    start = f"{LR}.start"
    rates = {"optimizer": {"generator": {"lr": {"start": 2e-3, "end": 1e-6}}}, "train": {"total_images": 900}}
    searched = check_job({**rates, "sweep": {"space": {start: {"loguniform": [1e-4, 1e-2]}}, "images": 300}})
    check_space(searched)
    found = trial_job(searched, {start: 3e-3}, 0).optimizer.generator.lr
    assert (found.start, found.end, found.images) == (3e-3, 1e-6, 300)


@pytest.mark.parametrize(
    ("sweep", "says"),
    [
        ({"space": {"optimizer.generator.lrr": {"uniform": [0.1, 0.2]}}}, "sweep.space.optimizer.generator.lrr: there is no such field"),
        (
            {"space": {LR: {"uniform": [0, 0.1]}}},
            "sweep.space.optimizer.generator.lr: expected a number greater than 0, got 0.0 (with optimizer.generator.lr=0)",
        ),
        ({"space": {"train.batch_size": {"choice": [64, "big"]}}}, "sweep.space.train.batch_size: expected an integer, got 'big'"),
        ({"space": {"data.resolution": {"choice": [16, 32]}}}, "sweep.space.data.resolution: must be the same for all trials"),
        (
            {"space": {"networks.width": {"choice": [8]}}, "scheduler": "pbt"},
            "sweep.space.networks.width: cannot change while a trial trains",
        ),
        (
            {"space": {"train.log_every": {"choice": [64]}}, "scheduler": "pb2"},
            "sweep.space.train.log_every: pb2 explores ranges of numbers only; use uniform, loguniform or the scheduler pbt",
        ),
        ({"searcher": "grid"}, "sweep.space.optimizer.generator.lr: a grid cannot hold all of loguniform"),
        ({"start_from": [{"optimizer.lr": 1}]}, "sweep.space: optimizer.lr: there is no such field"),
        ({"workers": 3}, "train.batch_size: 64 does not split over 3 workers"),
        ({"space": {"train.batch_size": {"choice": [64, 128]}, "networks.ghost_batch": {"choice": [32, 128]}}}, "(with "),
    ],
)
def test_a_space_that_can_make_an_invalid_job_is_refused_with_one_shown(sweep: dict, says: str) -> None:
    with pytest.raises(GanrayError) as raised:
        check_space(job(**sweep))
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("dimension", "says"),
    [
        ({"loguniform": [-1, 1]}, "-1 has no logarithm; use a lower end above 0, or uniform"),
        ({"uniform": [1, 0]}, "[1, 0] is an empty range; write the lower end first"),
        ({"randint": [3, 3]}, "[3, 3) is an empty range"),
        ({"quniform": [0, 1, 2]}, "a step of 2 does not fit into [0, 1]"),
        ({"choice": []}, "expected at least 1 of them, got []"),
        ({"lognormal": [0, 1]}, "write one of {loguniform: [low, high]}"),
        (0.5, "expected a range, got 0.5; write one of"),
    ],
)
def test_a_dimension_that_is_none_says_so_in_a_line(dimension: object, says: str) -> None:
    with pytest.raises(GanrayError) as raised:
        job(space={LR: dimension})
    assert says in str(raised.value)
    assert str(raised.value).startswith("sweep.space.optimizer.generator.lr")
    assert "\n" not in str(raised.value)


def test_a_trials_job_has_its_point_and_the_same_seed_unless_told_otherwise() -> None:
    checked = job(workers=2, images=640)
    made = trial_job(checked, {LR: 1e-3}, 7)
    assert (made.optimizer.generator.lr, made.workers, made.seed, made.train.total_images, made.sweep) == (1e-3, 2, 0, 640, None)
    assert trial_job(job(vary_seed=True), {}, 7).seed == 7


@pytest.mark.parametrize(
    ("space", "field"),
    [
        ("{optimizer.generator.lrr: {uniform: [0.1, 0.2]}}", "sweep.space.optimizer.generator.lrr"),
        ("{optimizer.generator.lr: {uniform: [0.2, 0.1]}}", "sweep.space.optimizer.generator.lr.uniform"),
        ("{optimizer.generator.lr: {loguniform: [-1, 1]}}", "sweep.space.optimizer.generator.lr.loguniform"),
        ("{train.batch_size: {choice: [64, many]}}", "sweep.space.train.batch_size"),
    ],
)
def test_a_bad_space_costs_one_line_and_exit_code_2_and_writes_nothing(
    tmp_path: Path, space: str, field: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["ganray", "sweep", str(REPOSITORY / "jobs/quickstart.yaml"), f"sweep.space={space}", f"storage={tmp_path / 'store'}"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr()
    assert (ended.value.code, shown.out) == (2, "")
    (line,) = shown.err.splitlines()
    assert line.startswith(f"error: {field}: ")
    assert "; " in line
    assert not list(tmp_path.iterdir())
