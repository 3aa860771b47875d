"""Kernel distance and what classes say, against direct sums and counts; and memory that does not grow with the square."""

import subprocess
import sys

import pytest
import torch

from ganray.metrics.classes import class_coverage, conditional_accuracy
from ganray.metrics.kernel import BLOCK, kernel_distance


def test_kernel_distance_equals_the_sums_of_its_definition() -> None:
    torch.manual_seed(0)
    reals, fakes = torch.randn(7, 3, dtype=torch.float64), torch.randn(7, 3, dtype=torch.float64) + 0.5

    def kernel(x: torch.Tensor, y: torch.Tensor) -> float:
        return (float(x @ y) / 3 + 1) ** 3

    within = sum(kernel(s[i], s[j]) for s in (reals, fakes) for i in range(7) for j in range(7) if i != j) / (7 * 6)
    across = sum(kernel(x, y) for x in reals for y in fakes) / 49
    assert kernel_distance(reals, fakes) == pytest.approx(within - 2 * across, rel=1e-9)


def test_kernel_distance_has_no_bias_and_grows_with_what_is_wrong() -> None:
    torch.manual_seed(0)
    reals = torch.randn(2 * BLOCK, 8)
    alike, near, far = (kernel_distance(reals, torch.randn(2 * BLOCK, 8) + shift) for shift in (0.0, 0.2, 0.5))
    assert abs(alike) < 0.01
    assert alike < near < far


def test_kernel_distance_agrees_with_torchmetrics() -> None:
    from torchmetrics.image.kid import poly_mmd

    torch.manual_seed(0)
    reals, fakes = torch.randn(500, 16), torch.randn(500, 16) * 1.3
    assert kernel_distance(reals, fakes) == pytest.approx(
        poly_mmd(reals.double(), fakes.double(), degree=3, gamma=None, coef=1.0).item(), rel=1e-6
    )


def test_class_coverage_counts_what_is_missing_or_rare() -> None:
    reals = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    assert class_coverage(reals, reals, 5) == 1.0
    assert class_coverage(reals, torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), 5) == pytest.approx(0.5)
    assert class_coverage(reals, torch.tensor([0, 0, 0, 1, 1, 2, 2, 3]), 5) == pytest.approx((1 + 1 + 1 + 0.5) / 4)


def test_conditional_accuracy_is_the_share_that_is_what_was_asked_for() -> None:
    assert conditional_accuracy(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 2])) == 0.75


def test_memory_does_not_grow_with_the_square_of_the_samples() -> None:
    code = """import resource, torch
from ganray.metrics.precision_recall import precision_recall
from ganray.metrics.frechet import Moments
from ganray.metrics.kernel import kernel_distance
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def score(number):
    reals, fakes = torch.randn(number, 16), torch.randn(number, 16)
    precision_recall(reals, fakes, 5), kernel_distance(reals, fakes), Moments.of(fakes)
torch.set_num_threads(1)
score(2_000)
before = peak()
score(8_000)
print(peak() - before)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 160  # MB; one matrix of all distances would take 256
