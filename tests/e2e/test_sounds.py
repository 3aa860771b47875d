"""Sounds from files to published, traceable wav files, as spectrograms and as waves; and a run of waves that goes on bit by bit."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from ganray.modalities.sound.files import read_sound
from tests.helpers.commands import ganray_here, succeed, succeed_here

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("ray_address")]

JOB = "jobs/spoken-digits.yaml"
BRIEF = ["networks.width=8", "networks.latent_dim=8", "networks.ghost_batch=16", "train.precision=float32", "train.batch_size=32"]
BRIEF += ["train.log_every=64", "train.samples_every=128", "train.max_seconds=null", "resources.cpus_per_worker=0.5", "workers=2"]
SOUND = "data.modality={kind: sound, rate: 8000, seconds: 0.25, bins: 16, frames: 16}"
WAVE = "data.modality={kind: sound, rate: 8000, seconds: 0.05, representation: wave}"
WAVEGAN = ["networks={kind: wavegan, width: 4, latent_dim: 8, conditional: true}", "penalties={wgan_gp: 10.0}", "loss=wasserstein"]
STEADY = [f"optimizer.{network}={{lr: 1e-3, beta1: 0.5}}" for network in ("generator", "discriminator")]
FORMATS = [("wav", "PCM_16", 8000), ("wav", "PCM_U8", 11_025), ("flac", None, 48_000), ("ogg", None, 22_050), ("mp3", None, 32_000)]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of low and high tones in many formats, with one broken file."""
    folder = tmp_path_factory.mktemp("sounds")
    for number in range(80):
        pitch, (suffix, subtype, rate) = ("low", "high")[number % 2], FORMATS[number % len(FORMATS)]
        frequency = {"low": 150, "high": 900}[pitch] * (1 + number / 200)
        data, time = BytesIO(), np.arange(rate * 2 // 5) / rate
        soundfile.write(data, 0.5 * np.sin(2 * np.pi * frequency * time), rate, format=suffix.upper(), subtype=subtype)
        path = folder / pitch / f"{number:02d}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data.getvalue())
    (folder / "low/broken.mp3").write_bytes(b"no sound at all")
    return folder


def source(sounds: Path) -> list[str]:
    """Return the overrides that name a folder as the source."""
    return [f"data.source={{kind: folder, path: {sounds}}}", "data.max_bad_fraction=0.1"]


def test_sounds_are_learned_published_written_and_traced(sounds: Path, tmp_path: Path) -> None:
    store, out = tmp_path / "store", tmp_path / "out"
    evaluate = "evaluate={every: 128, num_samples: 256, extractor: {kind: classifier, fit_images: 500}}"
    job = [JOB, *source(sounds), SOUND, *BRIEF, evaluate, "train.total_images=128", f"storage={store}"]
    printed = json.loads(succeed_here("train", *job, "--json"))
    scores, version = printed["scores"], store / "models/spoken-digits/0001"
    assert printed["version"] == str(version)
    assert {"metric/frechet", "metric/conditional_accuracy", "metric/silent", "metric/clipped"} <= scores.keys()
    assert (version / "samples.wav").exists()
    assert [path.suffix for path in sorted((store / "runs/spoken-digits/samples").iterdir())] == [".png", ".wav"]
    succeed_here("generate", str(version), "--num", "3", "--out", str(out), "--class", "high", "--local")
    samples, rate, _ = read_sound(out / "000001.wav")
    assert (len(samples), rate) == (2000, 8000)
    assert "0 16-bit steps" in succeed("provenance", str(out / "000001.wav"), "--storage", str(store))
    (out / "000001.wav").write_bytes((out / "000001.wav").read_bytes().replace(b'"index":1', b'"index":2'))
    assert "is not the sample in its record" in ganray_here("provenance", str(out / "000001.wav"), "--storage", str(store)).stderr
    succeed_here("generate", str(version), "--num", "3", "--out", str(tmp_path / "sheet.flac"), "--local")
    assert "samples 0 to 2" in succeed_here("provenance", str(tmp_path / "sheet.flac"), "--storage", str(store))
    succeed_here("generate", str(version), "--num", "3", "--out", str(tmp_path / "sounds.parquet"), "--local")
    audio = pq.read_table(tmp_path / "sounds.parquet")["audio"].to_pylist()
    assert [soundfile.info(BytesIO(sound["bytes"])).frames for sound in audio] == [2000] * 3


@pytest.mark.slow
def test_stereo_is_learned_published_written_and_traced(tmp_path: Path) -> None:
    time, folder, store = np.arange(2000) / 8000, tmp_path / "stereo", tmp_path / "store"
    for number in range(64):
        wave = 0.5 * np.sin(2 * np.pi * (300 + number) * time)
        sides = np.stack([wave, 0.1 * wave], axis=1)[:, :: 1 if number % 2 else -1]
        path = folder / ("right", "left")[number % 2] / f"{number:02d}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sides, 8000)
    evaluate = "evaluate={every: 128, num_samples: 256, extractor: {kind: classifier, fit_images: 500}}"
    stereo = SOUND.replace("kind: sound", "kind: sound, channels: 2")
    job = [JOB, *source(folder), stereo, *BRIEF, evaluate, "train.total_images=128", f"storage={store}"]
    version = json.loads(succeed_here("train", *job, "--json"))["version"]
    for file in (Path(version) / "samples.wav", *(store / "runs/spoken-digits/samples").glob("*.wav")):
        assert soundfile.info(file).channels == 2
    for name in ("out", "sheet.flac", "sounds.parquet"):
        succeed_here("generate", version, "--num", "3", "--out", str(tmp_path / name), "--class", "left", "--local")
        file = tmp_path / ("out/000001.wav" if name == "out" else name)
        assert "0 16-bit steps" in succeed_here("provenance", str(file), "--storage", str(store))
    assert read_sound(tmp_path / "out/000001.wav")[0].shape == (2, 2000)


@pytest.mark.slow
def test_waves_go_on_bit_by_bit(sounds: Path, tmp_path: Path) -> None:
    job = [JOB, *source(sounds), WAVE, *BRIEF[3:], *WAVEGAN, *STEADY, "evaluate=none", "train.checkpoint_every=64"]
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    for store, images in ((unbroken, 192), (broken, 64), (broken, 192)):
        succeed_here("train", *job, f"storage={store}", f"train.total_images={images}")
    first, second = (sorted(store.glob("runs/spoken-digits/checkpoints/*/state.pt"))[-1] for store in (broken, unbroken))
    assert first.parent.name == second.parent.name
    assert first.read_bytes() == second.read_bytes()
