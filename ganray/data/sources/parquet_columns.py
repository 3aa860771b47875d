"""Columns of Parquet files, as many tools write them: images as bytes with the reason where there are none, classes as numbers."""

import json
import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ganray.data.sources.rows import UNLABELLED

Shape = tuple[int, ...]
LabelKind = Literal["integers", "text"]
HUB = b"huggingface"  # key of the Hub's features in a schema's metadata, as JSON
RECORD, SHAPE = b"ganray", b"shape"  # keys of ganray's own files of raw samples: the provenance record, and [channels, height, width]


class UnreadableRow(Exception):
    """A row without an image that can be used; the text gives the reason."""


def image_problem(kind: pa.DataType, *, is_raw: bool) -> str | None:
    """Return what is wrong with the type of a column of images, None for bytes, or, of raw pixels, (nested) lists of uint8."""
    kind = stored_type(kind)
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        kind = stored_type(kind.field(index).type) if index >= 0 else kind
        if pa.types.is_null(kind):
            return "holds no bytes, only paths or nothing"
    if _is_bytes(kind):
        return None
    leaf = kind
    while _is_list(leaf):
        leaf = stored_type(leaf.value_type)
    if leaf is not kind and (pa.types.is_struct(leaf) or _is_bytes(leaf)):
        return f"holds a list of images a row ({kind})"
    return None if is_raw and leaf is not kind and leaf == pa.uint8() else f"holds {kind}"


def label_kind(kind: pa.DataType) -> LabelKind | None:
    """Return what a column of classes holds, None where it holds nulls alone. Raises `TypeError` for a column of anything else."""
    kind = stored_type(kind)
    if pa.types.is_integer(kind):
        return "integers"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "text"
    if pa.types.is_null(kind):
        return None
    raise TypeError


def generated_shape(schema: pa.Schema, kind: pa.DataType) -> Shape | None:
    """Return (channels, height, width) of raw pixels of type `kind`, as the metadata of generated samples states it."""
    metadata = schema.metadata or {}
    if RECORD not in metadata or SHAPE not in metadata or not pa.types.is_fixed_size_binary(kind):
        return None
    try:
        shape = tuple(int(side) for side in json.loads(metadata[SHAPE]))
    except (ValueError, TypeError):
        return None
    return shape if len(shape) == 3 and math.prod(shape) == kind.byte_width else None


def tensor_shape(kind: pa.DataType) -> Shape | None:
    """Return the shape of each row of a column of tensors, None for another column."""
    return tuple(kind.shape) if isinstance(kind, pa.FixedShapeTensorType) else None


def has_shapes(kind: pa.DataType) -> bool:
    """Return whether each row of raw pixels has a shape: tensors, and lists of lists."""
    stored = stored_type(kind)
    return tensor_shape(kind) is not None or (_is_list(stored) and _is_list(stored_type(stored.value_type)))


def class_names(schema: pa.Schema, column: str) -> list[str] | None:
    """Return the names of the classes that a column numbers, where the schema has a `ClassLabel` of the Hub's for it."""
    try:
        feature = json.loads((schema.metadata or {})[HUB])["info"]["features"][column]
        names = feature["names"] if feature["_type"] == "ClassLabel" else None
    except (KeyError, ValueError, TypeError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def plain_classes(column: pa.ChunkedArray) -> pa.Array:
    """Return a column of classes as integers as they are, or text as string, however the file encodes them. Raises `ValueError`."""
    kind = stored_type(column.type)
    plain = column.cast(kind).cast(kind if pa.types.is_integer(kind) else pa.string()).combine_chunks()
    plain.validate(full=True)  # that text is UTF-8
    return plain


def class_numbers(values: pa.Array, numbers: Mapping[int | str, int]) -> pa.Array:
    """Return the numbers of a column's `plain_classes`, `UNLABELLED` for a null, or a value that has none."""
    encoded = values.dictionary_encode()
    found = pa.array([numbers.get(value, UNLABELLED) for value in encoded.dictionary.to_pylist()], pa.int32())
    return found.take(encoded.indices).fill_null(UNLABELLED)


def text_bytes(column: pa.Array) -> tuple[list[bytes | None], list[str | None]]:
    """Return a column of strings as UTF-8, and for a null the reason why there is none."""
    values = _plain(column).cast(pa.large_string()).cast(pa.large_binary()).to_pylist()
    return values, ["is null" if value is None else None for value in values]


def image_bytes(column: pa.Array, raw_shape: Shape | None, *, channels_first: bool) -> tuple[list[bytes | None], list[str | None]]:
    """Return a column of images as bytes, and for a row without usable ones the reason. Raw pixels have their channels last then.

    `raw_shape` is (height, width, channels); None: encoded images. `channels_first` is the order of raw pixels without a shape of
    their own, which tensors and lists of lists have.
    """
    own_shape = tensor_shape(column.type)
    column, paths = _without_struct(_plain(column))
    data: list[bytes | None] = []
    reasons: list[str | None] = []
    for index, row in enumerate(column if _is_list(column.type) else column.cast(pa.large_binary())):
        try:
            if not row.is_valid:
                raise UnreadableRow(_absence(paths, index))
            shape, value = _flat(row)
            data.append(_channels_last(value, own_shape or shape, raw_shape, channels_first=channels_first) if raw_shape else value)
            reasons.append(None)
        except UnreadableRow as error:
            data.append(None)
            reasons.append(str(error))
    return data, reasons


def _without_struct(column: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """Return the `bytes` and the `path` of the Hub's structs; another column as it is."""
    if not pa.types.is_struct(column.type):
        return column, None
    paths = pc.struct_field(column, "path") if column.type.get_field_index("path") >= 0 else None
    return _plain(pc.struct_field(column, "bytes")), paths


def _absence(paths: pa.Array | None, index: int) -> str:
    path = paths[index].as_py() if paths is not None else None
    return "there is nothing to read" if path is None else f"the file holds the path {str(path)[:100]!r} and no bytes"


def _flat(row: pa.Scalar) -> tuple[Shape | None, bytes]:
    """Return the bytes of a row, and their shape if they are in lists of lists. Raises `UnreadableRow` for lists of many lengths."""
    if not isinstance(row, pa.ListScalar):
        return None, row.as_py()
    values, shape = row.values, [len(row.values)]
    while _is_list(values.type):
        lengths = pc.list_value_length(values).unique()
        if len(lengths) > 1:
            raise UnreadableRow("has lines of different lengths")
        shape.append(lengths[0].as_py() or 0 if len(lengths) else 0)
        values = values.flatten()
    return (tuple(shape) if len(shape) > 1 else None), values.fill_null(0).to_numpy(zero_copy_only=False).tobytes()


def _channels_last(data: bytes, shape: Shape | None, raw_shape: Shape, *, channels_first: bool) -> bytes:
    """Return raw pixels with their channels last, whose own `shape` decides, if they have one. Raises `UnreadableRow` if it is another."""
    height, width, channels = raw_shape
    first = (channels, height, width)
    if shape is not None:
        last_too = shape in (raw_shape, (height, width) if channels == 1 else raw_shape)
        if not last_too and shape != first:
            raise UnreadableRow(f"is {by(shape)} instead of {by(raw_shape)}")
        channels_first = shape == first and (channels_first or not last_too)
    if not channels_first or len(data) != math.prod(raw_shape):  # of another size: for the decoder to say
        return data
    return np.frombuffer(data, np.uint8).reshape(first).transpose(1, 2, 0).tobytes()


def by(shape: Shape) -> str:
    """Return a shape as messages have it."""
    return " x ".join(str(side) for side in shape)


def _plain(column: pa.Array) -> pa.Array:
    """Return a column without extension types and dictionaries."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def stored_type(kind: pa.DataType) -> pa.DataType:
    """Return what a type is without extension types and dictionaries."""
    if isinstance(kind, pa.BaseExtensionType):
        return stored_type(kind.storage_type)
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_binary_view(kind)
    )
