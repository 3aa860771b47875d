"""4x4 convolutions of stride 2, and transposed ones, with faster implementations for CPUs where oneDNN's are slow.

The gradient of a large weight is one matrix product (im2col) in bfloat16, and maps of one channel are folded from patches
(col2im). Everything else is torch's own. How much it gains, layer by layer: `python -m benchmarks.strided`.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

from ganray.gan.networks.memory import channels_last

KERNEL, STRIDE, PADDING = 4, 2, 1
MAX_ONEDNN_KERNELS = 2**13  # inputs times outputs; up to here, copying the patches costs more than the product saves

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]  # of features, weight and bias


class StridedConv2d(nn.Conv2d):
    """Maps [N, inputs, H, W] to [N, outputs, H / 2, W / 2]."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, KERNEL, STRIDE, PADDING, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of [N, inputs, H, W]."""
        if _has_fast_path(self, input, folds=self.in_channels == 1 and input.requires_grad):
            convolved: Tensor = StridedConvolution.apply(*_autocast(input, self.weight, self.bias))  # type: ignore[no-untyped-call]
            return convolved
        return super().forward(input)


class StridedConvTranspose2d(nn.ConvTranspose2d):
    """Maps [N, inputs, H, W] to [N, outputs, 2 H, 2 W]."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, KERNEL, STRIDE, PADDING, bias=bias)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return the transposed convolution of [N, inputs, H, W]."""
        if _has_fast_path(self, input, folds=self.out_channels == 1):
            convolved: Tensor = TransposedConvolution.apply(*_autocast(input, self.weight, self.bias))  # type: ignore[no-untyped-call]
            return convolved
        return super().forward(input, output_size)


class StridedConvolution(torch.autograd.Function):
    """Convolution of features [N, I, H, W] with a weight [O, I, 4, 4] and a bias [O]; differentiable any number of times."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return [N, O, H / 2, W / 2]."""
        ctx.save_for_backward(features, weight)
        return F.conv2d(features, weight, bias, STRIDE, PADDING)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        """Return the gradients that are needed."""
        features, weight = ctx.saved_tensors
        needs_features, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            transposed_convolution(gradient, weight) if needs_features else None,
            weight_gradient(large=features, small=gradient) if needs_weight else None,
            gradient.sum((0, 2, 3)) if needs_bias else None,
        )


class TransposedConvolution(torch.autograd.Function):
    """Transposed convolution of features [N, I, H, W], weight [I, O, 4, 4], bias [O]; differentiable any number of times."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return [N, O, 2 H, 2 W]."""
        ctx.save_for_backward(features, weight)
        return transposed_convolution(features, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        """Return the gradients that are needed."""
        features, weight = ctx.saved_tensors
        gradient = channels_last(gradient)
        needs_features, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            F.conv2d(gradient, weight, None, STRIDE, PADDING) if needs_features else None,
            weight_gradient(large=gradient, small=features) if needs_weight else None,
            gradient.sum((0, 2, 3)) if needs_bias else None,
        )


def transposed_convolution(small: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the transposed convolution [N, L, 2 h, 2 w] of a map [N, S, h, w] with a weight [S, L, 4, 4]; by col2im for L = 1."""
    if weight.shape[1] > 1:
        return F.conv_transpose2d(small, weight, bias, STRIDE, PADDING)
    patches = small.permute(0, 2, 3, 1).flatten(1, 2) @ weight.flatten(1)  # [N, h w, 16]
    precise = patches.mT.to(torch.promote_types(patches.dtype, torch.float32))
    height, width = small.shape[2:]
    large = F.fold(precise, (STRIDE * height, STRIDE * width), KERNEL, stride=STRIDE, padding=PADDING).to(small.dtype)
    return large if bias is None else large + bias


def weight_gradient(*, large: Tensor, small: Tensor) -> Tensor:
    """Return the gradient [S, L, 4, 4] of the weight between maps [N, L, 2 h, 2 w] and [N, S, h, w], whichever is the input.

    It is the sum over all positions of the small map of the outer product with the 4x4 patch there: a matrix product (im2col).
    """
    outer, inner = small.shape[1], large.shape[1]
    if not _uses_product(small.dtype, outer * inner):
        gradient: Tensor = conv2d_weight(large, (outer, inner, KERNEL, KERNEL), small, STRIDE, PADDING)
        return gradient
    padded = F.pad(large.permute(0, 2, 3, 1), (0, 0, PADDING, PADDING, PADDING, PADDING))  # [N, 2 h + 2, 2 w + 2, L]
    patches = padded.unfold(1, KERNEL, STRIDE).unfold(2, KERNEL, STRIDE)  # [N, h, w, L, 4, 4]
    patches = patches.permute(0, 1, 2, 4, 5, 3).flatten(3).flatten(0, 2)  # [N h w, 16 L], copied
    values = small.permute(0, 2, 3, 1).flatten(0, 2)  # [N h w, S]
    product = (values.T @ patches).view(outer, KERNEL, KERNEL, inner)
    return product.permute(0, 3, 1, 2)


def _uses_product(dtype: torch.dtype, kernels: int) -> bool:
    """Return whether the weight's gradient is a matrix product, for a layer of `kernels` 4x4 kernels."""
    return dtype == torch.bfloat16 and kernels > MAX_ONEDNN_KERNELS


def _has_fast_path(layer: nn.Conv2d | nn.ConvTranspose2d, features: Tensor, *, folds: bool) -> bool:
    if features.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return folds or _uses_product(_dtype(features), layer.in_channels * layer.out_channels)


def _dtype(features: Tensor) -> torch.dtype:
    """Return the dtype of a convolution, which autocast decides."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else features.dtype


def _autocast(features: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Cast the arguments of a convolution as autocast would."""
    dtype = _dtype(features)
    return features.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
