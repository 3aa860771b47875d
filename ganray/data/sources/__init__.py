"""Sources of samples: each is listed cheaply, and read as a Ray Dataset of raw rows."""

from ganray.config import CsvSource, Data, FashionMnistSource, FolderSource, LinesSource, MovingSource, ParquetSource
from ganray.config.modalities import TableModality, VideoModality
from ganray.data.sources.fashion_mnist import list_fashion_mnist
from ganray.data.sources.folder import list_folder
from ganray.data.sources.lines import list_lines
from ganray.data.sources.moving import list_moving
from ganray.data.sources.parquet import list_parquet
from ganray.data.sources.parquet_samples import sample_column
from ganray.data.sources.rows import Listing, SourceFiles, list_files, no_files, source_errors
from ganray.data.sources.tables.csv import list_csv
from ganray.data.sources.tables.parquet import list_table
from ganray.storage import ObjectStore

SUFFIXES = {"lines": ".txt", "csv": ".csv", "parquet": ".parquet"}  # of sources whose files hold many samples each


def list_source(data: Data, storage: ObjectStore | None = None) -> Listing:
    """List what the source of the data has, without what lies in `storage`, the job's; reads no sample.

    Raises `DataError` if it is missing, empty or of the wrong form.
    """
    match data.source:
        case LinesSource() | CsvSource() | ParquetSource() as source:
            files = _find_files(source, storage)
            return _list_rows(data, source, files)
        case FashionMnistSource() as source:
            return list_fashion_mnist(source)
        case FolderSource() as source:
            modality = data.modality
            max_frames = modality.frames * modality.every if isinstance(modality, VideoModality) else None
            return list_folder(source, storage, kind=modality.kind, max_frames=max_frames)
        case MovingSource() as source:
            return list_moving(source)


@source_errors()
def _find_files(source: LinesSource | CsvSource | ParquetSource, storage: ObjectStore | None) -> SourceFiles:
    """Return the files of a source of which each holds many samples. Raises `DataError` if there are none."""
    suffix = SUFFIXES[source.kind]
    files = list_files(source.path, storage, suffix=suffix)
    if not files.infos:
        having = " with lines" if isinstance(source, LinesSource) else ""
        raise no_files(f"there are no {suffix} files{having} in {source.path}", suffix)
    return files


def _list_rows(data: Data, source: LinesSource | CsvSource | ParquetSource, files: SourceFiles) -> Listing:
    """List the lines or rows of files, as the kind of sample asks for them."""
    match source:
        case LinesSource():
            return list_lines(source, files)
        case CsvSource():
            assert isinstance(data.modality, TableModality)
            return list_csv(source, data.modality.holdout, files)
        case ParquetSource() if isinstance(data.modality, TableModality):
            return list_table(source, data.modality.holdout, files)
        case ParquetSource():
            return list_parquet(source, files, sample_column(data, source))
