"""Network families for images, and the sides that they can make."""

from typing import Literal

from pydantic import Field

from ganray.config.fields import FieldError, PositiveCount, Section
from ganray.config.networks.base import Conditional, LatentDim, Unnormalised

MIN_SIDE, MAX_SIDE = 16, 256  # pixels
MIN_FEATURE_SIDE = 4  # pixels: images are halved while their shorter side stays at least this long


class DcganNetworks(Section):
    """Deep convolutional GAN (Radford et al. 2016): strided convolutions and batch normalisation."""

    kind: Literal["dcgan"] = "dcgan"
    width: PositiveCount = Field(64, description="channels of the layer next to the image; doubles with each halving of the resolution")
    max_width: PositiveCount = Field(512, description="maximum of channels of a layer")
    depth: PositiveCount = Field(1, description="convolutions a resolution: 1 as in the paper, each more a 3x3 one")
    latent_dim: LatentDim = 64
    ghost_batch: PositiveCount = Field(
        32, description="samples that are normalised together (ghost batch normalisation); divides every local batch"
    )
    discriminator_norm: Literal["batch", "none"] = Field(
        "batch", description="none: what gradient penalties on single samples and spectral normalisation assume"
    )
    minibatch_std: bool = Field(
        False, description="show the discriminator how varied each group of ghost_batch samples is (Karras et al. 2018, section 3)"
    )
    conditional: Conditional = False


class R3ganNetworks(Unnormalised):
    """R3GAN (Huang et al. 2024): residual blocks of grouped convolutions, without normalisation."""

    kind: Literal["r3gan"] = "r3gan"
    width: PositiveCount = Field(192, description="channels up to 32 pixels, halved with each doubling beyond; the paper's CIFAR-10: 768")
    depth: PositiveCount = Field(2, description="residual blocks a resolution")
    expansion: PositiveCount = Field(2, description="channels inside a block, in widths")
    group_width: PositiveCount = Field(16, description="channels a group of the grouped convolutions; divides expansion * width")
    latent_dim: LatentDim = 64
    conditional: Conditional = False


def check_sides(sides: tuple[int, int], *, field: str) -> None:
    """Raise `FieldError` for a height and width in pixels of which one cannot be halved as often as the networks do."""
    multiple = max(2 ** num_halvings(*sides), MIN_FEATURE_SIDE)
    for side in sides:
        if not MIN_SIDE <= side <= MAX_SIDE or side % multiple:
            raise _side_error(side, multiple, field)


def check_groups(networks: object, *, field: str) -> None:
    """Raise `FieldError` unless the groups of R3GAN's convolutions divide their channels."""
    if isinstance(networks, R3ganNetworks) and networks.expansion * networks.width % networks.group_width:
        channels = networks.expansion * networks.width
        raise FieldError(f"{networks.group_width} does not divide {channels} = expansion * width", "use one that does", field=field)


def _side_error(side: int, multiple: int, field: str) -> FieldError:
    """Return the error for a side that cannot be halved as often as the networks do, with the nearest one that can."""
    fitting = range(-(-MIN_SIDE // multiple) * multiple, MAX_SIDE + 1, multiple)
    nearest = min(fitting, key=lambda size: abs(size - side), default=MAX_SIDE)
    problem = f"expected sides of {MIN_SIDE} to {MAX_SIDE} pixels, each a multiple of {multiple} here, got {side}"
    return FieldError(problem, f"use {nearest}", field=field)


def num_halvings(height: int, width: int) -> int:
    """Return the number of halvings from an image of a height and width in pixels to a shorter side of four to seven."""
    return (min(height, width) // MIN_FEATURE_SIDE).bit_length() - 1
