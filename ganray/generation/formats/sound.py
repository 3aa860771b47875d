"""Generated sounds as wav files in a folder, one wav or flac file of all of them, or flac in a Parquet file."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganray.generation.formats.base import Answer, Difference, Format, Reading, distances
from ganray.generation.formats.file_column import FileColumn
from ganray.generation.formats.image import PNG
from ganray.generation.record import KEY, XMP, Record
from ganray.modalities.codec import Codec, Samples
from ganray.modalities.sound.codec import SoundCodec, SpectrogramCodec, WaveCodec, decibels
from ganray.modalities.sound.decoding import Wave
from ganray.modalities.sound.files import Integers, SoundFormat, encode_sound, read_sound, sheet, sound_of, to_integers
from ganray.modalities.sound.spectrogram import Analysis, mel_spectrogram
from ganray.storage.files import atomic_write

HUB = "huggingface"  # key of the Hub's features in a schema's metadata, as JSON
MAX_STEPS = 2  # of a wave in 16 bits, by which machines may round differently
# Griffin-Lim enlarges a rounding: a level of one in ten places of a spectrogram, and waves differ by a third, and their spectra by this.
MAX_MEAN_DB, MAX_DB = 0.4, 12.0
SPECTRUM_HOP, SPECTRUM_BINS = 128, 32


@dataclass(frozen=True)
class SoundContent:
    """A wave int16 [n], or of stereo [2, n], at a rate in Hz."""

    wave: Integers
    rate: int

    def difference(self, other: "SoundContent") -> Difference:
        """Return how far two sounds are from each other: equal waves, or spectra that only rounding tells apart."""
        if (self.wave.shape, self.rate) != (other.wave.shape, other.rate):
            return Difference(None, "16-bit step", is_small=False)
        largest = int(distances(self.wave, other.wave).max())
        return Difference(largest, "16-bit step", is_small=largest <= MAX_STEPS or _sound_alike(self, other))


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


def as_wav(samples: Samples, record: Record, codec: Codec) -> bytes:
    """Return samples [N, ...] of sounds as a wav file: one, or a sheet of all."""
    sounds = sound_codec(codec)
    waves, rate = sounds.waves(samples), sounds.clip.rate
    return encode_sound(waves[0] if record.num is None else sheet(waves, rate), rate, "wav", record.to_json(), XMP)


def write_sound_parquet(out: Path, chunks: Iterable[Samples], record: Record, codec: Codec) -> None:
    """Write a Parquet file of `index` and `audio`, flac files in the column that the Hub plays and a source of kind parquet reads."""
    import pyarrow as pa  # takes a while to import
    import pyarrow.parquet as pq

    clip, index = sound_codec(codec).clip, 0
    rate, stereo = clip.rate, {"mono": False, "num_channels": clip.channels} if clip.channels > 1 else {}
    features = {"index": {"dtype": "int64", "_type": "Value"}, "audio": {"sampling_rate": rate, **stereo, "_type": "Audio"}}
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


def read_sound_content(path: Path) -> tuple[SoundContent, Mapping[str, str]]:
    """Return a wav or flac file's wave and its comment. Raises `UnreadableSample`."""
    wave, rate, comment = read_sound(path)
    return SoundContent(wave, rate), {KEY: comment}


def sounding(samples: Samples, codec: Codec, *, is_one: bool) -> SoundContent:
    """Return samples [N, ...] of sounds as a wave: one, or a sheet of all."""
    rate, waves = sound_codec(codec).clip.rate, np.stack(list(_waves([samples], codec)))
    return SoundContent(to_integers(waves[0] if is_one else sheet(waves, rate)), rate)


def _sound_alike(left: SoundContent, right: SoundContent) -> bool:
    """Return whether two waves of one shape and rate differ in their spectra by no more than Griffin-Lim makes of roundings."""
    length = left.wave.shape[-1]
    if length < SPECTRUM_HOP:
        return False
    analysis = Analysis(left.rate, SPECTRUM_HOP, length // SPECTRUM_HOP, SPECTRUM_BINS)
    one, other = (decibels(mel_spectrogram(sound.wave.reshape(-1, length) / 32767, analysis)) for sound in (left, right))
    distance = np.abs(one - other)
    return bool(distance.mean() <= MAX_MEAN_DB and distance.max() <= MAX_DB)


TOLERANCE = f"{MAX_STEPS} 16-bit steps, or spectra within {MAX_MEAN_DB:g} dB on average and {MAX_DB:g} dB anywhere"
READING = Reading(read_sound_content, sounding, "16-bit step", tolerance=TOLERANCE)
PARQUET = FileColumn("audio", lambda data: SoundContent(*sound_of(data)[:2]), sounding, "16-bit step", TOLERANCE)
FORMATS: Mapping[str, Format] = {
    ".png": PNG,
    ".wav": Format(write_sound_sheet, READING, is_sheet=True, answer=Answer("audio/wav", as_wav)),
    ".flac": Format(write_sound_sheet, READING, is_sheet=True),
    ".parquet": Format(write_sound_parquet, PARQUET),
    "": Format(write_sound_folder),
}
