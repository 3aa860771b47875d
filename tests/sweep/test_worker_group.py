"""A worker group's loop, without Ray: which pieces it takes."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ganray.runs.trials import TrialStatus
from ganray.sweep import worker_group
from ganray.sweep.journal import Outcome
from ganray.sweep.work_queue import Piece


@pytest.mark.parametrize(
    ("ends", "trained"),
    [
        ([TrialStatus.PAUSED, TrialStatus.DIVERGED, TrialStatus.PAUSED], 3),
        ([TrialStatus.PAUSED, TrialStatus.WAITING, TrialStatus.PAUSED], 2),  # asked to end, as where its node will leave
    ],
)
def test_a_group_trains_pieces_until_there_is_none_or_one_is_interrupted(
    ends: list[TrialStatus], trained: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces, finished = [Piece(number, 0, {}, 1) for number in range(len(ends))], []

    def ask(_: Any, method: str, *arguments: Any) -> Any:
        if method == "take":
            return pieces.pop(0) if pieces else None
        return finished.append(arguments[1].status)

    monkeypatch.setattr(worker_group, "ask", ask)
    monkeypatch.setattr(worker_group, "train_piece", lambda context, piece, train: Outcome(ends[piece.trial], 0))
    actor = SimpleNamespace(push=SimpleNamespace(remote=lambda _: None))
    worker_group.train_pieces(cast(Any, SimpleNamespace(progress_actor=actor)), None, "group0", lambda _: None)
    assert finished == ends[:trained]
