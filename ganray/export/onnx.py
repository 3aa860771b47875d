"""A traced generator as ONNX, by torch's exporter, and run by ONNX Runtime: both are the extra `onnx`."""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from ganray.errors import ConfigError
from ganray.export.metadata import Metadata
from ganray.export.trace import BATCH, LABELS, LATENTS, SAMPLES, Inputs, present

NAMES = (LATENTS, LABELS)
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
MAX_BYTES = (2 << 30) - (16 << 20)  # of weights: protobuf ends at 2 GiB, graph included


def to_onnx(program: ExportedProgram, metadata: Metadata) -> tuple[bytes, Callable[[Inputs], Tensor]]:
    """Return a program as the content of an ONNX file, with its metadata, and a function that runs that content.

    Raises `ConfigError` if the packages are not installed, or the weights are too large for one file.
    """
    _check_packages()
    size = sum(tensor.nbytes for tensor in program.state_dict.values())
    if size > MAX_BYTES:
        raise ConfigError("--to", f"an ONNX file holds 2 GB, and the weights are {size / 1e9:.1f} GB", "use torch-export")
    names = NAMES[: len(program.graph_signature.user_inputs)]
    with _quiet():
        exported: Any = torch.onnx.export(
            program,
            dynamo=True,
            input_names=list(names),
            output_names=[SAMPLES],
            dynamic_shapes=tuple({0: BATCH} for _ in names),
            verbose=False,
        )
    model = exported.model_proto
    for key, text in metadata.texts().items():
        model.metadata_props.add(key=key, value=text)
    data: bytes = model.SerializeToString()
    return data, _runner(data)


def _runner(data: bytes) -> Callable[[Inputs], Tensor]:
    """Return a function that runs an ONNX model on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])

    def run(inputs: Inputs) -> Tensor:
        arrays = {name: part.numpy() for name, part in zip(NAMES, present(inputs), strict=False)}
        return torch.from_numpy(session.run([SAMPLES], arrays)[0])

    return run


def _check_packages() -> None:
    """Raise `ConfigError` if a package that the export needs is not installed."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ConfigError("--to", f"onnx needs the package {missing[0]}", "pip install 'ganray[onnx]'")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from warning of what does not concern a generator: a missing torchvision, its own deprecated calls."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
