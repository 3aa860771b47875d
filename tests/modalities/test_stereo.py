"""Stereo sounds: both channels are kept from files to spectrograms or waves and back, and mono is what it was."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from PIL import Image

from ganray.config import WaveganNetworks
from ganray.config.networks import check_shape
from ganray.gan.layouts import layout_of
from ganray.gan.networks import build_networks
from ganray.metrics.as_pixels import as_pixels, num_channels
from ganray.modalities.codec import UnreadableSample
from ganray.modalities.sound.codec import MAX_PEAK, SpectrogramCodec, WaveCodec, sound_codec_from_json
from ganray.modalities.sound.decoding import PEAK, Clip, decode, probe
from ganray.modalities.sound.files import encode_sound, read_sound, sheet, to_integers
from ganray.modalities.sound.fitting import SpectrogramFitting
from tests.modalities.test_sound import ANALYSIS, CLIP, FORMATS, file_of, strongest_frequency, tone

STEREO = replace(CLIP, channels=2)


def two(left: float = 440, right: float = 1000, *, rate: int = 8000, seconds: float = 0.512, quieter: float = 0.5) -> NDArray[np.float64]:
    """Return a tone on each side [samples, 2], the right one quieter."""
    return np.stack([tone(left, rate=rate, seconds=seconds), quieter * tone(right, rate=rate, seconds=seconds)], axis=1)


@pytest.mark.parametrize(("rate", "format", "subtype"), FORMATS)
def test_both_channels_of_any_format_and_rate_are_kept(rate: int, format: str, subtype: str | None) -> None:
    data = file_of(two(rate=rate), rate, format, subtype)
    wave = decode(data, STEREO)
    assert wave.shape == STEREO.shape == (2, 4096)
    assert (wave.dtype, wave.flags.c_contiguous) == (np.float32, True)
    assert abs(np.abs(wave).max() - PEAK) < 1e-6
    assert [abs(strongest_frequency(channel) - frequency) < 5 for channel, frequency in zip(wave, (440, 1000), strict=True)] == [True, True]
    assert abs(np.abs(wave[1]).max() / np.abs(wave[0]).max() - 0.5) < 0.08, "one loudness for both"
    assert probe(data)[::2] == (rate, 2)


def test_one_channel_is_on_both_sides_and_so_is_the_average_of_many() -> None:
    clip = replace(STEREO, trim=False, loudness="keep")
    mono = decode(file_of(tone()), clip)
    np.testing.assert_array_equal(mono[0], mono[1])
    np.testing.assert_array_equal(mono[0], decode(file_of(tone()), replace(clip, channels=1)))
    many = np.stack([tone(440), tone(880), np.zeros(3200), tone(1320)], axis=1)
    wave = decode(file_of(many), clip)
    np.testing.assert_allclose(wave, np.tile(np.pad(many.mean(1), (0, 896)), (2, 1)), atol=1e-4)


def test_silence_is_cut_where_both_channels_have_it_and_lengths_are_made_alike() -> None:
    late, early = np.concatenate([np.zeros(16_000), tone()]), np.concatenate([np.zeros(8000), tone(), np.zeros(8000)])
    wave = decode(file_of(np.stack([late, early], axis=1)), STEREO)
    assert np.abs(wave[1, :200]).max() > 0.5
    assert np.abs(wave[0]).max() == 0, "what was in time together stays so"
    short, long = (decode(file_of(two(seconds=seconds)), STEREO) for seconds in (0.1, 2.0))
    assert not short[:, 900:].any()
    assert np.abs(long[:, -1]).max() < 0.01
    assert np.abs(long[:, -200:-100]).max(1).min() > 0.3


def test_loudness_is_of_both_channels_together() -> None:
    data = file_of(two(quieter=0.1))
    peak, level, kept = (decode(data, replace(STEREO, loudness=loudness)) for loudness in ("peak", "rms", "keep"))
    for wave in (peak, level, kept):
        assert abs(np.abs(wave[1]).max() / np.abs(wave[0]).max() - 0.1) < 0.01
    assert abs(np.abs(kept).max() - 0.5) < 0.001
    one_side = decode(file_of(np.stack([np.zeros(3200), tone()], axis=1)), STEREO)
    assert (np.abs(one_side[0]).max(), round(float(np.abs(one_side[1]).max()), 3)) == (0, round(PEAK, 3))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"hello " * 100, "Format not recognised"),
        (file_of(np.zeros((0, 2))), "holds no sample"),
        (file_of(np.zeros((8000, 2))), "is silent"),
        (file_of(np.full((100, 2), np.nan), subtype="FLOAT"), "not finite"),
        (file_of(two(rate=48_000), 48_000, "MP3")[:400], "holds no whole frame"),
        (file_of(two())[:20], "Error"),
    ],
)
def test_what_is_no_sound_is_unreadable_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableSample, match=reason):
        decode(data, STEREO)


def test_a_truncated_file_gives_what_it_still_holds() -> None:
    for data in (file_of(two(rate=48_000, seconds=1.0), 48_000, "MP3"), file_of(two(seconds=1.0))):
        wave = decode(data[: len(data) // 2], Clip(8000, 8000, channels=2))
        assert 0.3 < (np.abs(wave) > 0.01).mean() < 0.7


def fitted(files: list[bytes], clip: Clip = STEREO) -> SpectrogramCodec:
    fitting = SpectrogramFitting(clip, ANALYSIS)
    return fitting.codec([fitting.observe(pa.array(files[:2])), fitting.observe(pa.array([b"none", *files[2:]]))])


def panned(number: int = 6) -> list[bytes]:
    """Return files of harmonic sounds that swell and fade, and go from the left to the right."""
    swell, files = np.sin(np.linspace(0, np.pi, 3200)), []
    for part in range(number):
        wave = swell * sum(tone((120 + 20 * part) * harmonic) / harmonic for harmonic in (1, 2, 3))
        files.append(file_of(np.stack([wave * (1 - part / 8), wave * (0.2 + part / 8)], axis=1)))
    return files


def test_spectrograms_of_both_channels_go_there_and_back() -> None:
    codec = fitted(panned())
    assert (codec.shape, codec.noun) == ((2, 32, 32), "stereo sounds of 0.512 s at 8,000 Hz")
    encoded = codec.encode_batch(pa.array([*panned(), b"none", None]))
    assert encoded.reasons == [None] * 6 + ["Format not recognised", "there is nothing to read"]
    samples = np.stack([np.frombuffer(data, np.uint8).reshape(codec.shape) for data in encoded.samples[:6] if data])
    waves = codec.waves(samples)
    assert (waves.shape, waves.dtype) == ((6, 2, 4096), np.float32)
    assert np.abs(waves).max() <= MAX_PEAK + 1e-6
    assert np.abs(codec.of_waves(waves).astype(int) - samples).mean() < 12, "as of mono"
    sides = np.square(waves, dtype=np.float64).mean(2) ** 0.5
    assert sides[0, 0] > 2 * sides[0, 1], "the first is on the left"
    assert sides[5, 1] > 1.5 * sides[5, 0], "the last on the right"


def test_a_channel_sounds_as_it_does_alone() -> None:
    codec = fitted(panned())
    mono = replace(codec, clip=CLIP)
    samples = np.random.default_rng(0).integers(0, 128, (3, *codec.shape)).astype(np.uint8)
    both = codec.waves(samples)
    for channel in range(2):
        alone = mono.waves(samples[:, channel : channel + 1])
        scale = (both[:, channel] * alone).sum(1) / np.square(alone).sum(1)  # of what turned both channels down together
        np.testing.assert_allclose(both[:, channel], alone * scale[:, None], atol=1e-6)
    np.testing.assert_array_equal(codec.waves(samples)[1], codec.waves(samples[1:2])[0])
    np.testing.assert_array_equal(codec.of_waves(both)[:, 1], mono.of_waves(both[:, 1])[:, 0])


def test_a_mono_codec_is_what_it_was() -> None:
    files = [file_of(tone(frequency)) for frequency in (200, 300, 500)]
    codec = fitted(files, CLIP)
    assert "channels" not in codec.to_json() | WaveCodec(CLIP).to_json()
    assert codec.shape == (1, 32, 32)
    assert WaveCodec(CLIP).shape == (1, 4096)
    assert codec.waves(np.zeros((2, *codec.shape), np.uint8)).shape == (2, 4096)


def test_waves_of_both_channels_keep_sixteen_bits() -> None:
    codec = WaveCodec(STEREO)
    wave = decode(panned(1)[0], STEREO)
    samples = codec.of_waves(wave[None])
    assert samples.shape == (1, 2, 4096)
    np.testing.assert_allclose(codec.waves(samples)[0], wave, atol=1 / 32767)
    encoded = codec.encode_batch(pa.array(panned(1))).samples[0]
    np.testing.assert_array_equal(np.frombuffer(encoded or b"", np.int16).reshape(codec.shape), samples[0])
    quiet, loud = np.zeros((2, 4096), np.int16), np.zeros((2, 4096), np.int16)
    loud[1] = 32767
    assert codec.are_silent(np.stack([quiet, loud])).tolist() == [True, False]
    assert codec.are_clipped(np.stack([quiet, loud])).tolist() == [False, True]


@pytest.mark.parametrize("codec", [WaveCodec(STEREO), fitted(panned())])
def test_a_codec_survives_json_and_draws_the_left_above_the_right(codec: WaveCodec | SpectrogramCodec) -> None:
    assert sound_codec_from_json(codec.to_json()) == codec
    with pytest.raises(ValueError, match="the channels of a sound is an integer of 1 to 2"):
        sound_codec_from_json({**codec.to_json(), "channels": 3})
    one, other = (codec.of_waves(decode(panned(6)[number], STEREO)[None]) for number in (0, 5))
    pixels = []
    for samples in (one, other):
        with Image.open(BytesIO(codec.preview(samples))) as image:
            assert image.mode == "L"
            pixels.append(255 - np.asarray(image, dtype=np.float64))
    middle = pixels[0].shape[0] // 2
    assert pixels[0].shape[0] > 1.5 * pixels[0].shape[1], "two spectrograms, one below the other"
    assert pixels[0][:middle].sum() > pixels[0][middle:].sum()
    assert pixels[1][:middle].sum() < pixels[1][middle:].sum()


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_written_files_hold_both_channels_and_the_comment(tmp_path: Path, format: str) -> None:
    wave, path = decode(panned(1)[0], STEREO), tmp_path / f"sound.{format}"
    path.write_bytes(encode_sound(wave, 8000, format, "a comment", "<xmp/>"))  # type: ignore[arg-type]
    samples, rate, comment = read_sound(path)
    assert (rate, comment, soundfile.info(path).channels) == (8000, "a comment", 2)
    np.testing.assert_array_equal(samples, to_integers(wave))
    np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0].T, samples)


def test_a_sheet_has_both_channels_and_silence_between_sounds() -> None:
    waves = np.stack([np.full((2, 1000), level, np.float32) for level in (0.1, 0.2)])
    waves[:, 1] *= -1
    made = sheet(waves, 8000)
    assert made.shape == (2, 2 * 1800)
    np.testing.assert_array_equal(made[:, :1000], waves[0])
    np.testing.assert_array_equal(made[:, 1800:2800], waves[1])
    assert not made[:, 1000:1800].any()


def test_networks_and_extractors_see_two_channels() -> None:
    codec = WaveCodec(Clip(8000, 1024, channels=2))
    networks = WaveganNetworks(width=4, latent_dim=8)
    check_shape(networks, codec.shape, field="x")
    generator, discriminator = build_networks(networks, codec.shape, seed=0)
    waves = generator(torch.randn(3, 8))
    assert waves.shape == (3, 2, 1024)
    assert discriminator(waves).shape == (3,)
    samples = layout_of(codec).to_samples(waves)
    assert (samples.dtype, samples.shape) == (torch.int16, (3, 2, 1024))
    pixels = as_pixels(samples)
    assert pixels.shape == (3, num_channels(codec.shape), 64, 64)
    for channel in range(2):
        torch.testing.assert_close(pixels[:, channel : channel + 1], as_pixels(samples[:, channel : channel + 1]))
