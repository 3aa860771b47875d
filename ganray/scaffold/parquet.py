"""A look at some of the encoded samples in Parquet files or all, evenly spread, and at the first ones for their kind."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

from ganray.data.sources.parquet import parquet_rows
from ganray.data.sources.parquet_footer import read_footers
from ganray.data.sources.parquet_samples import SampleColumn
from ganray.data.sources.rows import UNLABELLED, list_files, source_errors
from ganray.errors import ConfigError
from ganray.scaffold.columns import find_columns
from ganray.scaffold.draft import Classes
from ganray.scaffold.looked import Content, L, Looked, Progress, look_at_each, spread
from ganray.storage import ObjectStore


@source_errors()
def look_at_parquet(
    path: str, storage: ObjectStore, look: Callable[[bytes | None, str | None], L], *, most: int, progress: Progress | None
) -> Looked[L]:
    """Look at `most` of the samples of Parquet files, or all. Raises `DataError` if there are none, `ConfigError` for raw pixels."""
    files = list_files(path, storage, suffix=".parquet")
    source, notes = find_columns(files, path)
    samples = SampleColumn(source.column)
    footers = read_footers(files.store, [info.key for info in files.infos], source, samples)
    rows = parquet_rows(files.store, source, samples, footers)
    if rows.raw_shape is not None:
        raise ConfigError("PATH", f"column {source.column!r} of {path} holds raw pixels", "write a job with data.source.raw_shape")
    count = sum(group.rows for group in rows.groups)
    wanted = set(spread(count, most))
    counts: Counter[int] = Counter()

    def chosen() -> Iterator[Content]:
        place = 0
        for group in rows.groups:
            for table in rows.read(group):
                counts.update(table["label"].to_pylist())
                for offset, row in enumerate(table.select(["name", "data", "reason"]).to_pylist()):
                    if place + offset in wanted:
                        yield row["name"], row["data"], row["reason"]
                place += table.num_rows

    looks, broken = look_at_each(chosen(), look, total=len(wanted), progress=progress)
    by_class = {name: counts[number] for number, name in enumerate(rows.classes or [])}  # once all rows were read
    return Looked(source, count, Classes(by_class, counts[UNLABELLED]), 0, looks, broken, notes)


@source_errors()
def first_samples(path: str, storage: ObjectStore, most: int) -> tuple[str, list[bytes]]:
    """Return the column of the samples of Parquet files, and the first `most` samples. Raises `DataError` if there is no such column."""
    files = list_files(path, storage, suffix=".parquet")
    source, _ = find_columns(files, path)
    source = source.model_copy(update={"label_column": None})
    samples = SampleColumn(source.column)
    rows = parquet_rows(files.store, source, samples, read_footers(files.store, [files.infos[0].key], source, samples))
    if rows.raw_shape is not None:
        return source.column, []
    found = (data for group in rows.groups for table in rows.read(group) for data in table["data"].to_pylist() if data)
    return source.column, list(islice(found, most))
