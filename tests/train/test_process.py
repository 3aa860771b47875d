"""What a worker's process is set to."""

import subprocess
import sys

import pytest

FAULTS_OF_TEN_FEATURE_MAPS = """
import resource, torch
{setting}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(30):  # until the heap has a place for it, which depends on what is in the way
    torch.zeros(48 << 18)  # 48 MB, 12,288 pages
before = faults()
for _ in range(10):
    torch.zeros(48 << 18)
print(faults() - before)
"""


SET = "from ganray.train.worker.process import keep_freed_memory; keep_freed_memory()"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is set")
@pytest.mark.parametrize(("setting", "low", "high"), [(SET, 0, 40_000), ("", 100_000, 10**6)], ids=["set", "not set"])
def test_a_worker_takes_freed_memory_again_without_the_kernel(setting: str, low: int, high: int) -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS_OF_TEN_FEATURE_MAPS.format(setting=setting)], capture_output=True, text=True)
    assert low <= int(done.stdout) < high, done.stderr
