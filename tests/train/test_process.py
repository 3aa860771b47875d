"""What a worker's process is set to."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from ganray.config import Job
from ganray.train.worker.process import prepare_process

FAULTS_OF_TEN_FEATURE_MAPS = """
import resource, torch
{setting}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({before}):  # until the heap has a place for it, which depends on what is in the way
    torch.zeros(48 << 18)  # 48 MB, 12,288 pages
before = faults()
for _ in range(10):
    torch.zeros(48 << 18)
print(faults() - before)
"""


SET = "from ganray.train.worker.process import keep_freed_memory; keep_freed_memory()"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is set")
@pytest.mark.parametrize(("setting", "before", "low", "high"), [(SET, 30, 0, 40_000), ("", 0, 100_000, 10**6)], ids=["set", "not set"])
def test_a_worker_takes_freed_memory_again_without_the_kernel(setting: str, before: int, low: int, high: int) -> None:
    code = FAULTS_OF_TEN_FEATURE_MAPS.format(setting=setting, before=before)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert low <= int(done.stdout) < high, done.stderr


def test_the_thread_that_trains_is_set_to_its_worker_s_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr("ray.train.torch.get_device", lambda: torch.device("cuda:1"))
    monkeypatch.setattr("torch.cuda.set_device", chosen.append)
    monkeypatch.setattr("torch.set_num_threads", lambda _: None)
    for flag in ("deterministic", "allow_tf32"):
        monkeypatch.setattr(f"torch.backends.cudnn.{flag}", getattr(torch.backends.cudnn, flag))
    for use_gpu in (False, True):
        context = cast(Any, SimpleNamespace(job=Job(use_gpu=use_gpu), precision=torch.float32))
        assert prepare_process(context) == torch.device("cuda:1" if use_gpu else "cpu")
    assert chosen == [torch.device("cuda:1")]
