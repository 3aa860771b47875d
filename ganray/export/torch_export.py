"""A traced generator as a `.pt2` file, which `torch.export.load` reads: a graph in JSON and raw weights, no pickle."""

from collections.abc import Callable
from io import BytesIO
from typing import cast

import torch
from torch import Tensor
from torch.export import ExportedProgram

from ganray.export.metadata import PREFIX, Metadata
from ganray.export.trace import Inputs, present


def to_torch_export(program: ExportedProgram, metadata: Metadata) -> tuple[bytes, Callable[[Inputs], Tensor]]:
    """Return a program as the content of a `.pt2` file, with its metadata as extra files, and a function that runs that content."""
    program.example_inputs = None  # which would be a pickle in the file
    file = BytesIO()
    torch.export.save(program, file, extra_files=metadata.texts())
    module = torch.export.load(BytesIO(file.getvalue())).module()
    return file.getvalue(), lambda inputs: cast(Tensor, module(*present(inputs)))


def read_metadata(file: BytesIO) -> dict[str, str]:
    """Return the metadata of a `.pt2` file by their keys."""
    keys = [f"{PREFIX}{name}" for name in Metadata.__dataclass_fields__]
    texts = dict.fromkeys(keys, "")
    torch.export.load(file, extra_files=texts)
    return {key: text for key, text in texts.items() if text}
