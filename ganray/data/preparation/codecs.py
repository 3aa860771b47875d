"""The codec of a dataset: what the job says for images, and fitted to all samples, once, for kinds that depend on them."""

import pickle
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from ganray.config import Data
from ganray.config.modalities import ImageModality, SoundModality, TableModality, TextModality, VideoModality
from ganray.data.sources.rows import Rows
from ganray.modalities.codec import Codec, Fitting
from ganray.modalities.image import Target
from ganray.modalities.image_codec import ImageCodec
from ganray.modalities.sound.codec import WaveCodec
from ganray.modalities.sound.decoding import Clip
from ganray.modalities.sound.fitting import SpectrogramFitting
from ganray.modalities.sound.spectrogram import Analysis
from ganray.modalities.table.fitting import TableFitting
from ganray.modalities.text import TextFitting
from ganray.modalities.video.codec import VideoCodec
from ganray.modalities.video.decoding import ClipTarget

FIT_ROWS = 4096  # of a batch that is summarised
FIT_FILES = 32  # of such a batch of files, which are in memory together


def make_codec(data: Data, rows: Rows) -> Codec:
    """Return the codec of a source's rows, after a look at all of them where it is fitted. Raises `DataError` for another kind of data."""
    match data.modality:
        case TextModality() as text:
            return fit_codec(TextFitting(text), rows)
        case ImageModality():
            return ImageCodec(Target(data.shape, data.filter, data.background_rgb, data.bit_depth), rows.raw_shape)
        case VideoModality() as video:
            target = Target(data.shape, data.filter, data.background_rgb, data.bit_depth)
            return VideoCodec(ClipTarget(target, video.frames, video.every), rows.raw_shape)
        case SoundModality() as sound:
            return _sound_codec(sound, rows)
        case TableModality() as table:
            return fit_codec(TableFitting(table, rows.count), rows)


def _sound_codec(modality: SoundModality, rows: Rows) -> Codec:
    clip = Clip(modality.rate, modality.samples, modality.trim, modality.loudness, modality.channels)
    if modality.representation == "wave":
        return WaveCodec(clip)
    return fit_codec(SpectrogramFitting(clip, Analysis(modality.rate, modality.hop, modality.frames, modality.bins)), rows)


def fit_codec(fitting: Fitting, rows: Rows) -> Codec:
    """Return the codec that all readable rows give; they are read once, and summarised by Ray Data in batches."""
    batch_size = FIT_FILES if rows.are_files else FIT_ROWS
    summaries = rows.dataset.map_batches(partial(_observe, fitting=fitting), batch_size=batch_size, batch_format="pyarrow")
    return fitting.codec(pickle.loads(row["summary"]) for row in summaries.iter_rows())


def _observe(batch: pa.Table, fitting: Fitting) -> pa.Table:
    """Return the summary of a batch's readable rows, pickled: it never leaves the cluster."""
    data = batch.filter(pc.is_valid(batch["data"]))["data"].combine_chunks()
    return pa.table({"summary": [pickle.dumps(fitting.observe(data))]})
