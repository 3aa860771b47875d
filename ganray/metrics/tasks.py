"""Pretext tasks of a feature extractor: classification, or rotation prediction; and the augmentation of both."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

NUM_ROTATIONS = 4


@dataclass(frozen=True)
class Task:
    """Makes batches to train and to test on from images uint8 [N, C, H, W] and the dataset's labels int64 [N]."""

    num_outputs: int
    usable: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    train: Callable[[Tensor, Tensor, Generator], tuple[Tensor, Tensor]]
    test: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def class_task(num_classes: int, *, mirror: bool = True) -> Task:
    """Return the task of classifying images, shown mirrored half of the time unless that makes no sense of them."""
    augment = shift_and_flip if mirror else shift
    return Task(
        num_classes,
        usable=lambda images, labels: (images[labels >= 0], labels[labels >= 0]),
        train=lambda images, labels, generator: (augment(images, generator), labels),
        test=lambda images, labels: (images, labels),
    )


def rotation_task() -> Task:
    """Return the task of predicting rotations by multiples of 90 degrees (Gidaris et al. 2018)."""
    return Task(
        NUM_ROTATIONS,
        usable=lambda images, labels: (images, labels),
        train=lambda images, _, generator: rotate_each(crop_square(shift_and_flip(images, generator), generator), generator),
        test=lambda images, _: rotate_all(crop_square(images)),
    )


def shift_and_flip(images: Tensor, generator: Generator) -> Tensor:
    """Return every image shifted by up to 1/16 of its shorter side, its edges repeated, and half of them flipped horizontally."""
    rows, columns = _shifted(images, generator)
    mirrored = torch.rand(len(images), 1, generator=generator) < 0.5
    return _pick(images, rows, torch.where(mirrored, images.shape[3] - 1 - columns, columns))


def shift(images: Tensor, generator: Generator) -> Tensor:
    """Return every image shifted by up to 1/16 of its shorter side, its edges repeated."""
    return _pick(images, *_shifted(images, generator))


def _shifted(images: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return the rows [N, H] and columns [N, W] that images [N, C, H, W] have once they are shifted at random."""
    num, _, height, width = images.shape
    reach = min(height, width) // 16
    down, right = torch.randint(-reach, reach + 1, (2, num, 1), generator=generator)
    return (torch.arange(height) + down).clamp_(0, height - 1), (torch.arange(width) + right).clamp_(0, width - 1)


def _pick(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return images [N, C, H, W] made of some of their own rows [N, H] and columns [N, W]."""
    index = torch.arange(len(images))[:, None, None]
    return images[index, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)  # [N, H, W, C] -> [N, C, H, W]


def crop_square(images: Tensor, generator: Generator | None = None) -> Tensor:
    """Return square crops of the images' shorter side: of the centre, or with a generator at one random position for the batch."""
    height, width = images.shape[2:]
    side = min(height, width)
    spare = height + width - 2 * side  # of the longer side, pixels
    place = int(torch.randint(spare + 1, (), generator=generator)) if generator else spare // 2
    top, left = (place, 0) if height > width else (0, place)
    return images[:, :, top : top + side, left : left + side]


def rotate_each(images: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return every square image rotated by a random multiple of 90 degrees, and the multiples, int64 [N] in 0 to 3."""
    multiples = torch.randint(NUM_ROTATIONS, (len(images),), generator=generator)
    rotated = images.clone()
    for multiple in range(1, NUM_ROTATIONS):
        rotated[multiples == multiple] = images[multiples == multiple].rot90(multiple, (2, 3))
    return rotated, multiples


def rotate_all(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return every square image in all four rotations [4 N, C, S, S], and their multiples of 90 degrees, int64 [4 N]."""
    rotated = torch.cat([images.rot90(multiple, (2, 3)) for multiple in range(NUM_ROTATIONS)])
    return rotated, torch.arange(NUM_ROTATIONS).repeat_interleave(len(images))
