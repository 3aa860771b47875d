"""Fitting a feature extractor to a dataset, on its classes or on rotations of its images: the same weights for the same seed."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ganray.errors import DataError
from ganray.metrics.feature_extractor import FeatureNetwork
from ganray.metrics.tasks import Task, class_task, rotation_task

Progress = Callable[[int, int], None]  # takes the images seen and their total, every few batches
Pair = tuple[Tensor, Tensor]  # images uint8 [N, C, H, W] and labels int64 [N], -1 where there is none

MAX_EPOCHS = 50  # a small dataset is not repeated more often
MAX_HELD_OUT = 5_000  # images
BATCH_SIZE = 128
LEARNING_RATE = 8e-3
WEIGHT_DECAY = 0.05
WARM_UP = 0.05  # fraction of the fit in which the learning rate rises
PROGRESS_EVERY = 20  # batches
NUM_THREADS = 2  # on a CPU: the last bits of a sum depend on it, so a fit that is to be repeated fixes it


@dataclass(frozen=True)
class Dataset:
    """Images of one shape. `sample` returns those of some rows, int64 [N], in that order, with their labels.

    `mirror` is whether classes stay what they are if images are mirrored left to right: those of spectrograms do not.
    """

    sample: Callable[[np.ndarray], Pair]
    count: int
    channels: int
    mirror: bool = True


def fit_classifier(
    data: Dataset,
    num_classes: int,
    *,
    num_images: int = 400_000,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> tuple[FeatureNetwork, float | None]:
    """Fit an extractor to tell classes apart, on `num_images` images, repeats included; those without a label are left out.

    Returns it, in eval mode, and its accuracy on held-out images, 0 to 1 (None if the dataset is too small to hold any out).
    The same seed gives the same weights on one machine. Raises `DataError` if no image has a label.
    """
    return _fit(class_task(num_classes, mirror=data.mirror), data, num_images, seed, torch.device(device), progress)


def fit_rotation(
    data: Dataset,
    *,
    num_images: int = 400_000,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> tuple[FeatureNetwork, float | None]:
    """Fit an extractor to predict rotations by multiples of 90 degrees (Gidaris et al. 2018); needs no labels.

    Images that are not square are cropped to squares. Returns what `fit_classifier` does.
    """
    return _fit(rotation_task(), data, num_images, seed, torch.device(device), progress)


def _fit(
    task: Task, data: Dataset, num_images: int, seed: int, device: torch.device, progress: Progress | None
) -> tuple[FeatureNetwork, float | None]:
    generator = Generator().manual_seed(seed)
    rows = torch.randperm(data.count, generator=generator).numpy()
    held_out, rows = np.split(rows, [min(MAX_HELD_OUT, data.count // 20)])
    with _reproducible():
        network = _initial_network(data, task.num_outputs, generator).to(device)
        total = min(num_images, MAX_EPOCHS * len(rows))
        _train(network, _batches(task, data, rows, generator), total, progress)
        return network.requires_grad_(False), _accuracy(network, task, data, held_out)


def _train(network: FeatureNetwork, batches: Iterator[Pair], total: int, progress: Progress | None) -> None:
    """Train a network in place on `total` images, and leave it in eval mode."""
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=WEIGHT_DECAY)
    images_seen = num_batches = 0
    while images_seen < total:
        images, labels = next(batches)
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * _schedule(images_seen / total)
        optimizer.zero_grad()
        F.cross_entropy(network.logits(images), labels.to(network.head.weight.device)).backward()
        optimizer.step()
        images_seen, num_batches = images_seen + len(labels), num_batches + 1
        if progress and (num_batches % PROGRESS_EVERY == 0 or images_seen >= total):
            progress(min(images_seen, total), total)
    network.eval()


def _schedule(done: float) -> float:
    """Return the learning rate's factor after a fraction `done` of the fit: linear warm-up, then cosine decay to 0."""
    if done < WARM_UP:
        return 0.1 + 0.9 * done / WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))


def _batches(task: Task, data: Dataset, rows: np.ndarray, generator: Generator) -> Iterator[Pair]:
    """Yield training batches, epoch after epoch, without end. Raises `DataError` if an epoch has none."""
    while True:
        num_batches = 0
        shuffled = rows[torch.randperm(len(rows), generator=generator).numpy()]
        for start in range(0, max(1, len(rows) - BATCH_SIZE + 1), BATCH_SIZE):
            images, labels = task.usable(*data.sample(shuffled[start : start + BATCH_SIZE]))
            if len(labels):
                yield task.train(images, labels, generator)
                num_batches += 1
        if not num_batches:
            raise DataError("evaluate.extractor.kind", "expected images with labels to fit a classifier, got none", "use rotation")


@torch.no_grad()
def _accuracy(network: FeatureNetwork, task: Task, data: Dataset, rows: np.ndarray) -> float | None:
    """Return the accuracy on some rows' images, 0 to 1; None if none of them is usable."""
    num_right = num_tested = 0
    for start in range(0, len(rows), BATCH_SIZE):
        images, labels = task.test(*task.usable(*data.sample(rows[start : start + BATCH_SIZE])))
        num_right += int((network.logits(images).argmax(1).cpu() == labels).sum())
        num_tested += len(labels)
    return num_right / num_tested if num_tested else None


def _initial_network(data: Dataset, num_outputs: int, generator: Generator) -> FeatureNetwork:
    """Return a network for a dataset's images, with He initialisation (He et al. 2015)."""
    images, _ = data.sample(np.zeros(1, np.int64))
    with torch.random.fork_rng(devices=[]):
        network = FeatureNetwork(data.channels, num_outputs, side=min(images.shape[2:]))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
    nn.init.normal_(network.head.weight, std=0.01, generator=generator)
    nn.init.zeros_(network.head.bias)
    return network


@contextmanager
def _reproducible() -> Iterator[None]:
    """Fix, while the block runs, what floating-point sums depend on beside the hardware: threads and cuDNN's algorithms."""
    before = torch.get_num_threads()
    torch.set_num_threads(NUM_THREADS)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            yield
    finally:
        torch.set_num_threads(before)
