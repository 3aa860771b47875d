"""The search without Ray: Tune's searchers and schedulers decide as they should, and a replayed journal brings them where they stood."""

import math
from pathlib import Path
from typing import Any

import pytest

from ganray.config import Job, check_job
from ganray.errors import ConfigError
from ganray.runs.trials import TrialStatus, read_trials
from ganray.storage import open_store
from ganray.sweep.journal import Outcome
from ganray.sweep.tune.search import Search
from tests.helpers.tune_loop import Killed, TuneLoop, done

LR, BETA = "optimizer.generator.lr", "optimizer.generator.beta1"
RATES = {LR: {"loguniform": [1e-5, 1e-1]}}
FINISHED, STOPPED, DIVERGED = TrialStatus.FINISHED, TrialStatus.STOPPED, TrialStatus.DIVERGED
SEARCHERS = ["random", "grid", "optuna", "hyperopt", "nevergrad"]
SCHEDULERS = ["none", "asha", {"kind": "asha", "promote": False}, "hyperband", "median", "pbt", {"kind": "pbt", "synch": False}]


def job(**sweep: Any) -> Job:
    """Return a job with a sweep of trials of 900 images."""
    return check_job({"name": "x", "train": {"total_images": 900}, "sweep": {"space": RATES, **sweep}})


def distance(params: dict[str, Any], budget: int) -> Outcome:
    """Return an outcome that is the better the nearer the rate is to 1e-3, and the longer it has trained."""
    return done(abs(math.log10(params[LR]) + 3) + 100 / budget, budget)


def by_order(params: dict[str, Any], budget: int) -> Outcome:
    """Return an outcome that is the better the lower the rate."""
    return done(params[LR], budget)


def ordered(num: int, **sweep: Any) -> Job:
    """Return a job whose trials have rates in rising order."""
    return job(trials=num, start_from=[{LR: 1e-4 * (1 + number)} for number in range(num)], **sweep)


def found(search: Search) -> list[tuple[Any, ...]]:
    """Return what does not depend on when trials ran."""
    trials = read_trials(search.store)
    assert trials == search.trials.all
    return [
        (trial.params, trial.status, trial.images, trial.score, [rung["images"] for rung in trial.rungs], trial.lineage) for trial in trials
    ]


def budgets(loop: TuneLoop) -> list[int]:
    """Return the budgets of the pieces that were trained, in order."""
    return [budget for _, _, budget in loop.queue.trained]


def test_without_a_scheduler_every_trial_trains_to_the_budget_once(tmp_path: Path) -> None:
    loop = TuneLoop(job(trials=5), open_store(tmp_path), distance, places=2)
    search = loop.run()
    assert sorted(loop.queue.trained) == [(number, 0, 900) for number in range(5)]
    assert {trial.status for trial in search.trials.all} == {FINISHED}


@pytest.mark.parametrize("places", [1, 2, 9])
def test_asha_promotes_one_in_so_many_and_takes_one_at_least_to_the_end(tmp_path: Path, places: int) -> None:
    loop = TuneLoop(ordered(9, scheduler={"kind": "asha", "reduction": 3}), open_store(tmp_path), by_order, places=places)
    search = loop.run()
    assert loop.rungs == [100, 300, 900]
    assert [budgets(loop).count(rung) for rung in loop.rungs] == [9, 3, 1]
    assert [trial.number for trial in search.trials.all if trial.status == FINISHED] == [0]
    assert sum(trial.status == STOPPED for trial in search.trials.all) == 8
    assert search.trials.all[8].reason == "not among the best at 100 images"


def test_asha_counts_broken_trials_as_worst(tmp_path: Path) -> None:
    def train(params: dict[str, Any], budget: int) -> Outcome:
        return distance(params, budget) if params[LR] == 2e-4 else Outcome(TrialStatus.DIVERGED, 40, reason="not finite")

    loop = TuneLoop(ordered(3, scheduler={"kind": "asha", "reduction": 3, "min_images": 300}), open_store(tmp_path), train)
    search = loop.run()
    assert [trial.status for trial in search.trials.all] == [DIVERGED, FINISHED, DIVERGED]
    assert search.trials.all[0].reason == "not finite"


def test_asha_with_fewer_trials_than_it_reduces_by_still_ends_with_one_at_the_budget(tmp_path: Path) -> None:
    loop = TuneLoop(ordered(2, scheduler={"kind": "asha", "reduction": 4}), open_store(tmp_path), by_order, places=2)
    loop.run()
    assert [number for number, _, budget in loop.queue.trained if budget == 900] == [0]


def test_more_trials_after_the_end_may_promote_those_that_were_stopped(tmp_path: Path) -> None:
    scheduler = {"kind": "asha", "reduction": 3, "min_images": 300}
    TuneLoop(ordered(6, scheduler=scheduler), open_store(tmp_path), by_order).run()
    loop = TuneLoop(ordered(9, scheduler=scheduler), open_store(tmp_path), by_order)
    search = loop.run()
    assert loop.queue.trained == [(6, 0, 300), (7, 0, 300), (8, 0, 300), (2, 1, 900)]
    assert [trial.number for trial in search.trials.all if trial.status == FINISHED] == [0, 1, 2]


def test_no_trial_begins_that_the_limit_in_images_does_not_allow(tmp_path: Path) -> None:
    search = TuneLoop(job(trials=5, max_images=2000), open_store(tmp_path), distance, places=2).run()
    assert (search.closed, [trial.images for trial in search.trials.all]) == ("max_images", [900, 900])
    again = TuneLoop(job(trials=5, max_images=2700), open_store(tmp_path), distance, places=2)
    assert [trial.images for trial in again.run().trials.all] == [900] * 3
    assert again.queue.trained == [(2, 0, 900)]


def test_a_population_moves_from_generation_to_generation_together(tmp_path: Path) -> None:
    loop = TuneLoop(ordered(3, scheduler={"kind": "pbt", "every": 300}), open_store(tmp_path), by_order, places=2)
    loop.run()
    assert budgets(loop) == [300] * 3 + [600] * 3 + [900] * 3


def test_the_worst_clone_the_best_and_take_other_params_within_the_space(tmp_path: Path) -> None:
    space = {**RATES, "penalties.r1_gamma": {"choice": [0, 1, 10]}}
    start = [{LR: 1e-1 - 1e-3 * number, "penalties.r1_gamma": 10} for number in range(8)]
    population = job(trials=8, scheduler={"kind": "pbt", "every": 300, "quantile": 0.25}, space=space, start_from=start)
    loop = TuneLoop(population, open_store(tmp_path), lambda params, budget: done(-params[LR], budget))
    search = loop.run()
    first, _ = loop.clones
    assert {trial: exploit["images"] for trial, exploit in first.items()} == {6: 300, 7: 300}
    assert {exploit["from"] for exploit in first.values()} <= {0, 1}
    assert all(exploit["after"] != start[exploit["from"]] for exploit in first.values())
    moved = [exploit["after"] for clones in loop.clones for exploit in clones.values()]
    assert all(1e-5 <= params[LR] <= 1e-1 and params["penalties.r1_gamma"] in (0, 1, 10) for params in moved)
    assert sorted(trial for trial, images in loop.queue.moved if images == 300) == [6, 7]
    assert search.trials.all[6].lineage[0] == first[6]


def test_a_diverged_member_is_given_another_start_and_nobody_clones_one(tmp_path: Path) -> None:
    def train(params: dict[str, Any], budget: int) -> Outcome:
        return Outcome(TrialStatus.DIVERGED, 200, reason="not finite") if params[LR] == 1e-4 else by_order(params, budget)

    loop = TuneLoop(ordered(4, scheduler={"kind": "pbt", "every": 300, "quantile": 0.25}), open_store(tmp_path), train)
    search = loop.run()
    (exploit,) = [clones[0] for clones in loop.clones if 0 in clones][:1]
    assert (exploit["from"], exploit["score"], exploit["before"]) == (1, None, {LR: 1e-4})
    assert all(exploit["from"] != 0 for exploit in loop.clones[0].values())
    assert {trial.status for trial in search.trials.all} == {FINISHED}
    assert search.trials.all[0].reason is None


@pytest.mark.parametrize("searcher", SEARCHERS)
@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=str)
def test_a_search_that_is_killed_again_and_again_decides_as_an_unbroken_one(tmp_path: Path, searcher: str, scheduler: Any) -> None:
    space = (
        {LR: {"choice": [1e-4, 1e-3, 1e-2]}, BETA: {"quniform": [0, 0.9, 0.3]}}
        if searcher == "grid"
        else {**RATES, BETA: {"uniform": [0, 0.9]}}
    )
    swept = job(space=space, searcher=searcher, scheduler=scheduler, trials=7, start_from=[{LR: 1e-2, BETA: 0.3}])
    unbroken = TuneLoop(swept, open_store(tmp_path / "unbroken"), distance, places=2)
    whole = found(unbroken.run())
    trained, num_kills = [], 0
    while True:
        loop = TuneLoop(swept, open_store(tmp_path / "broken"), distance, places=2, kill_after=5)
        try:
            search = loop.run()
            break
        except Killed:
            num_kills += 1
        finally:
            trained += loop.queue.trained
    assert num_kills >= 2
    assert found(search) == whole
    assert sorted(trained) == sorted(unbroken.queue.trained)
    assert len(trained) == len(set(trained))


def test_pb2_decides_again_what_it_has_decided(tmp_path: Path) -> None:
    swept = job(space={**RATES, BETA: {"uniform": [0, 0.9]}}, scheduler={"kind": "pb2", "every": 450, "quantile": 0.5}, trials=3)
    unbroken = TuneLoop(swept, open_store(tmp_path / "unbroken"), distance)
    whole = found(unbroken.run())
    assert sum(map(len, unbroken.clones)) == 1
    with pytest.raises(Killed):
        TuneLoop(swept, open_store(tmp_path / "broken"), distance, kill_after=7).run()
    assert found(TuneLoop(swept, open_store(tmp_path / "broken"), distance).run()) == whole


def test_a_search_that_decides_otherwise_than_its_journal_says_is_refused(tmp_path: Path) -> None:
    TuneLoop(job(trials=2), open_store(tmp_path), distance).run()
    with pytest.raises(ConfigError, match=r"name: the search decides otherwise than its journal says .*; use the versions of ganray, ray"):
        TuneLoop(job(trials=2, seed=1), open_store(tmp_path), distance).run()


def test_exploits_that_a_kill_prevented_are_carried_out_by_the_next_driver_and_others_not_again(tmp_path: Path) -> None:
    swept = ordered(4, scheduler={"kind": "pbt", "every": 300, "quantile": 0.25})

    def die(exploits: dict[int, Any]) -> None:
        raise Killed

    loop = TuneLoop(swept, open_store(tmp_path), by_order)
    loop.search.clone = die
    with pytest.raises(Killed):
        loop.run()
    again = TuneLoop(swept, open_store(tmp_path), by_order, kill_after=2)
    with pytest.raises(Killed):
        again.run()
    assert [set(clones) for clones in again.clones] == [{3}]
    last = TuneLoop(swept, open_store(tmp_path), by_order)
    search = last.run()
    assert len(last.clones) == 1
    assert [len(trial.lineage) for trial in search.trials.all] == [0, 0, 1, 1]
