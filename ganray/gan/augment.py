"""Augmentation with random numbers that are a function of the sample's index: mirrored reals, and DiffAugment (Zhao et al. 2020)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ganray.config import Augment, DiffAugment
from ganray.config.schedules import value_at
from ganray.gan.random_streams import RandomStream

NUM_UNIFORMS = 10  # random numbers a sample: three gates, three of colour, two of translation, two of cutout
MAX_TRANSLATION = 1 / 8  # of the side
CUTOUT_SIDE = 1 / 2  # of the side


def augment(images: Tensor, uniforms: Tensor, policies: Sequence[str], *, p: float) -> Tensor:
    """Return images [N, C, H, W] in [-1, 1] with each policy applied to each image with probability `p`; the range stays.

    `uniforms` [N, NUM_UNIFORMS] in (0, 1) are all the randomness. The same numbers for reals and fakes augment both alike.
    """
    gates, colour, shift, hole = uniforms.to(images).split([3, 3, 2, 2], dim=1)
    operations = {"color": (change_colour, colour), "translation": (translate, shift), "cutout": (cut_out, hole)}
    for gate, (policy, (operation, numbers)) in zip(gates.unbind(1), operations.items(), strict=True):
        if policy in policies:
            images = torch.where(gate.view(-1, 1, 1, 1) < p, operation(images, numbers), images)
    return images


def apply_augment(config: Augment, images: Tensor, uniforms: Tensor | None, *, images_seen: int) -> Tensor:
    """Return images [N, C, H, W] as the job's `augment` section shows them to the discriminator at this point of its schedule."""
    if not isinstance(config, DiffAugment):
        return images
    assert uniforms is not None, "batches hold `num_uniforms` numbers a sample"
    return augment(images, uniforms[:, :NUM_UNIFORMS], config.policies, p=value_at(config.p, images_seen))


def mirror(images: Tensor, *, seed: int, attempt: int, start: int) -> Tensor:
    """Return real images [N, ..., W], the samples `start` on, half of them mirrored left to right."""
    coins = RandomStream(seed, "mirror", attempt).uniforms(start, len(images), 1)
    return torch.where(torch.from_numpy(coins < 0.5).view(-1, *[1] * (images.ndim - 1)), images.flip(-1), images)


def change_colour(images: Tensor, uniforms: Tensor) -> Tensor:
    """Shift brightness by up to 0.5, scale saturation by 0 to 2 and contrast by 0.5 to 1.5, and clamp to [-1, 1]."""
    brightness, saturation, contrast = (column.view(-1, 1, 1, 1) for column in uniforms.unbind(1))
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(grey, images, 2 * saturation)
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, contrast + 0.5).clamp(-1, 1)


def translate(images: Tensor, uniforms: Tensor) -> Tensor:
    """Translate by up to an eighth of each side, padding with zeros."""
    number, _, height, width = images.shape
    limits = (round(side * MAX_TRANSLATION) for side in (height, width))
    down, right = (_integers(column, limit) for column, limit in zip(uniforms.unbind(1), limits, strict=True))
    rows = (torch.arange(height, device=images.device) - down[:, None] + 1).clamp(0, height + 1)  # [N, H], 0 and H + 1 are padding
    columns = (torch.arange(width, device=images.device) - right[:, None] + 1).clamp(0, width + 1)  # [N, W]
    index = torch.arange(number, device=images.device)[:, None, None]
    padded = F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)  # [N, H + 2, W + 2, C]
    return padded[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(images: Tensor, uniforms: Tensor) -> Tensor:
    """Set a rectangle of half of each side to zero, its centre anywhere in the image."""
    height, width = images.shape[2:]
    inside = [
        (torch.arange(side, device=images.device) + 0.5 - column[:, None] * side).abs() < side * CUTOUT_SIDE / 2
        for column, side in zip(uniforms.unbind(1), (height, width), strict=True)
    ]
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]  # [N, 1, H, W]
    return images.masked_fill(hole, 0.0)


def _integers(uniforms: Tensor, limit: int) -> Tensor:
    """Return integers uniformly distributed over -limit to limit, [N]."""
    return (uniforms * (2 * limit + 1)).long().clamp_(0, 2 * limit) - limit
