"""Differentiable augmentation (Zhao et al. 2020): the same for reals and fakes, by numbers that are drawn for each sample."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ganray.config import Augment, DiffAugment
from ganray.gan.schedules import value_at

NUM_UNIFORMS = 10  # numbers in (0, 1) that a sample's augmentation takes: three gates, three of colour, two each of the others
REACH = 1 / 8  # of the side, by which translation moves at most
HOLE = 1 / 2  # of the side, which cutout blanks


def augment(images: Tensor, uniforms: Tensor, policies: list[str], *, p: float) -> Tensor:
    """Return images [N, C, H, W] in [-1, 1], each policy applied to each with probability `p`, and still in that range.

    `uniforms` [N, NUM_UNIFORMS] in (0, 1) decide everything.
    """
    gates, colour, shift, hole = uniforms.to(images).split([3, 3, 2, 2], dim=1)
    for name, change in (
        ("color", lambda x: change_colour(x, colour)),
        ("translation", lambda x: translate(x, shift)),
        ("cutout", lambda x: cut_out(x, hole)),
    ):
        if name in policies:
            gate = gates[:, ("color", "translation", "cutout").index(name)].view(-1, 1, 1, 1) < p
            images = torch.where(gate, change(images), images)
    return images


def augment_as(config: Augment, images: Tensor, uniforms: Tensor | None, *, images_seen: int) -> Tensor:
    """Return what the discriminator sees of `images` under a job's `augment` section, after so many images."""
    if not isinstance(config, DiffAugment):
        return images
    return augment(images, uniforms[:, :NUM_UNIFORMS], config.policies, p=value_at(config.p, images_seen))


def change_colour(images: Tensor, uniforms: Tensor) -> Tensor:
    """Shift brightness by up to 0.5, scale saturation by 0 to 2 and contrast by 0.5 to 1.5, and cut to [-1, 1]."""
    brightness, saturation, contrast = (column.view(-1, 1, 1, 1) for column in uniforms.unbind(1))
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(grey, images, 2 * saturation)
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, contrast + 0.5).clamp(-1, 1)


def translate(images: Tensor, uniforms: Tensor) -> Tensor:
    """Move by up to an eighth of each side; what comes in from outside is 0."""
    number, _, height, width = images.shape
    down, right = (_whole(column, round(side * REACH)) for column, side in zip(uniforms.unbind(1), (height, width), strict=True))
    rows = (torch.arange(height, device=images.device) - down[:, None] + 1).clamp(0, height + 1)  # [N, H], 0 and H + 1 are padding
    columns = (torch.arange(width, device=images.device) - right[:, None] + 1).clamp(0, width + 1)  # [N, W]
    index = torch.arange(number, device=images.device)[:, None, None]
    padded = F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)  # [N, H + 2, W + 2, C]
    return padded[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(images: Tensor, uniforms: Tensor) -> Tensor:
    """Blank a rectangle of half the sides, its centre anywhere in the picture, to 0."""
    height, width = images.shape[2:]
    inside = [
        (torch.arange(side, device=images.device) + 0.5 - column[:, None] * side).abs() < side * HOLE / 2
        for column, side in zip(uniforms.unbind(1), (height, width), strict=True)
    ]
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]  # [N, 1, H, W]
    return images.masked_fill(hole, 0.0)


def _whole(uniforms: Tensor, reach: int) -> Tensor:
    """Return whole numbers from -reach to reach, each as likely as the others."""
    return (uniforms * (2 * reach + 1)).long().clamp_(0, 2 * reach) - reach
