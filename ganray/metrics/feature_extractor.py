"""The feature extractor that scores compare samples by: a small convolutional network and its file format.

It takes uint8 pixels, so that a generator is scored on what it would be saved as. Inception features come with no package and
are fitted to photographs; a network of the data's own domain ranks noise, blur and missing classes better there.
"""

import hashlib
import json
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn

from ganray.errors import DataError
from ganray.metrics.as_pixels import as_pixels

FORMAT = 1  # raised whenever the same weights would give other features
BASE_SIDE = 32  # pixels: for each doubling of the shorter side beyond it, the network has one more layer of stride 2


class FeatureNetwork(nn.Module):
    """Maps images uint8 [N, channels, H, W], of 16 pixels a side or more, to features [N, num_features].

    `side` is the shorter side, in pixels, of the images that it is made for; it takes others, too.
    """

    def __init__(self, channels: int, num_outputs: int, *, side: int = BASE_SIDE, num_features: int = 128) -> None:
        super().__init__()
        self.channels, self.num_outputs, self.side, self.num_features = channels, num_outputs, side, num_features
        extra_halvings = max(0, (side // BASE_SIDE).bit_length() - 1)
        self.body = nn.Sequential(
            *_layer(channels, 32, stride=2),
            *(module for _ in range(extra_halvings) for module in _layer(32, 32, stride=2)),
            *_layer(32, 64, stride=2),
            *_layer(64, 64),
            *_layer(64, 128, stride=2),
            *_layer(128, num_features, groups=2),
        )
        self.head = nn.Linear(num_features, num_outputs)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's annotations

    def features(self, images: Tensor) -> Tensor:
        """Return features float32 [N, num_features] of images uint8 [N, C, H, W], or of waves int16 [N, 1, samples]."""
        pixels = as_pixels(images.to(self.head.weight.device)).contiguous(memory_format=torch.channels_last)
        maps: Tensor = self.body(pixels.float().div_(127.5).sub_(1))  # [N, num_features, h, w]
        return maps.mean(dim=(2, 3))

    def logits(self, images: Tensor) -> Tensor:
        """Return logits float32 [N, num_outputs] of images uint8 [N, C, H, W], on the network's device."""
        logits: Tensor = self.head(self.features(images))
        return logits


def save(network: FeatureNetwork, fit: dict[str, Any]) -> bytes:
    """Return an extractor as the bytes of a safetensors file, with its fit's settings and results, JSON data, as metadata."""
    shape = {"channels": network.channels, "num_outputs": network.num_outputs, "side": network.side, "num_features": network.num_features}
    metadata = {"format": FORMAT, "network": shape, "fit": fit}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return safetensors.save(tensors, {"ganray": json.dumps(metadata, sort_keys=True)})


def load_extractor(data: bytes) -> FeatureNetwork:
    """Return the extractor in a file's bytes, in eval mode and without gradients. Raises `DataError` for other bytes."""
    try:
        with torch.random.fork_rng(devices=[]):
            network = FeatureNetwork(**_metadata(data)["network"])
        network.load_state_dict(safetensors.load(data))
    except (SafetensorError, TypeError, RuntimeError) as error:
        raise _no_extractor(str(error).splitlines()[0]) from error
    return network.eval().requires_grad_(False)


def facts(data: bytes) -> dict[str, Any]:
    """Return the fit's settings and results that `save` stored. Raises `DataError` for bytes that are not an extractor's file."""
    fit: dict[str, Any] = _metadata(data)["fit"]
    return fit


def extractor_hash(data: bytes) -> str:
    """Return an extractor's identity in a protocol: 16 hexadecimal digits of the SHA-256 of its tensors, in order of names."""
    digest = hashlib.sha256(f"ganray extractor {FORMAT}".encode())
    for name, tensor in sorted(load_extractor(data).state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _layer(channels: int, width: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, width, 3, stride, padding=1, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]


def _metadata(data: bytes) -> dict[str, Any]:
    """Return the metadata that `save` wrote: a safetensors file starts with its header's length (8 bytes) and the header, JSON."""
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata: dict[str, Any] = json.loads(header["__metadata__"]["ganray"])
    except (ValueError, KeyError, TypeError) as error:
        raise _no_extractor("its header does not describe a network") from error
    if metadata.get("format") != FORMAT:
        raise _no_extractor(f"expected format {FORMAT}, got {metadata.get('format')}")
    return metadata


def _no_extractor(problem: str) -> DataError:
    return DataError("evaluate.extractor.weights", f"not an extractor's file: {problem}", "make one with `ganray fit-extractor`")
