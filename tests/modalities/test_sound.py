"""Sounds: decoding hostile files, spectrograms and back, and the files that are written."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from numpy.typing import NDArray

from ganray.modalities.codec import UnreadableSample
from ganray.modalities.sound.codec import MAX_PEAK, SpectrogramCodec, WaveCodec, decibels, sound_codec_from_json
from ganray.modalities.sound.decoding import PEAK, Clip, decode
from ganray.modalities.sound.files import encode_sound, read_sound, sheet, to_integers
from ganray.modalities.sound.fitting import SpectrogramFitting
from ganray.modalities.sound.formats import EXTENSIONS, starts_as_sound
from ganray.modalities.sound.spectrogram import Analysis, griffin_lim, mel_spectrogram

CLIP = Clip(rate=8000, samples=4096)
ANALYSIS = Analysis(rate=8000, hop=128, frames=32, bins=32)
FORMATS = [  # rates, containers and encodings of files
    (8000, "WAV", "PCM_U8"),
    (8000, "WAV", "PCM_16"),
    (96_000, "WAV", "PCM_24"),
    (44_100, "WAV", "FLOAT"),
    (48_000, "FLAC", None),
    (22_050, "OGG", None),
    (48_000, "MP3", None),
]


def tone(frequency: float = 440.0, *, rate: int = 8000, seconds: float = 0.4, amplitude: float = 0.5) -> NDArray[np.float64]:
    """Return a sine [samples]."""
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def file_of(wave: NDArray[np.float64], rate: int = 8000, format: str = "WAV", subtype: str | None = None) -> bytes:
    """Return a wave [samples] or [samples, channels] as a file."""
    buffer = BytesIO()
    soundfile.write(buffer, wave, rate, format=format, subtype=subtype)
    return buffer.getvalue()


def strongest_frequency(wave: NDArray[np.floating], rate: int = 8000) -> float:
    """Return the frequency of the largest peak of a wave's spectrum, in Hz."""
    return float(np.abs(np.fft.rfft(wave)).argmax() * rate / len(wave))


@pytest.mark.parametrize(("rate", "format", "subtype"), FORMATS)
def test_any_format_and_rate_is_the_same_sound(rate: int, format: str, subtype: str | None) -> None:
    wave = decode(file_of(tone(rate=rate), rate, format, subtype), CLIP)
    assert wave.shape == (4096,)
    assert wave.dtype == np.float32
    assert abs(np.abs(wave).max() - PEAK) < 1e-6
    assert abs(strongest_frequency(wave) - 440) < 5


def test_stereo_is_averaged() -> None:
    left, right = tone(440, amplitude=0.6), tone(1000, amplitude=0.2)
    wave = decode(file_of(np.stack([left, right], axis=1)), Clip(8000, 3200, trim=False, loudness="keep"))
    np.testing.assert_allclose(wave, (left + right) / 2, atol=1e-4)


def test_a_truncated_mp3_gives_what_it_still_holds() -> None:
    data = file_of(tone(rate=48_000, seconds=1.0), 48_000, "MP3")
    wave = decode(data[: len(data) // 2], Clip(8000, 8000))
    assert 0.3 < (np.abs(wave) > 0.01).mean() < 0.7


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"hello " * 100, "Format not recognised"),
        (file_of(np.zeros(0)), "holds no sample"),
        (file_of(np.zeros(8000)), "is silent"),
        (file_of(np.full(100, np.nan), subtype="FLOAT"), "not finite"),
        (file_of(tone(rate=48_000, seconds=1.0), 48_000, "MP3")[:400], "holds no whole frame"),
        (file_of(tone())[:20], "Error"),
    ],
)
def test_what_is_no_sound_is_unreadable_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableSample, match=reason):
        decode(data, CLIP)


def test_short_sounds_are_padded_and_long_ones_cut_with_a_fade() -> None:
    short, long = (decode(file_of(tone(seconds=seconds)), CLIP) for seconds in (0.1, 2.0))
    assert not short[800:].any()
    assert abs(long[-1]) < 0.01
    assert np.abs(long[-200:-100]).max() > 0.8


def test_leading_silence_is_cut_off_unless_it_is_kept() -> None:
    data = file_of(np.concatenate([np.zeros(16_000), tone()]))
    assert np.abs(decode(data, CLIP)[:200]).max() > 0.5
    with pytest.raises(UnreadableSample, match="silent"):
        decode(data, Clip(8000, 4096, trim=False))


def test_loudness_is_that_of_the_peak_of_the_level_or_kept() -> None:
    data = file_of(tone(amplitude=0.05))
    peak, level, kept = (decode(data, Clip(8000, 3000, loudness=loudness)) for loudness in ("peak", "rms", "keep"))
    assert abs(np.abs(peak).max() - PEAK) < 1e-6
    assert abs(np.sqrt((level**2).mean()) - 0.1) < 0.01
    assert abs(np.abs(kept).max() - 0.05) < 0.001


def test_a_full_sine_has_about_one_in_its_band() -> None:
    mel = mel_spectrogram(tone(1000, seconds=0.512, amplitude=1.0)[None], ANALYSIS)
    assert mel.shape == (1, 32, 32)
    assert 0.8 < mel[0, :, 16].max() < 2.0


def test_every_mel_band_hears_something_at_any_size() -> None:
    noise = np.random.default_rng(0).normal(size=(1, 16_384))
    for analysis in (ANALYSIS, Analysis(16_000, 256, 64, 128), Analysis(8000, 32, 512, 64)):
        assert (mel_spectrogram(noise[:, : analysis.samples], analysis) > 0).all()


def test_griffin_lim_finds_a_wave_of_the_spectrogram_whatever_is_beside_it() -> None:
    waves = np.stack([tone(frequency, seconds=0.512) for frequency in (300, 900)])
    mel = mel_spectrogram(waves, ANALYSIS)
    back = griffin_lim(mel, ANALYSIS, rounds=32)
    found = mel_spectrogram(back.astype(np.float64), ANALYSIS)
    assert np.linalg.norm(found - mel) < 0.1 * np.linalg.norm(mel)
    for wave, frequency in zip(back, (300, 900), strict=True):
        assert abs(strongest_frequency(wave) - frequency) < 40  # about half a band


def spoken_like(number: int = 8) -> list[bytes]:
    """Return files of harmonic sounds of several pitches that swell and fade."""
    swell = np.sin(np.linspace(0, np.pi, 3200))
    return [file_of(swell * sum(tone(pitch * part) / part for part in (1, 2, 3))) for pitch in range(120, 120 + 20 * number, 20)]


def fitted(files: list[bytes]) -> SpectrogramCodec:
    """Return the codec of files, observed in two batches."""
    fitting = SpectrogramFitting(CLIP, ANALYSIS)
    return fitting.codec([fitting.observe(pa.array(files[:3])), fitting.observe(pa.array([b"none", *files[3:]]))])


def test_a_spectrogram_codec_goes_there_and_back() -> None:
    files = spoken_like()
    codec = fitted(files)
    encoded = codec.encode_batch(pa.array([*files, b"none", None]))
    assert encoded.reasons == [None] * 8 + ["Format not recognised", "there is nothing to read"]
    samples = np.stack([np.frombuffer(data, np.uint8).reshape(codec.shape) for data in encoded.samples[:8] if data])
    assert samples.min() == 0
    assert samples.max() > 200
    waves = codec.waves(samples)
    assert waves.shape == (8, 4096)
    assert np.abs(waves).max() <= MAX_PEAK + 1e-6
    assert np.abs(waves).max(1).min() > 0.3
    again = codec.of_waves(waves)
    assert np.abs(again.astype(int) - samples).mean() < 12


def test_a_sample_sounds_the_same_alone_and_among_others() -> None:
    codec = fitted(spoken_like())
    samples = np.random.default_rng(0).integers(0, 256, (3, *codec.shape)).astype(np.uint8)
    np.testing.assert_array_equal(codec.waves(samples)[1], codec.waves(samples[1:2])[0])


def test_a_wave_codec_keeps_sixteen_bits() -> None:
    codec = WaveCodec(CLIP)
    wave = decode(spoken_like(1)[0], CLIP)
    samples = codec.of_waves(wave[None])
    assert samples.shape == (1, *codec.shape)
    assert samples.dtype == np.int16
    np.testing.assert_allclose(codec.waves(samples)[0], wave, atol=1 / 32767)


@pytest.mark.parametrize("codec", [WaveCodec(CLIP), fitted(spoken_like())])
def test_a_codec_survives_json_and_draws_a_preview(codec: WaveCodec | SpectrogramCodec) -> None:
    assert sound_codec_from_json(codec.to_json()) == codec
    samples = np.zeros((5, *codec.shape), codec.dtype)
    assert codec.preview(samples).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "change",
    [
        {"rate": 10**9},
        {"samples": -1},
        {"samples": True},
        {"bins": 10**6},
        {"hop": 0},
        {"frames": 31},
        {"low": [0.0]},
        {"high": [float("nan")] * 32},
        {"low": ["0"] * 32},
        {"loudness": "loud"},
        {"representation": "image"},
        {"trim": None},
    ],
)
def test_a_codec_from_outside_is_held_against_bounds(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"sound|level|fit"):
        sound_codec_from_json({**fitted(spoken_like()).to_json(), **change})


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_written_files_hold_the_wave_and_its_comment(tmp_path: Path, format: str) -> None:
    wave, comment = decode(spoken_like(1)[0], CLIP), '{"model": "digits", "seed": 3, "note": "Zürich"}'
    path = tmp_path / f"sound.{format}"
    path.write_bytes(encode_sound(wave, 8000, format, comment, "<xmp/>"))  # type: ignore[arg-type]
    samples, rate, found = read_sound(path)
    assert (rate, found) == (8000, comment)
    np.testing.assert_array_equal(samples, to_integers(wave))
    assert starts_as_sound(path.read_bytes()[:32])
    assert (b"_PMX" in path.read_bytes()) == (format == "wav")


def test_other_files_are_not_read_as_ours(tmp_path: Path) -> None:
    for name, data in {"three": file_of(np.zeros((10, 3))), "text": b"hello", "deep": file_of(np.zeros(10), subtype="PCM_24")}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UnreadableSample):
            read_sound(tmp_path / name)


def test_a_sheet_has_silence_between_sounds() -> None:
    assert len(sheet(np.ones((3, 1000), np.float32), 8000)) == 3 * (1000 + 800)


def test_sounds_are_known_by_extension_and_by_first_bytes() -> None:
    assert {".wav", ".flac", ".ogg", ".mp3"} <= EXTENSIONS
    for format in ("WAV", "FLAC", "OGG", "MP3", "AIFF"):
        assert starts_as_sound(file_of(tone(), format=format)[:32]), format
    assert not any(
        starts_as_sound(head) for head in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0\x00\x10JFIF", b"RIFF....WEBP", b"hello")
    )


def test_levels_have_a_floor() -> None:
    np.testing.assert_allclose(decibels(np.array([1.0, 0.1, 0.0])), [0, -20, -70])
