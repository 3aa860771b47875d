"""How a search stands, without Ray and Tune."""

from pathlib import Path

import pytest

from ganray.config import check_job
from ganray.runs.trials import TrialStatus
from ganray.storage import open_store
from ganray.sweep.journal import Journal, Suggested, Trials
from ganray.sweep.search_state import SearchState


@pytest.mark.parametrize(("mode", "best"), [("min", 2.0), ("max", 7.0)])
def test_a_trial_shows_its_best_score_while_it_trains_and_nothing_that_comes_late(tmp_path: Path, mode: str, best: float) -> None:
    job = check_job({"sweep": {"space": {"train.batch_size": {"choice": [64, 128]}}, "metric": "metric/diversity", "mode": mode}})
    trials = Trials([900], [Suggested(0, {"train.batch_size": 64}, 0.0)])
    state = SearchState(job, Journal(open_store(tmp_path)), trials, ask=lambda *_: None)
    (trial,) = trials.all
    state.watch(0, 100, 3.0)
    assert (trial.images, trial.score) == (0, None)
    trial.status = TrialStatus.RUNNING
    for images, score in ((100, None), (300, 7.0), (200, 2.0), (300, float("nan"))):
        state.watch(0, images, score)
    assert (trial.images, trial.score) == (300, best)
