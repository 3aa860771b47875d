"""The work queue without Ray: first come first served, each piece once, dead workers and limits."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from ganray.runs.trials import Trial, TrialStatus, best_first
from ganray.sweep import work_queue
from ganray.sweep.journal import Outcome, Trials
from ganray.sweep.work_queue import Piece, WorkQueue

RUNGS = [300, 900]
DONE = Outcome(TrialStatus.PAUSED, 300, score=1.0)


def queue(*known: Trial, max_failures: int = 1, max_images: int | None = None) -> WorkQueue:
    """Return a queue that trains, after a driver that has reported a piece of each trial that is known."""
    trials = Trials(RUNGS)
    trials.all = [replace(trial, position=trial.budget, num_pieces=1) for trial in known]
    state = WorkQueue(trials, max_failures=max_failures, max_images=max_images)
    state.live.set()
    return state


def run(scenario: Callable[[], Awaitable[Any]]) -> None:
    """Run a scenario, which must not wait for ever."""
    asyncio.run(asyncio.wait_for(scenario(), 10))  # type: ignore[arg-type]


async def start(call: Awaitable[Any]) -> "asyncio.Task[Any]":
    """Start a call, as another process would, and let it come to where it waits."""
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0)
    return task  # type: ignore[return-value]


def test_pieces_go_to_waiting_groups_in_order_and_outcomes_to_their_trials() -> None:
    async def scenario() -> None:
        state = queue()
        trials = [await start(state.train(number, {"a": number})) for number in range(3)]
        groups = [await start(state.take(f"g{number}", True)) for number in range(2)]
        assert [await group for group in groups] == [Piece(0, 0, {"a": 0}, 300), Piece(1, 0, {"a": 1}, 300)]
        await state.finish("g1", DONE)
        assert await trials[1] == (300, DONE)
        assert await state.take("g1", False) == Piece(2, 0, {"a": 2}, 300)
        assert not trials[0].done()
        assert await state.acknowledge(1) == (300, DONE)
        again = await start(state.train(1, {"a": 1}))
        assert await state.take("g2", True) == Piece(1, 1, {"a": 1}, 900)
        again.cancel()

    run(scenario)


def test_a_trial_whose_process_was_started_again_waits_for_the_one_outcome() -> None:
    async def scenario() -> None:
        state = queue()
        (await start(state.train(0, {}))).cancel()
        again = await start(state.train(0, {}))
        await state.take("g", True)
        await state.finish("g", DONE)
        assert await again == (300, DONE)
        assert not state.pending

    run(scenario)


def test_a_piece_whose_workers_died_is_trained_again_and_its_trial_given_up_in_the_end() -> None:
    async def scenario() -> None:
        state = queue(max_failures=1)
        trial = await start(state.train(0, {}))
        await state.take("g", True)
        await state.report_error("g", "MemoryError: no", False)
        assert await state.take("g", True) == Piece(0, 0, {}, 300)
        await state.lose("g")
        budget, outcome = await trial
        assert (budget, outcome.status) == (300, TrialStatus.FAILED)
        assert outcome.reason == "its workers died more than train.max_failures=1 times"
        failures = (await state.snapshot()).failures
        assert failures == [(0, "its workers died (MemoryError: no)", True), (0, "its workers died", False)]

    run(scenario)


def test_a_mistake_of_the_user_gives_its_trial_up_at_once() -> None:
    async def scenario() -> None:
        state = queue(max_failures=3)
        trial = await start(state.train(0, {}))
        await state.take("g", True)
        await state.report_error("g", "RuntimeError: a peer closed its connection", False)
        await state.report_error("g", "evaluate.neighbours: too many; use 3", True)
        await state.report_error("g", "RuntimeError: a peer closed its connection", False)
        await state.lose("g")
        _, outcome = await trial
        assert (outcome.status, outcome.reason) == (TrialStatus.FAILED, "evaluate.neighbours: too many; use 3")
        assert (await state.snapshot()).failures == [(0, "evaluate.neighbours: too many; use 3", False)]

    run(scenario)


def test_an_interrupted_piece_waits_for_another_group() -> None:
    async def scenario() -> None:
        state = queue()
        trial = await start(state.train(0, {}))
        await state.take("g", True)
        await state.finish("g", Outcome(TrialStatus.WAITING, 100))
        assert await state.take("h", True) == Piece(0, 0, {}, 300)
        trial.cancel()

    run(scenario)


def test_a_limit_in_images_is_never_passed() -> None:
    async def scenario() -> None:
        state = queue(Trial(0, {}, 300, TrialStatus.STOPPED, images=300), max_images=1000)
        trials = [await start(state.train(number, {})) for number in range(1, 4)]
        for group in ("g", "h"):
            await state.take(group, True)
            await state.finish(group, DONE)
        assert (await state.snapshot()).refused == {3}
        assert await state.take("i", True) is None
        assert not trials[2].done()
        for number in range(2):
            assert await trials[number] == (300, DONE)
            await state.acknowledge(1 + number)
        snapshot = await state.snapshot()
        assert (snapshot.is_idle, snapshot.pieces) == (True, [])
        await state.dismiss()
        assert (await trials[2])[1].status == TrialStatus.WAITING

    run(scenario)


def test_recorded_pieces_are_answered_in_their_turn_before_anything_is_trained() -> None:
    async def scenario() -> None:
        state = queue(Trial(0, {}, 300, TrialStatus.PAUSED, images=300))
        state.live.clear()
        trial, group = await start(state.train(0, {})), await start(state.take("g", True))
        await state.release(0, 300, DONE)
        assert await trial == (300, DONE)
        assert await state.acknowledge(0) == (300, DONE)
        again = await start(state.train(0, {}))
        assert not group.done()
        await state.go_live()
        assert await group == Piece(0, 1, {}, 900)
        again.cancel()

    run(scenario)


def test_a_clone_goes_on_from_where_its_donor_stands() -> None:
    async def scenario() -> None:
        state = queue(Trial(0, {}, 0, TrialStatus.FAILED))
        state.num_reported[0] = 1
        assert (await state.train(0, {}))[1].status == TrialStatus.FAILED
        await state.acknowledge(0)
        await state.move(0, 300)
        trial = await start(state.train(0, {}))
        assert await state.take("g", True) == Piece(0, 2, {}, 900)
        trial.cancel()

    run(scenario)


def test_a_closed_queue_hands_out_nothing_and_says_so_to_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        state = queue()
        idle = await start(state.take("g", True))
        await state.close()
        assert await idle is None
        trial = await start(state.train(0, {}))
        assert await state.take("h", True) is None
        await state.dismiss()
        assert (await trial)[1].status == (await state.train(5, {}))[1].status == TrialStatus.WAITING

    run(scenario)


def test_a_group_that_waits_in_vain_leaves_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_queue, "IDLE_S", 0.05)

    async def scenario() -> None:
        state = queue()
        assert await state.take("g", True) is None
        assert state.waiting == {}

    run(scenario)


def test_a_trial_that_broke_after_it_was_scored_comes_last() -> None:
    trials = [Trial(number, {}, budget=1, status=status, score=score) for number, (status, score) in enumerate(ENDS)]
    assert [trial.number for trial in best_first(trials, maximise=False)] == [2, 0, 1]


ENDS = [(TrialStatus.FINISHED, 3.0), (TrialStatus.COLLAPSED, 1.0), (TrialStatus.STOPPED, 2.0), (TrialStatus.FAILED, 0.5)]
