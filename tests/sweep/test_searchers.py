"""Tune's searchers by configuration: what they suggest, what they are told, and what is missing said in a line."""

import math
from typing import Any

import pytest

from ganray.config import Job, check_job
from ganray.errors import GanrayError
from ganray.sweep import plan
from ganray.sweep.plan import check_packages, rungs_of
from ganray.sweep.tune.searchers import build_searcher

LR = "optimizer.generator.lr"


def job(**sweep: object) -> Job:
    """Return a job with a sweep of one learning rate."""
    return check_job({"name": "x", "train": {"total_images": 900}, "sweep": {"space": {LR: {"loguniform": [1e-5, 1e-1]}}, **sweep}})


def suggestions(searched: Job, num: int) -> list[dict[str, Any]]:
    """Return what a searcher suggests if each trial is told a score that is 0 at a rate of 1e-3."""
    sweep, found = searched.required_sweep, []
    searcher = build_searcher(sweep, num_trials=num)
    for number in range(num):
        codes = searcher.suggest(f"{number:04d}")
        params = {path: sweep.space[path].decode(codes[path]) for path in codes}
        score = abs(math.log10(params[LR]) + 3)
        searcher.on_trial_complete(f"{number:04d}", {sweep.metric: score, "training_iteration": 1})
        found.append(params)
    return found


def test_random_trials_spread_over_the_space_and_depend_on_the_seed() -> None:
    rates = [params[LR] for params in suggestions(job(seed=3), 100)]
    assert all(1e-5 <= rate <= 1e-1 for rate in rates)
    assert sum(rate < 1e-3 for rate in rates) in range(35, 66)
    assert rates[:5] == [params[LR] for params in suggestions(job(seed=3), 5)] != [params[LR] for params in suggestions(job(seed=4), 5)]


def test_a_grid_holds_every_combination_once() -> None:
    swept = job(space={LR: {"choice": [1e-3, 1e-2]}, "train.batch_size": {"quniform": [32, 96, 32]}}, searcher="grid", trials=50)
    assert swept.required_sweep.num_trials == 6
    points = [(params[LR], params["train.batch_size"]) for params in suggestions(swept, 6)]
    assert sorted(points) == [(lr, size) for lr in (1e-3, 1e-2) for size in (32, 64, 96)]
    assert all(type(size) is int for _, size in points)


@pytest.mark.parametrize("kind", ["optuna", "hyperopt"])
def test_estimators_suggest_near_the_best(kind: str) -> None:
    rates = [params[LR] for params in suggestions(job(searcher={"kind": kind, "startup_trials": 4}), 40)]
    assert sum(1e-4 < rate < 1e-2 for rate in rates[20:]) >= 12
    assert rates == [params[LR] for params in suggestions(job(searcher={"kind": kind, "startup_trials": 4}), 40)]


@pytest.mark.parametrize("kind", ["optuna", "hyperopt", "nevergrad"])
def test_searchers_take_values_that_are_no_numbers_and_steps(kind: str) -> None:
    space = {
        LR: {"loguniform": [1e-5, 1e-1]},
        "train.batch_size": {"quniform": [10, 18, 4]},
        "optimizer.generator": {"choice": [[1, 2], None, "a"]},
    }
    found = suggestions(job(space=space, searcher=kind), 12)
    assert {params["train.batch_size"] for params in found} <= {10, 14, 18}
    assert all(params["optimizer.generator"] in ([1, 2], None, "a") for params in found)


@pytest.mark.parametrize(
    ("sweep", "error"),
    [
        ({"searcher": "hyperopt"}, "sweep.searcher: hyperopt needs a package that is not installed; pip install 'ganray[hyperopt]'"),
        ({"scheduler": "pb2"}, "sweep.scheduler: pb2 needs a package that is not installed; pip install 'ganray[pb2]'"),
        ({"callbacks": ["csv", "mlflow"]}, "sweep.callbacks: mlflow needs a package that is not installed; pip install 'ganray[mlflow]'"),
    ],
)
def test_a_package_that_is_missing_is_named_with_ganray_s_extra(monkeypatch: pytest.MonkeyPatch, sweep: dict[str, Any], error: str) -> None:
    monkeypatch.setattr(plan, "find_spec", lambda name: None)
    with pytest.raises(GanrayError) as raised:
        check_packages(job(**sweep).required_sweep)
    assert str(raised.value) == error


@pytest.mark.parametrize("name", ["Newton", "Cobyla"])
def test_an_optimizer_that_cannot_search_is_named(name: str) -> None:
    with pytest.raises(GanrayError, match=rf"sweep.searcher.optimizer: expected an optimizer .* at once, got '{name}'; use NGOpt"):
        build_searcher(job(searcher={"kind": "nevergrad", "optimizer": name}).required_sweep, num_trials=4)


def test_bohb_goes_with_hyperband_only() -> None:
    with pytest.raises(GanrayError, match=r"sweep.scheduler: bohb searches with hyperband's budgets only"):
        job(searcher="bohb")
    assert job(searcher="bohb", scheduler="hyperband").required_sweep.searcher.kind == "bohb"


def test_rungs_end_at_the_budget() -> None:
    assert rungs_of(job(scheduler="pbt"))[-1] == 900
    assert rungs_of(job(scheduler={"kind": "asha", "min_images": 2000})) == [900]
    assert rungs_of(job(scheduler={"kind": "asha", "min_images": 100})) == [100, 300, 900]
    assert rungs_of(job(scheduler={"kind": "hyperband", "min_images": 400})) == [400, 800, 900]
    assert rungs_of(job()) == [900]
