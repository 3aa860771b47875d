"""Which columns of Parquet files are encoded samples and classes, by their types and names."""

import contextlib
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from ganray.config import ParquetSource
from ganray.data.sources.parquet_columns import class_names, image_problem, label_kind
from ganray.data.sources.parquet_footer import DAMAGE, REPLACE, open_parquet, reason_of
from ganray.data.sources.rows import SourceFiles
from ganray.errors import DataError
from ganray.storage import ObjectStore

SAMPLE_NAMES = (
    "image",
    "images",
    "img",
    "photo",
    "jpg",
    "png",
    "audio",
    "sound",
    "wav",
    "video",
    "clip",
    "data",
)  # the likelier, the earlier
LABEL_NAMES = ("label", "labels", "class", "classes", "target", "category", "species", "y", "fine_label", "coarse_label")


def find_columns(files: SourceFiles, path: str) -> tuple[ParquetSource, list[str]]:
    """Return the source of Parquet files with its columns, as the first file has them, and what the user should know of the choice.

    Raises `DataError` if there is no file, or no column of encoded images, sounds or videos.
    """
    if not files.infos:
        raise DataError("PATH", f"there are no .parquet files in {path}", "name a file, or a folder or s3:// prefix that holds some")
    with open_parquet(files.store, files.infos[0].key) as parquet:
        schema = parquet.schema_arrow
    samples = _by_likelihood([field.name for field in schema if image_problem(field.type, is_raw=False) is None], SAMPLE_NAMES)
    if not samples:
        raise DataError("PATH", f"no column of {path} holds encoded samples", f"its columns: {', '.join(schema.names)[:200]}")
    labels = label_columns(schema)
    source = ParquetSource(path=path, column=samples[0], label_column=labels[0] if labels else None)
    others = [f"other columns that could be the samples: {', '.join(samples[1:])}"] if samples[1:] else []
    return source, others + ([f"other columns that could be the class: {', '.join(labels[1:])}"] if labels[1:] else [])


@contextlib.contextmanager
def opened(store: ObjectStore, key: str) -> Iterator[pq.ParquetFile]:
    """Give a Parquet file. Raises `DataError` for one that turns out to be damaged in the block."""
    try:
        with open_parquet(store, key) as parquet:
            yield parquet
    except DAMAGE as error:
        raise DataError("PATH", f"{key} is damaged ({reason_of(error)})", REPLACE) from None


def label_columns(schema: pa.Schema) -> list[str]:
    """Return the columns of classes: those that the Hub names the classes of, and those with a name that classes have."""
    fitting = [field.name for field in schema if may_be_classes(field.type)]
    named = [name for name in fitting if class_names(schema, name)]
    return named + [name for name in _by_likelihood(fitting, LABEL_NAMES) if name not in named and name.lower() in LABEL_NAMES]


def may_be_classes(kind: pa.DataType) -> bool:
    """Whether a column of a type can hold classes."""
    try:
        return label_kind(kind) is not None
    except TypeError:
        return False


def _by_likelihood(names: list[str], likely: tuple[str, ...]) -> list[str]:
    return sorted(names, key=lambda name: likely.index(name.lower()) if name.lower() in likely else len(likely))
