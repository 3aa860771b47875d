"""Sources of samples: each is listed cheaply, and read as a Ray Dataset of raw rows."""

from ganray.config import CsvSource, Data, FashionMnistSource, FolderSource, LinesSource, MovingSource
from ganray.config.modalities import TableModality, VideoModality
from ganray.data.sources.fashion_mnist import list_fashion_mnist
from ganray.data.sources.folder import list_folder
from ganray.data.sources.lines import list_lines
from ganray.data.sources.moving import list_moving
from ganray.data.sources.parquet import list_parquet
from ganray.data.sources.parquet_samples import sample_column
from ganray.data.sources.rows import Listing
from ganray.data.sources.tables.csv import list_csv
from ganray.data.sources.tables.parquet import list_table
from ganray.storage import ObjectStore


def list_source(data: Data, storage: ObjectStore | None = None) -> Listing:
    """List what the source of the data has, without what lies in `storage`, the job's; reads no sample.

    Raises `DataError` if it is missing, empty or of the wrong form.
    """
    match data.source:
        case FashionMnistSource() as source:
            return list_fashion_mnist(source)
        case FolderSource() as source:
            modality = data.modality
            max_frames = modality.frames * modality.every if isinstance(modality, VideoModality) else None
            return list_folder(source, storage, kind=modality.kind, max_frames=max_frames)
        case LinesSource() as source:
            return list_lines(source, storage)
        case MovingSource() as source:
            return list_moving(source)
        case CsvSource() as source:
            assert isinstance(data.modality, TableModality)
            return list_csv(source, data.modality.holdout, storage)
        case source if isinstance(data.modality, TableModality):
            return list_table(source, data.modality.holdout, storage)
        case source:
            return list_parquet(source, storage, sample_column(data, source))
