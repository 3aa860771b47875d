"""The column of a Parquet file that holds samples: encoded images, raw pixels or texts, by the kind of data."""

from dataclasses import dataclass

import pyarrow as pa

from ganray.config import Data, ParquetSource
from ganray.data.sources.parquet_columns import image_bytes, image_problem, stored_type, text_bytes

EMBED = "write the images' bytes, as the Hub's `Dataset.push_to_hub` does, or name their folder with data.source.kind=folder"


@dataclass(frozen=True)
class SampleColumn:
    """A column by its name, and what its rows are read as."""

    name: str
    is_text: bool = False

    def problem(self, kind: pa.DataType, *, is_raw: bool) -> tuple[str, str] | None:
        """Return what is wrong with the column's type, and the remedy; None where nothing is."""
        if not self.is_text:
            problem = image_problem(kind, is_raw=is_raw)
            remedy = "name a column of bytes, one image a row, or of uint8 lists together with data.source.raw_shape"
            return (problem, EMBED if "paths" in problem else remedy) if problem else None
        stored = stored_type(kind)
        if pa.types.is_string(stored) or pa.types.is_large_string(stored) or pa.types.is_string_view(stored):
            return None
        return f"holds {kind}", "name a column of strings"

    def read(
        self, column: pa.Array, raw_shape: tuple[int, ...] | None, *, channels_first: bool
    ) -> tuple[list[bytes | None], list[str | None]]:
        """Return the column's rows as bytes, and the reason for those that have none."""
        return text_bytes(column) if self.is_text else image_bytes(column, raw_shape, channels_first=channels_first)


def sample_column(data: Data, source: ParquetSource) -> SampleColumn:
    """Return the column that holds samples of the data's kind."""
    return SampleColumn(source.column, is_text=data.modality.kind == "text")
