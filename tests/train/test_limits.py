"""Time limits around Ray Train's controller, and how a request for a checkpoint comes to the workers."""

import os
from types import SimpleNamespace
from typing import Any

import pytest

from ganray.config import Job
from ganray.config.training import Train
from ganray.train.controller import limits
from ganray.train.controller.limits import MAX_LOOK_S, VARIABLES, ControllerWatch, Limits
from ganray.train.progress import ProgressActor, ProgressClient
from ganray.train.trainer import failure_config


def test_a_controller_without_a_sign_of_life_is_ended_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now, ended = [0.0], list[str]()
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(limits.ray, "kill", ended.append)
    watch = ControllerWatch(60.0)

    def look(seconds: float, *, sign: float) -> list[str]:
        now[0] += seconds
        watch.look(sign, "controller")
        return ended

    assert look(1.0, sign=1.0) == []
    assert look(1000.0, sign=1.0) == [], "this process may have been stopped itself"
    for _ in range(int(69 / MAX_LOOK_S)):
        assert look(MAX_LOOK_S, sign=2.0) == []
    assert look(MAX_LOOK_S, sign=3.0) == []
    for _ in range(int(71 / MAX_LOOK_S) + 1):
        look(MAX_LOOK_S, sign=3.0)
    assert ended == ["controller"]


def test_ray_train_s_own_variables_win(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(limits.threading, "Thread", lambda **arguments: SimpleNamespace(start=lambda: started.append(arguments)))
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv(VARIABLES[1], "7")
    Limits(30.0, 90.0, None).after_controller_start(None)
    assert [os.environ[name] for name in VARIABLES] == ["30.0", "7"]
    assert len(started) == 1


@pytest.mark.parametrize(("limit", "passed"), [(None, -1), (0, 0), (2, 2)])
def test_lost_nodes_have_a_limit_of_their_own(limit: int | None, passed: int) -> None:
    config: Any = failure_config(Job(train=Train(max_failures=1, max_preemption_failures=limit)))
    assert (config.max_failures, config.max_preemption_failures) == (1, passed)


def test_a_requested_checkpoint_is_heard_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    actor = ProgressActor()
    monkeypatch.setattr("ganray.train.progress.ray.wait", lambda refs, timeout: (refs, []))
    monkeypatch.setattr("ganray.train.progress.ray.get", lambda answer: answer)
    client = ProgressClient(SimpleNamespace(push=SimpleNamespace(remote=actor.push)))
    actor.take(False, 3)  # before this worker started
    client.push(images_seen=0)
    client.push(images_seen=64)
    assert not client.checkpoint_requested
    actor.take(False, 4)
    for _ in range(2):
        client.push(images_seen=128)
    assert client.checkpoint_requested
    client.checkpoint_requested = False
    client.push(images_seen=192)
    assert not client.checkpoint_requested
    assert not client.stop_requested
