"""What generated files hold, and how it is compared with what is generated again: pixels, waves or lines."""

from dataclasses import dataclass
from operator import ne
from pathlib import Path

import numpy as np

from ganray.errors import plural
from ganray.generation.formats.sound import sound_codec
from ganray.generation.formats.text import read_lines, read_text_parquet
from ganray.generation.record import KEY, Record, parse_record
from ganray.modalities.codec import Codec, Samples, UnreadableSample
from ganray.modalities.image import Pixels, pixels_of, read_png
from ganray.modalities.sound.codec import decibels
from ganray.modalities.sound.files import Integers, read_sound, sheet, to_integers
from ganray.modalities.sound.spectrogram import Analysis, mel_spectrogram
from ganray.modalities.text import TextCodec
from ganray.modalities.video.codec import animation, read_webp, stream
from ganray.modalities.video.mp4 import read_mp4
from ganray.storage.files import open_regular

MAX_GREY_LEVELS = 1  # by which machines may round differently
MAX_OTHER_LINES = 0.01  # share of the lines of texts, likewise
MAX_STEPS = 2  # of a wave in 16 bits, likewise
# Griffin-Lim enlarges a rounding: a level of one in ten places of a spectrogram, and waves differ by a third, and their spectra by this.
MAX_MEAN_DB, MAX_DB = 0.4, 12.0
SPECTRUM_HOP, SPECTRUM_BINS = 128, 32
MAX_ANIMATION_BYTES = 256 << 20
# Grey levels by which the frames of two encoders differ that were given the same, or samples that machines round differently.
MAX_MEAN_LEVELS, MAX_LEVELS = 1.5, 12


@dataclass(frozen=True)
class Difference:
    """The largest difference between two contents, None where they are of different sizes, its unit, and whether it is rounding alone."""

    largest: int | None
    unit: str
    is_small: bool

    @property
    def found(self) -> str:
        """The difference as part of a message."""
        return "another size" if self.largest is None else f"differences of up to {plural(self.largest, self.unit)}"


@dataclass(frozen=True)
class ImageContent:
    """Pixels uint8 [C, H, W], or [T, C, H, W] of an animation."""

    pixels: Pixels

    def difference(self, other: "Content") -> Difference:
        """Return how far two images are from each other."""
        if not isinstance(other, ImageContent) or self.pixels.shape != other.pixels.shape:
            return Difference(None, "grey level", is_small=False)
        largest = int(np.abs(self.pixels.astype(np.int16) - other.pixels.astype(np.int16)).max())
        return Difference(largest, "grey level", is_small=largest <= MAX_GREY_LEVELS)


@dataclass(frozen=True)
class StreamContent:
    """Frames uint8 [T, 3, H, W] of a video that was encoded with losses."""

    frames: Pixels

    def difference(self, other: "Content") -> Difference:
        """Return how far two videos are from each other: frames of one encoder are equal, those of two nearly so."""
        if not isinstance(other, StreamContent) or self.frames.shape != other.frames.shape:
            return Difference(None, "grey level", is_small=False)
        distance = np.abs(self.frames.astype(np.int16) - other.frames.astype(np.int16))
        is_small = bool(distance.mean() <= MAX_MEAN_LEVELS and distance.max() <= MAX_LEVELS)
        return Difference(int(distance.max()), "grey level", is_small)


@dataclass(frozen=True)
class SoundContent:
    """A wave int16 [n] at a rate in Hz."""

    wave: Integers
    rate: int

    def difference(self, other: "Content") -> Difference:
        """Return how far two sounds are from each other: equal waves, or spectra that only rounding tells apart."""
        if not isinstance(other, SoundContent) or (len(self.wave), self.rate) != (len(other.wave), other.rate):
            return Difference(None, "16-bit step", is_small=False)
        largest = int(np.abs(self.wave.astype(np.int32) - other.wave.astype(np.int32)).max())
        return Difference(largest, "16-bit step", is_small=largest <= MAX_STEPS or _sound_alike(self, other))


@dataclass(frozen=True)
class TextContent:
    """Lines of text."""

    lines: list[str]

    def difference(self, other: "Content") -> Difference:
        """Return how many lines differ: machines may round differently where two characters are as probable."""
        if not isinstance(other, TextContent) or len(self.lines) != len(other.lines):
            return Difference(None, "line", is_small=False)
        number = sum(map(ne, self.lines, other.lines))
        return Difference(number, "line", is_small=number <= MAX_OTHER_LINES * len(self.lines))


Content = ImageContent | StreamContent | SoundContent | TextContent
TEXT_READERS = {".txt": read_lines, ".parquet": read_text_parquet}


def is_sound_file(path: Path) -> bool:
    """Return whether a file is named as a sound that ganray writes."""
    return path.suffix.lower() in (".wav", ".flac")


def unit_of(path: Path) -> str:
    """Return what a difference between a file and its samples counts."""
    return "line" if path.suffix in TEXT_READERS else "16-bit step" if is_sound_file(path) else "grey level"


def read_content(path: Path) -> tuple[Content, Record | None]:
    """Return what a file holds, and its record. Raises `UnreadableSample`, `UnreadableImage` and, for files of texts, `DataError`."""
    if path.suffix in TEXT_READERS:
        lines, texts = TEXT_READERS[path.suffix](path)
        return TextContent(lines), parse_record(texts)
    if is_sound_file(path):
        return read_sound_content(path)
    return read_animation(path) if is_animation_file(path) else read_image(path)


def read_image(path: Path) -> tuple[Content, Record | None]:
    """Return a PNG file's pixels and its record. Raises `UnreadableImage`."""
    pixels, texts = read_png(path)
    return ImageContent(pixels), parse_record(texts)


def is_animation_file(path: Path) -> bool:
    """Return whether a file is named as an animation or a video that ganray writes and can compare."""
    return path.suffix.lower() in (".webp", ".mp4")


def read_animation(path: Path) -> tuple[Content, Record | None]:
    """Return the frames of a WebP or MP4 file and its record. Raises `UnreadableSample`."""
    try:
        with open_regular(path) as file:
            data = file.read(MAX_ANIMATION_BYTES)
    except OSError as error:
        raise UnreadableSample(" ".join(str(error).split())[:200]) from error
    frames, description = read_mp4(data) if path.suffix.lower() == ".mp4" else read_webp(data)
    content = StreamContent(frames) if path.suffix.lower() == ".mp4" else ImageContent(frames)
    return content, parse_record({KEY: description})


def animated(samples: Samples, codec: Codec, *, is_one: bool) -> Content:
    """Return clips [N, T, C, H, W] as the frames of an animation, in colour: one, or a grid of all."""
    return ImageContent(read_webp(animation(samples[:1] if is_one else samples, "WEBP"))[0])


def streamed(samples: Samples, codec: Codec, *, is_one: bool) -> Content:
    """Return clips [N, T, C, H, W] as the frames of an MP4 file: one, or a grid of all."""
    return StreamContent(read_mp4(stream(samples[:1] if is_one else samples))[0])


def read_sound_content(path: Path) -> tuple[Content, Record | None]:
    """Return a wav or flac file's wave and its record. Raises `UnreadableSample`."""
    wave, rate, comment = read_sound(path)
    return SoundContent(wave, rate), parse_record({KEY: comment})


def written(samples: Samples, codec: Codec, *, is_one: bool) -> Content:
    """Return samples [N, ...] of texts as lines, none of another kind."""
    return TextContent(codec.decode(samples) if isinstance(codec, TextCodec) else [])


def shown(samples: Samples, codec: Codec, *, is_one: bool) -> Content:
    """Return samples [N, ...] as pixels: one that is an image, or a preview of all."""
    if is_one and codec.kind == "image":
        pixels: Pixels = samples[0]
        return ImageContent(pixels)
    return ImageContent(pixels_of(codec.preview(samples)))


def sounding(samples: Samples, codec: Codec, *, is_one: bool) -> Content:
    """Return samples [N, ...] of sounds as a wave: one, or a sheet of all."""
    sounds = sound_codec(codec)
    rate, waves = sounds.clip.rate, np.concatenate([sounds.waves(sample[None]) for sample in samples])
    return SoundContent(to_integers(waves[0] if is_one else sheet(waves, rate)), rate)


def _sound_alike(left: SoundContent, right: SoundContent) -> bool:
    """Return whether two waves of one length and rate differ in their spectra by no more than Griffin-Lim makes of roundings."""
    if len(left.wave) < SPECTRUM_HOP:
        return False
    analysis = Analysis(left.rate, SPECTRUM_HOP, len(left.wave) // SPECTRUM_HOP, SPECTRUM_BINS)
    one, other = (decibels(mel_spectrogram(sound.wave[None] / 32767, analysis)) for sound in (left, right))
    distance = np.abs(one - other)
    return bool(distance.mean() <= MAX_MEAN_DB and distance.max() <= MAX_DB)
