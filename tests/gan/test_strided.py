"""Strided convolutions: the fast paths equal torch's own layers, in first and second derivatives."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganray.gan.networks.dcgan import full_map_convolution
from ganray.gan.networks.strided import (
    StridedConv2d,
    StridedConvolution,
    StridedConvTranspose2d,
    TransposedConvolution,
    weight_gradient,
)

LAYERS = [(StridedConv2d, nn.Conv2d), (StridedConvTranspose2d, nn.ConvTranspose2d)]


def random_tensor(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)), requires_grad=True)


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 3), (2, 1), (2, 3)])
def test_both_directions_pass_gradient_checks_of_first_and_second_order(inputs: int, outputs: int) -> None:
    bias = random_tensor(outputs)
    for convolve, weight in (
        (StridedConvolution.apply, random_tensor(outputs, inputs, 4, 4)),
        (TransposedConvolution.apply, random_tensor(inputs, outputs, 4, 4)),
    ):
        arguments = (random_tensor(2, inputs, 4, 6), weight, bias)
        assert torch.autograd.gradcheck(convolve, arguments)
        assert torch.autograd.gradgradcheck(convolve, arguments)


def test_the_matrix_product_is_the_gradient_of_the_weight() -> None:
    large, small = (random_tensor(*shape).detach().bfloat16() for shape in ((4, 96, 8, 12), (4, 128, 4, 6)))
    product = weight_gradient(large=large, small=small)
    expected = torch.nn.grad.conv2d_weight(large.double(), (128, 96, 4, 4), small.double(), 2, 1)
    assert distance(product, expected) < 4e-3  # bfloat16 rounds to 2^-9


@pytest.mark.parametrize("channels", [(1, 8), (8, 1), (96, 128)])
@pytest.mark.parametrize(("ours", "torchs"), LAYERS)
def test_a_layer_answers_and_learns_as_torchs_own(ours: type[nn.Module], torchs: type[nn.Module], channels: tuple[int, int]) -> None:
    layer, expected = ours(*channels), torchs(*channels, 4, 2, 1)
    expected.load_state_dict(layer.state_dict())
    features = random_tensor(4, channels[0], 8, 8).detach().float()
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2)):
        for ours_now, torchs_now in zip(answers(layer, features, dtype), answers(expected, features, torch.float32), strict=True):
            assert distance(ours_now, torchs_now) < tolerance


def test_gradients_of_one_channel_keep_maps_channels_last() -> None:
    features = random_tensor(2, 8, 4, 4).detach().float().contiguous(memory_format=torch.channels_last).requires_grad_()
    StridedConvTranspose2d(8, 1)(features).sum().backward()
    assert features.grad.is_contiguous(memory_format=torch.channels_last)


def test_second_derivatives_reach_weights_in_bfloat16() -> None:
    torch.manual_seed(7)
    network = nn.Sequential(StridedConv2d(1, 96), nn.LeakyReLU(0.2), StridedConv2d(96, 128, bias=False), nn.Flatten(), nn.Linear(512, 1))
    images = random_tensor(4, 1, 8, 8).detach().float().requires_grad_()
    for dtype in (torch.float32, torch.bfloat16):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            logits = network(images)
        (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        slopes.square().sum().backward()
        if dtype == torch.float32:
            expected = [layer.weight.grad.clone() for layer in network if hasattr(layer, "weight")]
    for layer, gradient in zip((layer for layer in network if hasattr(layer, "weight")), expected, strict=True):
        assert distance(layer.weight.grad, gradient) < 3e-2


def test_a_convolution_over_the_whole_map_is_a_linear_layer() -> None:
    layer, features = nn.Conv2d(6, 1, (2, 3)), random_tensor(5, 6, 2, 3).float()
    assert torch.allclose(full_map_convolution(layer, features), layer(features).flatten(1), atol=1e-6)
    in_any_layout = features.contiguous(memory_format=torch.channels_last)
    assert torch.allclose(full_map_convolution(layer, in_any_layout), F.conv2d(features, layer.weight, layer.bias).flatten(1), atol=1e-6)


def answers(layer: nn.Module, features: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """Return a layer's output, and the gradients of its input and parameters, for an output that is pulled towards one."""
    layer.zero_grad()
    features = features.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        output = layer(features)
    (output.float() - 1).square().sum().backward()
    assert output.dtype == dtype
    return [output, features.grad, *(parameter.grad for parameter in layer.parameters())]


def distance(found: Tensor, expected: Tensor) -> float:
    found, expected = found.detach().double(), expected.detach().double()
    return float((found - expected).norm() / expected.norm())
