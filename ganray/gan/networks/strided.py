"""Convolutions 4x4 of stride 2, down and up, with faster ways on CPUs where oneDNN's are slow.

The gradient of many weights is one matrix product in bfloat16, where oneDNN's own kernel for it is slower; and maps of one
channel are put together from the patches that their places are worth. All else is torch's own. How much it gains:
`python -m benchmarks.strided`, layer by layer.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from ganray.gan.networks.memory import channels_last

KERNEL, STRIDE, PADDING = 4, 2, 1
MAX_KERNELS_OF_ONEDNN = 2**13  # inputs times outputs; up to so many, copying patches for the product takes longer than it saves

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]  # of features, weight and bias


class StridedConv2d(nn.Conv2d):
    """Maps [N, inputs, H, W] to [N, outputs, H / 2, W / 2]."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, KERNEL, STRIDE, PADDING, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        if _has_faster_way(self, features, folds=self.in_channels == 1 and features.requires_grad):
            return Down.apply(*_cast(features, self.weight, self.bias))
        return super().forward(features)


class StridedConvTranspose2d(nn.ConvTranspose2d):
    """Maps [N, inputs, H, W] to [N, outputs, 2 H, 2 W]."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, KERNEL, STRIDE, PADDING, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        if _has_faster_way(self, features, folds=self.out_channels == 1):
            return Up.apply(*_cast(features, self.weight, self.bias))
        return super().forward(features)


class Down(torch.autograd.Function):
    """Convolves features [N, I, H, W] with a weight [O, I, 4, 4] and adds a bias [O]; differentiable as often as wanted."""

    @staticmethod
    def forward(ctx: FunctionCtx, features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(features, weight)
        return F.conv2d(features, weight, bias, STRIDE, PADDING)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Gradients:
        features, weight = ctx.saved_tensors
        of_features, of_weight, of_bias = ctx.needs_input_grad
        return (
            scatter(gradient, weight) if of_features else None,
            weight_gradient(large=features, small=gradient) if of_weight else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
        )


class Up(torch.autograd.Function):
    """Convolves features [N, I, H, W] with a weight [I, O, 4, 4], transposed, and adds a bias [O]; differentiable as often as wanted."""

    @staticmethod
    def forward(ctx: FunctionCtx, features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(features, weight)
        return scatter(features, weight, bias)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Gradients:
        features, weight = ctx.saved_tensors
        gradient = channels_last(gradient)
        of_features, of_weight, of_bias = ctx.needs_input_grad
        return (
            F.conv2d(gradient, weight, None, STRIDE, PADDING) if of_features else None,
            weight_gradient(large=gradient, small=features) if of_weight else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
        )


def scatter(small: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the sum [N, L, 2 h, 2 w] of the 4x4 patches that a map [N, S, h, w] is worth by a weight [S, L, 4, 4], and a bias."""
    if weight.shape[1] > 1:
        return F.conv_transpose2d(small, weight, bias, STRIDE, PADDING)
    patches = small.permute(0, 2, 3, 1).flatten(1, 2) @ weight.flatten(1)  # [N, h w, 16]
    precise = patches.mT.to(torch.promote_types(patches.dtype, torch.float32))
    large = F.fold(precise, [STRIDE * side for side in small.shape[2:]], KERNEL, stride=STRIDE, padding=PADDING).to(small.dtype)
    return large if bias is None else large + bias


def weight_gradient(*, large: Tensor, small: Tensor) -> Tensor:
    """Return the gradient [S, L, 4, 4] of the weight between maps [N, L, 2 h, 2 w] and [N, S, h, w], whichever is the input.

    It sums, over all places of the small map, the outer product of what is there with the 4x4 patch that it is tied to.
    """
    outer, inner = small.shape[1], large.shape[1]
    if not _multiplies(small.dtype, outer * inner):
        return torch.nn.grad.conv2d_weight(large, (outer, inner, KERNEL, KERNEL), small, STRIDE, PADDING)
    padded = F.pad(large.permute(0, 2, 3, 1), (0, 0, PADDING, PADDING, PADDING, PADDING))  # [N, 2 h + 2, 2 w + 2, L]
    patches = padded.unfold(1, KERNEL, STRIDE).unfold(2, KERNEL, STRIDE)  # [N, h, w, L, 4, 4]
    patches = patches.permute(0, 1, 2, 4, 5, 3).flatten(3).flatten(0, 2)  # [N h w, 16 L], copied
    values = small.permute(0, 2, 3, 1).flatten(0, 2)  # [N h w, S]
    return (values.T @ patches).unflatten(1, (KERNEL, KERNEL, -1)).permute(0, 3, 1, 2)


def _multiplies(dtype: torch.dtype, kernels: int) -> bool:
    """Whether the weight's gradient is a matrix product, where a layer has so many 4x4 kernels."""
    return dtype == torch.bfloat16 and kernels > MAX_KERNELS_OF_ONEDNN


def _has_faster_way(layer: nn.Conv2d | nn.ConvTranspose2d, features: Tensor, *, folds: bool) -> bool:
    if features.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return folds or _multiplies(_dtype(features), layer.in_channels * layer.out_channels)


def _dtype(features: Tensor) -> torch.dtype:
    """Return what a convolution computes in, which autocast decides."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else features.dtype


def _cast(features: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Cast what a convolution takes as autocast would."""
    dtype = _dtype(features)
    return features.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
