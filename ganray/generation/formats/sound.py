"""Generated sounds as wav files in a folder, one wav or flac file of all of them, or flac in a Parquet file."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ganray.generation.record import KEY, XMP, Record
from ganray.modalities.codec import Codec, Samples
from ganray.modalities.sound.codec import SoundCodec, SpectrogramCodec, WaveCodec
from ganray.modalities.sound.decoding import Wave
from ganray.modalities.sound.files import SoundFormat, encode_sound, sheet
from ganray.storage.files import atomic_write

HUB = "huggingface"  # key of the Hub's features in a schema's metadata, as JSON


def write_sound_folder(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write a wav file a sample, named by index, each with its own record."""
    out.mkdir(parents=True, exist_ok=True)
    rate = sound_codec(codec).clip.rate
    for index, wave in enumerate(_waves(chunks, codec)):
        (out / f"{index:06d}.wav").write_bytes(encode_sound(wave, rate, "wav", record.of(index=index).to_json(), XMP))


def write_sound_sheet(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write all samples one after the other as one wav or flac file, by its suffix."""
    format: SoundFormat = "flac" if out.suffix == ".flac" else "wav"
    rate = sound_codec(codec).clip.rate
    with atomic_write(out) as file:
        file.write(encode_sound(sheet(np.stack(list(_waves(chunks, codec))), rate), rate, format, record.to_json(), XMP))


def write_sound_parquet(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write a Parquet file of `index` and `audio`, flac files in the column that the Hub plays and a source of kind parquet reads."""
    import pyarrow as pa  # takes a while to import
    import pyarrow.parquet as pq

    rate, index = sound_codec(codec).clip.rate, 0
    features = {"index": {"dtype": "int64", "_type": "Value"}, "audio": {"sampling_rate": rate, "_type": "Audio"}}
    audio = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    metadata = {HUB: json.dumps({"info": {"features": features}}), KEY: record.to_json()}
    schema = pa.schema([("index", pa.int64()), ("audio", audio)], metadata=metadata)
    with atomic_write(out) as file, pq.ParquetWriter(file, schema, compression={"index": "zstd"}) as writer:
        for chunk in chunks:
            sounds = [{"bytes": encode_sound(wave, rate, "flac"), "path": None} for wave in _waves([chunk], codec)]
            writer.write_table(pa.table([list(range(index, index + len(chunk))), sounds], schema=schema))
            index += len(chunk)


def sound_codec(codec: Codec) -> SoundCodec:
    """Return the codec of sounds that a codec is."""
    assert isinstance(codec, SpectrogramCodec | WaveCodec)
    return codec


def _waves(chunks: Iterable[Samples], codec: Codec) -> Iterator[Wave]:
    """Yield the wave of each sample."""
    return (sound_codec(codec).waves(sample[None])[0] for chunk in chunks for sample in chunk)
