"""Whether a run trains on GPUs: `use_gpu` decided before data is prepared, and a torch that cannot use them."""

import logging
from pathlib import Path

import pytest
import ray
import torch
from ray.exceptions import RayTaskError
from ray.train import ControllerError, FailureConfig, WorkerGroupError
from ray.train.v2._internal.execution.failure_handling import FailureDecision

from ganray import run_training
from ganray.cluster.autoscaling.node_types import Growth, NodeType
from ganray.cluster.autoscaling.status import AutoscalerStatus, ClusterNode
from ganray.cluster.gpus import PROBE, check_replicas, choose, decide_gpus, torch_problem
from ganray.config import Job, check_job
from ganray.errors import ClusterError, ConfigError, GanrayError
from ganray.runs.resolve import gpu_has_bfloat16, resolve_job
from ganray.train.controller.policies import MistakesAreFinal
from ganray.train.controller.process_group import ProcessGroup, join
from ganray.train.trainer import translate
from ganray.train.worker.process import check_gpu
from tests.helpers.cards import card

BIG, SMALL, CPUS = {"CPU": 8.0, "GPU": 2.0}, {"CPU": 2.0, "GPU": 1.0}, {"CPU": 64.0}
NO_CUDA = "torch 2.13.0+cpu is built without CUDA"


def job(**sections: object) -> Job:
    return check_job({"train": {"precision": "float32"}, "data": {"mode": "resident"}, **sections})


@pytest.mark.parametrize(
    ("sections", "nodes", "broken", "decided"),
    [
        ({}, [], 0, False),
        ({}, [CPUS], 0, False),
        ({}, [SMALL], 0, True),
        ({"workers": 2}, [SMALL], 0, False),
        ({"workers": 2}, [SMALL, SMALL], 0, True),
        ({"workers": {"min": 1, "max": 2}}, [SMALL], 0, True),
        ({"resources": {"gpus_per_worker": 2}}, [SMALL, SMALL], 0, False),  # two GPUs, and no node with both
        ({"resources": {"gpus_per_worker": 2}}, [BIG], 0, True),
        ({"resources": {"cpus_per_worker": 4}}, [SMALL, CPUS], 0, False),  # a GPU, and CPUs enough on another node
        ({}, [SMALL], 1, False),
        ({}, [SMALL, SMALL], 1, False),
        ({"use_gpu": True}, [], 0, True),  # its nodes are still to be started
        ({"use_gpu": True}, [SMALL], 0, True),
    ],
)
def test_gpus_are_used_where_each_worker_finds_one_that_torch_can_use(
    sections: dict[str, object], nodes: list[dict[str, float]], broken: int, decided: bool
) -> None:
    numbered = {str(number): node for number, node in enumerate(nodes)}
    assert choose(job(**sections), numbered, dict.fromkeys(list(numbered)[:broken], NO_CUDA)) is decided


@pytest.mark.parametrize(
    ("nodes", "broken", "says"),
    [
        (1, 1, "use_gpu: torch 2.13.0+cpu is built without CUDA, on 1 of 1 node with GPUs; install a build of torch for these GPUs"),
        (3, 2, "use_gpu: torch 2.13.0+cpu is built without CUDA, on 2 of 3 nodes with GPUs; install a build of torch for these GPUs"),
    ],
)
def test_gpus_that_torch_cannot_use_are_an_error_where_they_are_asked_for(nodes: int, broken: int, says: str) -> None:
    numbered = {str(number): SMALL for number in range(nodes)}
    with pytest.raises(ConfigError) as refused:
        choose(job(use_gpu=True), numbered, dict.fromkeys(list(numbered)[:broken], NO_CUDA))
    assert str(refused.value) == f"{says} and their driver, or use use_gpu=false"


def test_auto_says_why_gpus_that_there_are_stay_unused(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert not choose(job(workers=2), {"a": SMALL}, {"a": NO_CUDA})
        assert not caplog.messages  # they would not be used anyway
        assert not choose(job(), {"a": SMALL}, {"a": NO_CUDA})
    assert caplog.messages == [f"training on CPUs: {NO_CUDA}, on 1 of 1 node with GPUs"]


@pytest.mark.parametrize(
    ("printed", "problem"),
    [
        ("print('2.13.0+cu130', True, True)", None),
        ("print('2.13.0+cpu', False, False)", "torch 2.13.0+cpu is built without CUDA"),
        ("print('2.13.0+cu130', True, False)", "torch 2.13.0+cu130 reaches no GPU"),
        ("import no_such_torch", "torch cannot be imported (ModuleNotFoundError: No module named 'no_such_torch')"),
        ("import os; os.abort()", "torch cannot be imported (killed)"),
        ("import os; print(os.environ.get('CUDA_VISIBLE_DEVICES', 'v'), True, True)", None),
    ],
)
def test_a_process_tells_what_torch_can_do_on_its_machine(monkeypatch: pytest.MonkeyPatch, printed: str, problem: str | None) -> None:
    monkeypatch.setattr("ganray.cluster.gpus.PROBE", printed)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert torch_problem() == problem


def test_an_installed_torch_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganray.cluster.gpus.PROBE", f"{PROBE}; import sys; sys.exit('after all')")
    assert torch_problem() == "torch cannot be imported (after all)"


def test_a_gpu_that_comes_later_and_torch_cannot_use_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"^use_gpu: torch \S+ of the node that has it reaches no GPU; install"):
        gpu_has_bfloat16()


@pytest.mark.parametrize(("built", "why"), [(False, "is built without CUDA"), (True, "reaches no GPU")])
def test_a_worker_s_gpu_that_torch_cannot_use_is_one_line_and_final(monkeypatch: pytest.MonkeyPatch, built: bool, why: str) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.cuda.is_built", lambda: built)
    with pytest.raises(ClusterError, match=rf"^use_gpu: torch \S+ of node [\d.]+ {why}; install a build of torch") as refused:
        check_gpu()
    assert refused.value.exit_code == 3
    wrapped = WorkerGroupError("failed", {0: RayTaskError("check_gpu", "", refused.value).as_instanceof_cause()})
    assert MistakesAreFinal(FailureConfig(max_failures=5)).make_decision(wrapped) is FailureDecision.RAISE
    assert translate(ControllerError(wrapped), job(use_gpu=True)) is refused.value


def test_a_worker_s_gpu_that_torch_can_use_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    check_gpu()


def test_workers_on_gpus_are_asked_before_they_are_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ClusterError, match="use_gpu: torch"):
        join(ProcessGroup("nccl", timeout_s=1), "127.0.0.1", 1)


def served(
    monkeypatch: pytest.MonkeyPatch, nodes: list[dict[str, float]], *, problem: str | None = None, growth: Growth | None = None
) -> None:
    """Have the connected cluster have such nodes, of which torch cannot use the GPUs for a `problem`, and an autoscaler for a `growth`."""
    alive = [{"NodeID": str(number), "Alive": True, "Resources": node} for number, node in enumerate(nodes)]
    monkeypatch.setattr("ganray.cluster.gpus.ray.nodes", lambda: alive)
    monkeypatch.setattr("ganray.cluster.gpus.find_problems", lambda found: dict.fromkeys(found, problem) if problem else {})
    monkeypatch.setattr("ganray.cluster.gpus.find_growth", lambda: growth)
    status = AutoscalerStatus(int(growth is not None), tuple(ClusterNode("", node) for node in nodes), {}, {}, ())
    monkeypatch.setattr("ganray.cluster.gpus.read_status", lambda: status)


def test_servers_take_gpus_that_are_there_or_may_come(monkeypatch: pytest.MonkeyPatch) -> None:
    served(monkeypatch, [SMALL])
    check_replicas(1)
    served(monkeypatch, [CPUS], growth=Growth((NodeType("gpus", BIG, 1),), 1))
    check_replicas(2)


@pytest.mark.parametrize(
    ("nodes", "number", "problem", "growth", "says"),
    [
        ([CPUS], 1, None, None, "1 replica needs 1 GPU, and there is none here; leave it out, or name a cluster that has one"),
        ([SMALL], 2, None, None, "2 replicas need 2 GPUs, and there is 1 here; leave it out"),
        ([SMALL], 1, NO_CUDA, None, "torch 2.13.0+cpu is built without CUDA, on 1 of 1 node with GPUs; install a build of torch"),
        ([CPUS], 1, None, Growth((NodeType("cpus", CPUS, 3),), 3), "no node type has room for a worker of 1 CPU and 1 GPU"),
    ],
)
def test_servers_without_gpus_are_one_line(
    monkeypatch: pytest.MonkeyPatch, nodes: list[dict[str, float]], number: int, problem: str | None, growth: Growth | None, says: str
) -> None:
    served(monkeypatch, nodes, problem=problem, growth=growth)
    with pytest.raises(GanrayError) as refused:
        check_replicas(number)
    assert says in str(refused.value)


def test_what_was_decided_before_the_data_was_prepared_stays() -> None:
    """Without a connection to Ray: nothing is looked at again."""
    for use_gpu in (False, True):
        decided = job(use_gpu=use_gpu, data={"source": {"kind": "folder", "path": "x"}, "mode": "resident"})
        assert resolve_job(decided, card()).use_gpu is use_gpu


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.skipif(torch.backends.cuda.is_built(), reason="needs a torch without CUDA")
def test_a_node_that_came_after_nodes_were_asked_ends_training_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # or else Ray would leave a token in the home
    ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
    monkeypatch.setattr("ganray.runs.opening.decide_gpus", lambda job: job)
    try:
        source = {"source": {"kind": "fashion-mnist"}, "channels": 1, "mode": "resident"}
        asked = job(use_gpu=True, storage=str(tmp_path / "store"), data=source, evaluate="none")
        with pytest.raises(ClusterError, match=r"^use_gpu: torch \S+ of node [\d.]+ is built without CUDA; install"):
            run_training(asked)
    finally:
        ray.shutdown()


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.skipif(torch.backends.cuda.is_built(), reason="needs a torch without CUDA")
def test_a_cluster_whose_torch_has_no_cuda_is_refused_before_anything_is_prepared(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # or else Ray would leave a token in the home
    ray.init(address="local", num_cpus=1, num_gpus=1, include_dashboard=False, log_to_driver=False)
    try:
        asked = job(use_gpu=True, storage=str(tmp_path / "store"), data={"source": {"kind": "fashion-mnist"}, "channels": 1})
        with pytest.raises(ConfigError, match=r"use_gpu: torch .+ is built without CUDA, on 1 of 1 node with GPUs"):
            run_training(asked)
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
        with caplog.at_level(logging.WARNING):
            assert decide_gpus(job()).use_gpu is False
        assert "training on CPUs" in caplog.text
    finally:
        ray.shutdown()
