"""Spoken digits by class: what a classifier, fitted to real clips alone, hears in generated ones, and how many are silent or clipped.

Trains the job jobs/spoken-digits.yaml in this process on the official split of the Free Spoken Digit Dataset (Parquet files with `audio`
and `label`), its schedules ending with the time. Samples are written as wav files and read again, as a listener would have them. The
classifier hears mel spectrograms of its own, not those that are learned; its accuracy on the test clips is the ceiling. Distances to
the nearest training clip, against those of test clips, tell copies.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.fashion import Ganray
from ganray.config import Job, load_job
from ganray.config.modalities import SoundModality
from ganray.gan.layouts import layout_of
from ganray.metrics.feature_extractor import FeatureNetwork
from ganray.metrics.fitting import Dataset, fit_classifier
from ganray.modalities.sound.codec import SoundCodec, WaveCodec, decibels
from ganray.modalities.sound.decoding import Clip, Wave, decode
from ganray.modalities.sound.files import encode_sound, read_sound, sheet
from ganray.modalities.sound.fitting import SpectrogramFitting
from ganray.modalities.sound.spectrogram import Analysis, mel_spectrogram

REPOSITORY = Path(__file__).parents[1]
CLASSIFIER_SEED, CLASSIFIER_SOUNDS = 1234, 50_000
HEARD_HOP, HEARD_BINS = 80, 48  # of the classifier's own spectrograms
PROGRESS_EVERY = 30.0  # seconds

Labels = NDArray[np.int64]


def main() -> None:
    """Train, write the samples, and print what is heard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="Parquet file of the training clips, fsdd-train.parquet")
    parser.add_argument("--test", required=True, help="Parquet file of the test clips, fsdd-test.parquet")
    parser.add_argument("--seconds", type=float, default=600.0, help="training time")
    parser.add_argument("--per-class", type=int, default=100, help="samples of each digit that are heard")
    parser.add_argument("--out", type=Path, default=Path("spoken-digits"), help="folder for the samples")
    parser.add_argument("overrides", nargs="*", help="changes to the job, as key=value")
    arguments = parser.parse_args()
    overrides = ["workers=1", f"data.source.path={arguments.data}", *arguments.overrides]
    job = load_job(REPOSITORY / "jobs/spoken-digits.yaml", overrides)
    (files, labels), (test_files, test_labels) = read_files(arguments.data), read_files(arguments.test)
    codec = make_codec(job, files)
    waves, test_waves = (np.stack([decode(file, codec.clip) for file in some]) for some in (files, test_files))
    ganray = train(job, codec, waves, labels, seconds=arguments.seconds)
    classifier = fit_hearing(waves, labels, codec.clip)
    samples = [ganray.samples(label=label, number=arguments.per_class).numpy() for label in range(int(labels.max()) + 1)]
    heard = [write_and_read(codec, some, arguments.out, str(label)) for label, some in enumerate(samples)]
    report(classifier, codec.clip, heard, test_waves, test_labels)
    stored, trained, tested = np.concatenate(samples), codec.of_waves(waves), codec.of_waves(test_waves)
    distances = [float(np.median(nearest(some, trained))) for some in (stored, tested)]
    print(f"median distance to the nearest training clip: samples {distances[0]:.0f}, test clips {distances[1]:.0f}")
    print(f"silent {codec.are_silent(stored).mean():.2%}, clipped {codec.are_clipped(stored).mean():.2%} of {len(stored):,} samples")
    arguments.out.joinpath("samples.png").write_bytes(codec.preview(np.concatenate([some[:10] for some in samples])))


def read_files(path: str) -> tuple[list[bytes], Labels]:
    """Return the files and labels of a Parquet file."""
    table = pq.read_table(path, columns=["audio", "label"])
    return [audio["bytes"] for audio in table["audio"].to_pylist()], table["label"].to_numpy().astype(np.int64)


def make_codec(job: Job, files: list[bytes]) -> SoundCodec:
    """Return the codec that a preparation of the files would fit."""
    modality = job.data.modality
    assert isinstance(modality, SoundModality)
    clip = Clip(modality.rate, modality.samples, modality.trim, modality.loudness, modality.channels)
    if modality.representation == "wave":
        return WaveCodec(clip)
    fitting = SpectrogramFitting(clip, Analysis(modality.rate, modality.hop, modality.frames, modality.bins))
    return fitting.codec([fitting.observe(pa.array(files))])


def train(job: Job, codec: SoundCodec, waves: Wave, labels: Labels, *, seconds: float) -> Ganray:
    """Train for some seconds."""
    samples = torch.from_numpy(np.concatenate([codec.of_waves(wave[None]) for wave in waves]))
    ganray = Ganray((samples, torch.from_numpy(labels)), job, layout_of(codec))
    start = shown = time.perf_counter()
    while (now := time.perf_counter()) - start < seconds:
        ganray.step()
        ganray.set_progress(min(max(now - start, 1e-3) / seconds, 1.0))
        if now - shown > PROGRESS_EVERY:
            shown = now
            print(f"{now - start:.0f} s, {ganray.state.images_seen:,} sounds seen", flush=True)
    print(f"trained on {ganray.state.images_seen:,} sounds in {time.perf_counter() - start:.0f} s")
    return ganray


def fit_hearing(waves: Wave, labels: Labels, clip: Clip) -> FeatureNetwork:
    """Return a classifier of real clips."""
    pixels, classes = spectra(waves, clip), torch.from_numpy(labels)
    dataset = Dataset(lambda rows: (pixels[torch.from_numpy(rows)], classes[torch.from_numpy(rows)]), len(pixels), 1, mirror=False)
    return fit_classifier(dataset, int(labels.max()) + 1, num_images=CLASSIFIER_SOUNDS, seed=CLASSIFIER_SEED)[0]


def spectra(waves: Wave, clip: Clip) -> Tensor:
    """Return what the classifier hears of waves [N, samples], uint8 [N, 1, HEARD_BINS, frames]."""
    analysis = Analysis(clip.rate, HEARD_HOP, clip.samples // HEARD_HOP, HEARD_BINS)
    levels = [decibels(mel_spectrogram(wave[None].astype(np.float64), analysis)) for wave in waves]
    return torch.from_numpy((255 + np.concatenate(levels) * (255 / 70)).clip(0, 255).astype(np.uint8)[:, None])


def write_and_read(codec: SoundCodec, samples: NDArray[np.generic], out: Path, name: str) -> Wave:
    """Write samples as wav files and a sheet of some, and return the waves that the files hold, [N, samples]."""
    out.mkdir(parents=True, exist_ok=True)
    rate, waves = codec.clip.rate, codec.waves(samples)
    out.joinpath(f"{name}-sheet.wav").write_bytes(encode_sound(sheet(waves[:10], rate), rate, "wav"))
    found = []
    for index, wave in enumerate(waves):
        path = out / f"{name}-{index:03d}.wav"
        path.write_bytes(encode_sound(wave, rate, "wav"))
        found.append(read_sound(path)[0].astype(np.float32) / 32767)
    return np.stack(found)


@torch.no_grad()
def report(classifier: FeatureNetwork, clip: Clip, heard: list[Wave], test_waves: Wave, test_labels: Labels) -> None:
    """Print what the classifier recognises, digit by digit, and what the waves are like."""
    print("digit  samples  test clips")
    rates = []
    for label, waves in enumerate(heard):
        clips = (waves, test_waves[test_labels == label])
        right = [float((classifier.logits(spectra(some, clip)).argmax(1) == label).float().mean()) for some in clips]
        rates.append(right)
        print(f"{label:>5}  {right[0]:>7.1%}  {right[1]:>10.1%}", flush=True)
    samples, tests = (float(np.mean(column)) for column in zip(*rates, strict=True))
    peaks = np.concatenate([np.abs(waves).max(1) for waves in heard])
    print(f"recognised: samples {samples:.1%}, test clips {tests:.1%}; worst digit {min(rate for rate, _ in rates):.1%}")
    print(f"digits recognised at least once: {sum(rate > 0 for rate, _ in rates)} of {len(rates)}")
    print(f"peaks of the written waves: {peaks.min():.2f} to {peaks.max():.2f} of full scale")


def nearest(samples: NDArray[np.generic], others: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return the Euclidean distance of each sample to the nearest of others, as stored, [N]."""
    left, right = (torch.from_numpy(some.reshape(len(some), -1).astype(np.float32)) for some in (samples, others))
    return torch.cdist(left, right).min(1).values.numpy()


if __name__ == "__main__":
    main()
