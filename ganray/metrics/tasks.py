"""What a feature extractor is fitted to: telling classes apart, or telling how pictures were turned; and the augmentation of both."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

NUM_TURNS = 4


@dataclass(frozen=True)
class Task:
    """Makes batches to train and to test on from pictures uint8 [N, C, H, W] and the dataset's labels int64 [N]."""

    num_outputs: int
    usable: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    train: Callable[[Tensor, Tensor, Generator], tuple[Tensor, Tensor]]
    test: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def class_task(num_classes: int) -> Task:
    """Return the task of naming a picture's class."""
    return Task(
        num_classes,
        usable=lambda images, labels: (images[labels >= 0], labels[labels >= 0]),
        train=lambda images, labels, generator: (shift_and_flip(images, generator), labels),
        test=lambda images, labels: (images, labels),
    )


def rotation_task() -> Task:
    """Return the task of telling by how many quarters a picture was turned."""
    return Task(
        NUM_TURNS,
        usable=lambda images, labels: (images, labels),
        train=lambda images, _, generator: turn_each(cut_square(shift_and_flip(images, generator), generator), generator),
        test=lambda images, _: turn_all(cut_square(images)),
    )


def shift_and_flip(images: Tensor, generator: Generator) -> Tensor:
    """Return every picture moved by up to a sixteenth of its shorter side, its edges repeated, and half of them mirrored."""
    num, _, height, width = images.shape
    reach = min(height, width) // 16
    down, right = torch.randint(-reach, reach + 1, (2, num, 1), generator=generator)
    mirrored = torch.rand(num, 1, generator=generator) < 0.5
    rows = (torch.arange(height) + down).clamp_(0, height - 1)  # [N, H]
    columns = (torch.arange(width) + right).clamp_(0, width - 1)  # [N, W]
    columns = torch.where(mirrored, width - 1 - columns, columns)
    index = torch.arange(num)[:, None, None]
    return images[index, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)  # [N, H, W, C] -> [N, C, H, W]


def cut_square(images: Tensor, generator: Generator | None = None) -> Tensor:
    """Return a square of each picture's shorter side: the centre, or with a generator any one place for the whole batch."""
    height, width = images.shape[2:]
    side = min(height, width)
    spare = height + width - 2 * side  # of the longer side, pixels
    place = int(torch.randint(spare + 1, (), generator=generator)) if generator else spare // 2
    top, left = (place, 0) if height > width else (0, place)
    return images[:, :, top : top + side, left : left + side]


def turn_each(images: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return every square picture turned by some quarters, and by how many, int64 [N] in 0 to 3."""
    turns = torch.randint(NUM_TURNS, (len(images),), generator=generator)
    turned = images.clone()
    for turn in range(1, NUM_TURNS):
        turned[turns == turn] = images[turns == turn].rot90(turn, (2, 3))
    return turned, turns


def turn_all(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return every square picture turned in all four ways [4 N, C, S, S], and by how many quarters, int64 [4 N]."""
    turned = torch.cat([images.rot90(turn, (2, 3)) for turn in range(NUM_TURNS)])
    return turned, torch.arange(NUM_TURNS).repeat_interleave(len(images))
