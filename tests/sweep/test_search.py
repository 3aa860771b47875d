"""The mind of a sweep, without Ray: what trains next, who is promoted, who copies whom, and what is forgotten by nobody."""

import copy
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from ganray.config import Job, check_job
from ganray.runs.layout import write_json
from ganray.storage import open_store
from ganray.sweep.population import plan_exploits, vary
from ganray.sweep.proposals import num_trials, propose
from ganray.sweep.records import DIVERGED, FAILED, FINISHED, PAUSED, RUNNING, STATE, STOPPED, WAITING, Trial
from ganray.sweep.search import LegOutcome, Search, rungs
from ganray.sweep.space import draw
from ganray.sweep.stored import Clock

LR = "optimizer.generator.lr"


def job(**sweep: object) -> Job:
    """Return a job with a sweep of one learning rate."""
    return check_job({"name": "x", "train": {"total_images": 900}, "sweep": {"space": {LR: {"loguniform": [1e-5, 1e-1]}}, **sweep}})


def make_search(checked: Job, trials: list[Trial] | None = None, written: list[str] | None = None) -> Search:
    """Return a search of a job that exploits nothing, and keeps what it would write in `written`."""

    def changed(trials: list[Trial]) -> None:
        if written is not None:
            written[:] = [json.dumps(asdict(trial)) for trial in trials]

    return Search(
        checked.sweep,
        budget=900,
        num_trials=num_trials(checked.sweep),
        max_failures=1,
        trials=trials if trials is not None else [],
        propose=lambda trials: propose(checked.sweep, trials),
        exploit=lambda trials, images: None,
        changed=changed,
    )


def done(trial: Trial, score: float) -> LegOutcome:
    """Return the outcome of a leg that reached its end."""
    return LegOutcome(trial.number, "done", trial.target, score=score, last=score, best_images=trial.target, curve=[[trial.target, score]])


def run_out(search: Search, score: Callable[[Trial], float], *, slots: int) -> list[tuple[int, int]]:
    """Run a search to its end, first in first out, and return the (trial, target) of every leg."""
    legs, under_way = [], []
    while not search.is_over:
        while len(under_way) < slots and (trial := search.next_leg()):
            legs.append((trial.number, trial.target))
            under_way.append(trial)
        if under_way:
            trial = under_way.pop(0)
            search.tell(done(trial, score(trial)))
    return legs


def test_without_a_scheduler_every_trial_trains_to_the_budget_once() -> None:
    search = make_search(job(trials=5))
    assert run_out(search, lambda trial: 1.0, slots=2) == [(number, 900) for number in range(5)]
    assert {trial.status for trial in search.trials} == {FINISHED}


@pytest.mark.parametrize("slots", [1, 2, 9])
def test_asha_promotes_one_in_so_many_and_takes_one_at_least_to_the_end(slots: int) -> None:
    search = make_search(job(trials=9, scheduler={"kind": "asha", "reduction": 3}))
    assert search.ends == [100, 300, 900]
    legs = run_out(search, lambda trial: float(trial.number), slots=slots)
    ends = [end for _, end in legs]
    assert (ends.count(100), ends.count(300), ends.count(900)) == (9, 3, 1)
    assert [trial.number for trial in search.trials if trial.status == FINISHED] == [0]
    assert sum(trial.status == STOPPED for trial in search.trials) == 8
    assert len(set(legs)) == len(legs)


def test_asha_counts_broken_trials_as_worst() -> None:
    search = make_search(job(trials=3, scheduler={"kind": "asha", "reduction": 3, "min_images": 300}))
    for _ in range(3):
        trial = search.next_leg()
        search.tell(done(trial, 5.0) if trial.number == 1 else LegOutcome(trial.number, "diverged", 40, reason="not finite"))
    promoted = search.next_leg()
    assert (promoted.number, promoted.target) == (1, 900)


def test_asha_with_fewer_trials_than_it_reduces_by_still_ends_with_one_at_the_budget() -> None:
    search = make_search(job(trials=2, scheduler={"kind": "asha", "reduction": 4}))
    legs = run_out(search, lambda trial: float(-trial.number), slots=2)
    assert [number for number, end in legs if end == 900] == [1]


def test_a_population_moves_from_generation_to_generation_together() -> None:
    search = make_search(job(trials=3, scheduler={"kind": "pbt", "every": 300}))
    legs = run_out(search, lambda trial: 1.0, slots=2)
    assert [end for _, end in legs] == [300] * 3 + [600] * 3 + [900] * 3


def test_a_limit_in_images_is_never_passed() -> None:
    search = make_search(job(trials=5, max_images=2000))
    run_out(search, lambda trial: 1.0, slots=5)
    assert (search.closed, sum(trial.images for trial in search.trials)) == ("max_images", 1800)


def test_a_lost_leg_is_tried_again_and_then_given_up_while_the_sweep_goes_on() -> None:
    search = make_search(job(trials=2))
    first = search.next_leg()
    search.lost(first.number, "died")
    assert first.status == WAITING
    assert search.next_leg() is first
    search.lost(first.number, "died")
    assert (first.status, first.reason) == (FAILED, "died")
    second = search.next_leg()
    search.tell(done(second, 1.0))
    assert search.next_leg() is None
    assert search.is_over


def test_after_a_kill_what_was_written_goes_on_and_nothing_is_run_twice() -> None:
    written: list[str] = []
    checked = job(trials=4, scheduler={"kind": "asha", "reduction": 2})
    search = make_search(checked, written=written)
    legs = []
    for _ in range(3):
        trial = search.next_leg()
        legs.append((trial.number, trial.target))
        search.tell(done(trial, float(trial.number)))
    interrupted = search.next_leg()
    again = make_search(checked, [Trial(**json.loads(line)) for line in written])
    assert RUNNING not in {trial.status for trial in again.trials}
    more = run_out(again, lambda trial: float(trial.number), slots=1)
    assert more[0] == (interrupted.number, interrupted.target)
    assert len(set(legs + more)) == len(legs + more)
    whole = make_search(checked)
    assert sorted(run_out(whole, lambda trial: float(trial.number), slots=1)) == sorted(legs + more)


def scored(checked: Job, scores: list[float]) -> list[Trial]:
    """Return trials that finished a leg with these scores, at points drawn at random."""
    trials = [Trial(n, draw(checked.sweep.space, 0, n), 900, FINISHED, 900, score, score) for n, score in enumerate(scores)]
    for trial in trials:
        trial.legs = [{"images": 900, "score": trial.score, "last": trial.score}]
    return trials


def test_optuna_proposes_near_the_best_and_the_same_again() -> None:
    checked = job(searcher={"kind": "optuna", "startup_trials": 4}, trials=40)
    trials = scored(checked, [0.0] * 30)
    for trial in trials:
        trial.score = abs(trial.point[LR] - 1e-3)
    points = [propose(checked.sweep, [*trials, *copy.deepcopy(trials[:extra])])[LR] for extra in range(8)]
    assert sum(1e-4 < point < 1e-2 for point in points) >= 6
    assert propose(checked.sweep, trials) == propose(checked.sweep, trials)


def test_optuna_learns_from_stopped_broken_and_running_trials_too() -> None:
    checked = job(searcher={"kind": "optuna", "startup_trials": 2}, trials=40, start_from=[{LR: "1e-3"}])
    trials = scored(checked, [1.0, 2.0, 3.0, 4.0, 5.0])
    trials[0].point = dict(checked.sweep.start_from[0])
    assert trials[0].point == {LR: 1e-3}
    trials[1].status, trials[2].status, trials[3].status, trials[4].status = STOPPED, DIVERGED, RUNNING, FAILED
    trials[3].legs = []
    assert 1e-5 <= propose(checked.sweep, trials)[LR] <= 1e-1


def members(checked: Job, scores: list[float]) -> list[Trial]:
    """Return a population that has ended a generation."""
    return [Trial(n, draw(checked.sweep.space, 0, n), 300, PAUSED, 300, score, score) for n, score in enumerate(scores)]


def test_the_worst_copy_the_best_with_other_settings_and_the_same_when_asked_again() -> None:
    checked = job(trials=8, scheduler={"kind": "pbt", "every": 300, "quantile": 0.25})
    trials = members(checked, [1, 2, 3, 4, 5, 6, 7, 8])
    exploits = plan_exploits(checked, trials, 300)
    assert {exploit.trial for exploit in exploits} == {6, 7}
    assert {exploit.donor for exploit in exploits} <= {0, 1}
    assert all(exploit.point != trials[exploit.donor].point for exploit in exploits)
    assert exploits == plan_exploits(checked, members(checked, [1, 2, 3, 4, 5, 6, 7, 8]), 300)


def test_a_diverged_member_is_given_another_start_and_nobody_copies_one() -> None:
    checked = job(trials=4, scheduler={"kind": "pbt", "every": 300, "quantile": 0.5})
    trials = members(checked, [4, 3, 2, 1])
    trials[3].status = DIVERGED
    exploits = plan_exploits(checked, trials, 300)
    assert {exploit.trial for exploit in exploits} == {0, 3}
    assert {exploit.donor for exploit in exploits} <= {1, 2}


def test_variations_stay_in_their_range() -> None:
    import numpy as np

    checked = job(space={LR: {"loguniform": [1e-5, 1e-1]}, "penalties.r1_gamma": {"choice": [0, 1, 10]}}, scheduler="pbt")
    point = {LR: 1e-1, "penalties.r1_gamma": 10}
    draws = np.random.default_rng(0)
    for _ in range(50):
        varied = vary(checked.sweep.space, point, checked.sweep.scheduler, draws)
        assert 1e-5 <= varied[LR] <= 1e-1
        assert varied["penalties.r1_gamma"] in (0, 1, 10)


def test_a_clock_goes_on_where_the_last_driver_left_it(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    write_json(store, STATE, {"elapsed_s": 100.0})
    clock = Clock(store)
    assert 100 <= clock.elapsed_s < 110
    clock.save()
    assert Clock(store).elapsed_s >= 100


def test_rungs_end_at_the_budget() -> None:
    assert rungs(job(scheduler="pbt").sweep, 900)[-1] == 900
    assert rungs(job(scheduler={"kind": "asha", "min_images": 2000}).sweep, 900) == [900]
