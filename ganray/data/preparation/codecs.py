"""The codec of a dataset: what the job says for images, and fitted to all samples, once, for kinds that depend on them."""

import pickle
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from ganray.config import Data
from ganray.data.sources.rows import Rows
from ganray.modalities.codec import Codec, Fitting
from ganray.modalities.image import Target
from ganray.modalities.image_codec import ImageCodec

FIT_ROWS = 4096  # of a batch that is summarised


def make_codec(data: Data, rows: Rows) -> Codec:
    """Return the codec of a source's rows, after a look at all of them where it is fitted. Raises `DataError` for another kind of data."""
    match data.modality.kind:
        case "image":
            return ImageCodec(Target(data.shape, data.filter, data.background_rgb, data.bit_depth), rows.raw_shape)


def fit_codec(fitting: Fitting, rows: Rows) -> Codec:
    """Return the codec that all readable rows give; they are read once, and summarised by Ray Data in batches."""
    summaries = rows.dataset.map_batches(partial(_observe, fitting=fitting), batch_size=FIT_ROWS, batch_format="pyarrow")
    return fitting.codec(pickle.loads(row["summary"]) for row in summaries.iter_rows())


def _observe(batch: pa.Table, fitting: Fitting) -> pa.Table:
    """Return the summary of a batch's readable rows, pickled: it never leaves the cluster."""
    data = batch.filter(pc.is_valid(batch["data"]))["data"].combine_chunks()
    return pa.table({"summary": [pickle.dumps(fitting.observe(data))]})
