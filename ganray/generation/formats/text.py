"""Generated texts as lines of a text file, or rows of a Parquet file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import ne
from pathlib import Path

from ganray.generation.formats.base import MAX_ROWS, Difference, Format, Reading, read_beside, read_metadata, reading, write_beside
from ganray.generation.record import KEY, Record
from ganray.modalities.codec import Codec, Samples
from ganray.modalities.text import TextCodec
from ganray.storage.files import atomic_write, open_regular

MAX_OTHER_LINES = 0.01  # share of the lines of texts, by which machines may round differently


@dataclass(frozen=True)
class TextContent:
    """Lines of text."""

    lines: list[str]

    def difference(self, other: "TextContent") -> Difference:
        """Return how many lines differ: machines may round differently where two characters are as probable."""
        if len(self.lines) != len(other.lines):
            return Difference(None, "line", is_small=False)
        number = sum(map(ne, self.lines, other.lines))
        return Difference(number, "line", is_small=number <= MAX_OTHER_LINES * len(self.lines))


def write_lines(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write a line a text in UTF-8, and the record beside the file."""
    write_beside(out, record)
    with atomic_write(out) as file:
        for chunk in chunks:
            file.write("".join(f"{line}\n" for line in _decoded(codec, chunk)).encode())


def write_text_parquet(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write rows of `index` and `text`, with the record in the schema's metadata."""
    import pyarrow as pa  # it takes a while to import
    import pyarrow.parquet as pq

    schema = pa.schema([("index", pa.int64()), ("text", pa.string())], metadata={KEY: record.to_json()})
    index = 0
    with atomic_write(out) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for chunk in chunks:
            writer.write_table(pa.table([list(range(index, index + len(chunk))), _decoded(codec, chunk)], schema=schema))
            index += len(chunk)


def read_lines(file: Path) -> tuple[TextContent, Mapping[str, str]]:
    """Return the lines of a text file, and the texts of its record by their keywords. Raises `DataError`."""
    with reading(file), open_regular(file) as opened:
        content = opened.read().decode()
    return TextContent(content.removesuffix("\n").split("\n")), read_beside(file)


def read_text_parquet(file: Path) -> tuple[TextContent, Mapping[str, str]]:
    """Return the texts in a Parquet file, and its metadata by their keywords. Raises `DataError`."""
    import pyarrow.parquet as pq

    with reading(file), open_regular(file) as opened:
        texts = pq.read_table(opened, columns=["text"])["text"].to_pylist()
    return TextContent([str(text) for text in texts]), read_metadata(file)


def written(samples: Samples, codec: Codec, *, is_one: bool) -> TextContent:
    """Return samples [N, ...] of texts as lines."""
    return TextContent(_decoded(codec, samples))


def _decoded(codec: Codec, chunk: Samples) -> list[str]:
    assert isinstance(codec, TextCodec)
    return codec.decode(chunk)


TOLERANCE = f"{MAX_OTHER_LINES:.0%} of the lines"
FORMATS: Mapping[str, Format] = {
    ".txt": Format(write_lines, Reading(read_lines, written, "line", MAX_ROWS, TOLERANCE, read_beside)),
    ".parquet": Format(write_text_parquet, Reading(read_text_parquet, written, "line", MAX_ROWS, TOLERANCE, read_metadata)),
}
