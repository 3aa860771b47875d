"""Network families, one file each, built from the job's `networks` section."""

import torch
from torch import nn

from ganray.config import (
    DcganNetworks,
    MotionNetworks,
    Networks,
    R3ganNetworks,
    TableNetworks,
    TextConvNetworks,
    TextRecurrentNetworks,
    WaveganNetworks,
)
from ganray.gan.networks.dcgan import DcganDiscriminator, DcganGenerator
from ganray.gan.networks.motion import MotionDiscriminator, MotionGenerator
from ganray.gan.networks.norm import measure_standing_statistics
from ganray.gan.networks.r3gan import R3ganDiscriminator, R3ganGenerator
from ganray.gan.networks.spectral import add_spectral_norm
from ganray.gan.networks.table import TableDiscriminator, TableGenerator
from ganray.gan.networks.text_conv import TextConvDiscriminator, TextConvGenerator
from ganray.gan.networks.text_recurrent import TextRecurrentGenerator
from ganray.gan.networks.wavegan import WaveganDiscriminator, WaveganGenerator
from ganray.modalities.table.encoding import Encoding

__all__ = ["Shape", "build_generator", "build_networks", "measure_standing_statistics"]

Shape = tuple[int, ...]  # of a sample as networks see it: (C, H, W) of an image


def build_networks(
    config: Networks, shape: Shape, *, seed: int, num_classes: int = 0, spectral_norm: bool = False, encoding: Encoding | None = None
) -> tuple[nn.Module, nn.Module]:
    """Return generator and discriminator for samples of `shape`, initialised by `seed` alone.

    `num_classes` is 0 for unconditional networks; `encoding` is that of tables.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = build_generator(config, shape, num_classes, encoding)
        discriminator = _build_discriminator(config, shape, num_classes, encoding)
        if spectral_norm:
            add_spectral_norm(discriminator)
        return generator, discriminator


def build_generator(config: Networks, shape: Shape, num_classes: int, encoding: Encoding | None = None) -> nn.Module:
    """Return a generator from latents [N, latent_dim], and labels [N] if conditional, to samples [N, *shape]."""
    match config:
        case DcganNetworks():
            return DcganGenerator(config, _of_image(shape), num_classes)
        case R3ganNetworks():
            return R3ganGenerator(config, _of_image(shape), num_classes)
        case WaveganNetworks():
            return WaveganGenerator(config, _of_sequence(shape), num_classes)
        case TextConvNetworks():
            return TextConvGenerator(config, _of_sequence(shape), num_classes)
        case TextRecurrentNetworks():
            return TextRecurrentGenerator(config, _of_sequence(shape), num_classes)
        case MotionNetworks():
            return MotionGenerator(config, _of_clip(shape), num_classes)
        case TableNetworks():
            return TableGenerator(config, _of_table(encoding))


def _build_discriminator(config: Networks, shape: Shape, num_classes: int, encoding: Encoding | None) -> nn.Module:
    match config:
        case DcganNetworks():
            return DcganDiscriminator(config, _of_image(shape), num_classes)
        case R3ganNetworks():
            return R3ganDiscriminator(config, _of_image(shape), num_classes)
        case WaveganNetworks():
            return WaveganDiscriminator(config, _of_sequence(shape), num_classes)
        case TextConvNetworks():
            return TextConvDiscriminator(config, _of_sequence(shape), num_classes)
        case TextRecurrentNetworks():
            return TextConvDiscriminator(config.discriminator, _of_sequence(shape), num_classes)
        case MotionNetworks():
            return MotionDiscriminator(config, _of_clip(shape), num_classes)
        case TableNetworks():
            return TableDiscriminator(config, _of_table(encoding))


def _of_image(shape: Shape) -> tuple[int, int, int]:
    channels, height, width = shape
    return channels, height, width


def _of_sequence(shape: Shape) -> tuple[int, int]:
    channels, length = shape
    return channels, length


def _of_clip(shape: Shape) -> tuple[int, int, int, int]:
    frames, channels, height, width = shape
    return frames, channels, height, width


def _of_table(encoding: Encoding | None) -> Encoding:
    assert encoding is not None, "networks of tables are built by the encoding of their columns"
    return encoding
