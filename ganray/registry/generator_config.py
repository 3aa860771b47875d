"""An artifact's `config.json`: all that a generator is beside its weights. Untrusted input: held against the rules of a job's fields,
and against the shapes in the header of the weights, before memory is taken for it.
"""

import json
import math
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StrictInt, TypeAdapter, ValidationError, model_validator
from torch import nn
from torch.overrides import TorchFunctionMode

from ganray.config import Networks
from ganray.config.compatibility import check_family
from ganray.config.networks import check_groups, check_shape
from ganray.config.renamed import modernise
from ganray.errors import printable
from ganray.gan.layouts import Layout, encoding_in, layout_of
from ganray.gan.networks import build_generator
from ganray.gan.prior import Prior
from ganray.modalities.codec import Codec
from ganray.modalities.codecs import codec_from_json

if TYPE_CHECKING:
    from ganray.data.card import DatasetCard  # needs pyarrow, which generating does without

FORMAT = 2  # of images; 1 had other names for some fields, which `modernise` reads
FORMAT_OF_OTHERS = 3  # of other kinds of samples, whose codec it holds
MAX_CONFIG_BYTES = 64 << 20
MAX_HEADER_BYTES = 16 << 20
MAX_TENSORS = 10_000  # of a generator
MAX_SIZE = 1 << 24  # of a layer, in any of its dimensions, and of a sample in all
MAX_RANK = 4  # of a sample
NO_SIZES = {"pretrain_images"}  # fields of networks that are of training

SKIPPED = {"normal_", "mul", "div", "outer"}  # functions that change no shape; `outer` is of kernels that no state holds

Shapes = Mapping[str, tuple[int, ...]]  # of tensors, by name
Weight = Annotated[FiniteFloat, Field(ge=0)]


class InvalidConfig(ValueError):
    """A `config.json` that no generator has, or that does not fit its weights. The text gives the reason and repeats no whole value."""


class GeneratorConfig(BaseModel):
    """The content of `config.json`; `shape` is that of a stored sample, (C, H, W) of an image.

    `modality` is the codec of samples that are no images, `class_shares` are class probabilities, none for an unconditional generator.
    """

    model_config = ConfigDict(frozen=True)
    format: StrictInt = Field(ge=1, le=FORMAT_OF_OTHERS)
    networks: Networks
    shape: Annotated[tuple[Annotated[StrictInt, Field(ge=1, le=MAX_SIZE)], ...], Field(min_length=1, max_length=MAX_RANK)]
    modality: dict[str, Any] | None = None
    class_shares: tuple[Weight, ...]
    classes: list[str] | None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.format == FORMAT_OF_OTHERS) != (self.modality is not None):
            raise ValueError(f"format {self.format} is not that of its kind of samples")
        if self.codec.shape != self.shape or math.prod(self.shape) > MAX_SIZE:
            raise ValueError(f"shape {self.shape} is not that of its samples")
        check_family(self.codec.kind, self.networks.kind)
        check_shape(self.networks, self.layout.shape, field="shape")
        check_groups(self.networks, field="networks.group_width")
        for name, value in vars(self.networks).items():
            if isinstance(value, int) and value > MAX_SIZE and name not in NO_SIZES:
                raise ValueError(f"networks.{name} is over {MAX_SIZE}")
        if self.classes is not None and self.class_shares and len(self.classes) != len(self.class_shares):
            raise ValueError(f"classes are {len(self.classes)}, and class_shares {len(self.class_shares)}")
        return self

    @cached_property
    def codec(self) -> Codec:
        """What the samples are. Raises `ValueError` for what is no kind of sample."""
        return codec_from_json({"kind": "image", "shape": list(self.shape)} if self.modality is None else self.modality)

    @property
    def layout(self) -> Layout:
        """How the network's outputs become samples."""
        return layout_of(self.codec)

    @property
    def prior(self) -> Prior:
        """The distribution of the generator's inputs."""
        return Prior(self.networks.latent_dim, self.class_shares)

    def network(self) -> nn.Module:
        """Return the generator, freshly initialised."""
        return build_generator(self.networks, self.layout.shape, self.prior.num_classes, encoding_in(self.layout))


def prior_of(networks: Networks, card: "DatasetCard") -> Prior:
    """Return what a generator samples from: labels as frequent as in its dataset, if it is conditional."""
    shares = tuple(count / card.count for count in card.class_counts or ()) if networks.conditional else ()
    return Prior(networks.latent_dim, shares)


def generator_config(networks: Networks, codec: Codec, prior: Prior, classes: list[str] | None) -> dict[str, Any]:
    """Return the content of an artifact's `config.json`: all that `build` needs beside the weights."""
    modality = {} if codec.kind == "image" else {"modality": codec.to_json()}
    return {
        "format": FORMAT_OF_OTHERS if modality else FORMAT,
        "networks": networks.model_dump(mode="json"),
        "shape": list(codec.shape),
        **modality,
        "num_classes": prior.num_classes,
        "class_shares": list(prior.class_shares),
        "classes": classes,
    }


def parse_config(data: bytes) -> GeneratorConfig:
    """Return a validated `config.json`. Raises `InvalidConfig`."""
    if len(data) > MAX_CONFIG_BYTES:
        raise InvalidConfig(f"config.json has {len(data)} bytes")
    try:
        content = json.loads(data)
        if isinstance(content, dict):
            content |= modernise({"networks": content.get("networks")})
        return GeneratorConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["config.json", *(str(part) for part in first["loc"])])
        raise InvalidConfig(f"{where}: {printable(first['msg'][:200])}") from None
    except (ValueError, RecursionError):
        raise InvalidConfig("config.json is not JSON") from None


def check_weights(config: GeneratorConfig, weights: bytes) -> None:
    """Raise `InvalidConfig` unless a safetensors file holds the tensors that a config asks for, by its header alone."""
    stored = read_shapes(weights)
    depth = getattr(config.networks, "depth", 1)  # of the families that have no such field, shapes bound the number of layers
    if depth > len(stored):
        raise InvalidConfig(f"config.json: networks.depth is {depth}, and the weights are {len(stored)} tensors")
    expected = expected_shapes(config)
    for name in sorted({*expected, *stored}):
        if expected.get(name) != stored.get(name):
            raise InvalidConfig(f"{name[:100]!r} is {stored.get(name)} in the weights, and {expected.get(name)} by config.json")


class ShapesOnly(TorchFunctionMode):
    """Skips what changes only values: on the meta device, torch would import its compiler for it, which takes a second."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Return the tensor that such a function is given, and the result of any other."""
        if function.__name__ in SKIPPED:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def expected_shapes(config: GeneratorConfig) -> Shapes:
    """Return the shapes of a config's tensors, of which none is allocated."""
    with torch.device("meta"), ShapesOnly():
        return {name: tuple(tensor.shape) for name, tensor in config.network().state_dict().items()}


def read_shapes(weights: bytes) -> Shapes:
    """Return the shapes in the header of a safetensors file. Raises `InvalidConfig` for one that is none, or too large."""
    size = int.from_bytes(weights[:8], "little")
    try:
        header: dict[str, Any] = json.loads(weights[8 : 8 + size]) if size <= MAX_HEADER_BYTES else {}
        header.pop("__metadata__", None)
        shapes = _SHAPES.validate_python({name: entry["shape"] for name, entry in header.items()})
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        raise InvalidConfig("the weights are not a safetensors file") from None
    if not 0 < len(shapes) <= MAX_TENSORS:
        raise InvalidConfig(f"the weights are {len(shapes)} tensors")
    return shapes


_SHAPES: TypeAdapter[Shapes] = TypeAdapter(dict[str, tuple[StrictInt, ...]])
