"""Memory format of feature maps: channels last, the fastest for convolutions on CPUs and GPUs."""

import torch
from torch import Tensor, nn


def channels_last(images: Tensor) -> Tensor:
    """Return images [N, C, H, W] in channels-last memory format.

    With one channel both formats are the same bytes, and torch keeps the strides that mean channels first: the first
    convolution then returns channels first, and element-wise operations on mixed formats run 30 times slower.
    """
    number, channels, height, width = images.shape
    if channels == 1:
        return images.reshape(number, height, width, 1).permute(0, 3, 1, 2)
    return images.contiguous(memory_format=torch.channels_last)


def channels_last_if_maps(samples: Tensor) -> Tensor:
    """Return samples [N, C, H, W] in channels-last memory format, and those of other ranks contiguous."""
    return samples.contiguous(memory_format=torch.channels_last if samples.ndim == 4 else torch.contiguous_format)


def to_device(network: nn.Module, device: torch.device) -> None:
    """Move a network to a device, the weights of its two-dimensional convolutions in channels-last memory format."""
    if any(weight.ndim == 5 for weight in network.parameters()):  # torch would refuse to take three-dimensional ones along
        network.to(device)
    else:
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # an overload that torch does not declare
