"""Sounds and videos of published generators: every format, and the provenance of each file that has a record."""

import json
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import soundfile
from PIL import Image

from ganray.config import DcganNetworks, MotionNetworks, WaveganNetworks
from ganray.errors import ConfigError, DataError
from ganray.gan.layouts import layout_of
from ganray.gan.networks import build_networks
from ganray.gan.prior import Prior
from ganray.generation.batch import generate
from ganray.generation.formats import FORMATS, find_reading, read_texts
from ganray.generation.formats.base import Format, Reading
from ganray.generation.formats.image import READING, read_image, shown, write_preview
from ganray.generation.formats.video import StreamContent, streamed
from ganray.generation.provenance import provenance
from ganray.modalities.codec import Codec
from ganray.modalities.image import Target
from ganray.modalities.sound.codec import SpectrogramCodec, WaveCodec
from ganray.modalities.sound.decoding import Clip
from ganray.modalities.sound.spectrogram import Analysis
from ganray.modalities.video.codec import VideoCodec, read_webp
from ganray.modalities.video.decoding import ClipTarget
from ganray.registry.generator_config import generator_config
from ganray.registry.manifest import CONFIG, GENERATOR, METRICS, to_json
from ganray.registry.registry import Registry
from ganray.storage import open_store
from tests.helpers.artifacts import PROTOCOL
from tests.helpers.gan_runs import CLIPS, WAVES

SPECTROGRAMS = SpectrogramCodec(Clip(8000, 1024), Analysis(8000, 64, 16, 16), (-60.0,) * 16, (0.0,) * 16)
KINDS: dict[str, tuple[DcganNetworks | WaveganNetworks | MotionNetworks, Codec]] = {
    "spectrograms": (DcganNetworks(width=8, latent_dim=8, ghost_batch=4), SPECTROGRAMS),
    "stereo spectrograms": (
        DcganNetworks(width=8, latent_dim=8, ghost_batch=4),
        replace(SPECTROGRAMS, clip=Clip(8000, 1024, channels=2)),
    ),
    "stereo waves": (WAVES.model_copy(update={"conditional": False}), WaveCodec(Clip(8000, 300, channels=2))),
    "waves": (WAVES.model_copy(update={"conditional": False}), WaveCodec(Clip(8000, 300))),
    "videos": (CLIPS.model_copy(update={"conditional": False}), VideoCodec(ClipTarget(Target((1, 16, 16), "box"), 3))),
}


def published(folder: Path, kind: str, scale: float = 8) -> str:
    """Publish a generator of a kind that nobody trained, its weights scaled so that samples differ, and return its version's URI."""
    networks, codec = KINDS[kind]
    generator, _ = build_networks(networks, layout_of(codec).shape, seed=0)
    weights = {name: tensor * scale if tensor.ndim > 2 else tensor for name, tensor in generator.state_dict().items()}
    files = {
        GENERATOR: safetensors.torch.save(weights),
        CONFIG: to_json(generator_config(networks, codec, Prior(networks.latent_dim, ()), None)),
        METRICS: to_json({"scores": {"metric/frechet": 1.0}, "protocol": PROTOCOL.dump()}),
    }
    registry = Registry(open_store(str(folder)))
    return registry.model("m").child(registry.publish("m", files, {"images_seen": 1}, key="1")).uri


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("spectrograms", ["out/000001.wav", "all.wav", "all.flac", "all.png"]),
        ("waves", ["out/000001.wav", "all.wav", "all.flac", "all.png"]),
        ("stereo spectrograms", ["out/000001.wav", "all.wav", "all.flac", "all.png"]),
        ("stereo waves", ["out/000001.wav", "all.wav", "all.flac", "all.png"]),
        ("videos", ["out/000001.webp", "out/000001.mp4", "all.webp", "all.mp4", "all.png"]),
    ],
)
def test_files_are_traced_to_the_samples_that_they_hold(kind: str, names: list[str], tmp_path: Path) -> None:
    uri = published(tmp_path / "store", kind)
    for name in names:
        out = tmp_path / (name if name.startswith("all") else "out/%06d.mp4" if name.endswith(".mp4") else "out")
        generate(uri, num=3, seed=5, out=out, local=True)
        found = provenance(tmp_path / name, storage=str(tmp_path / "store"))
        assert found["largest_difference"] == 0
        assert (found.get("index"), found.get("num")) == ((1, None) if name.startswith("out") else (None, 3))


def test_a_file_of_another_sample_is_not_what_its_record_says(tmp_path: Path) -> None:
    uri = published(tmp_path / "store", "spectrograms")
    generate(uri, num=2, seed=0, out=tmp_path / "out", local=True)
    first = tmp_path / "out/000000.wav"
    first.write_bytes(first.read_bytes().replace(b'"index":0', b'"index":1'))
    with pytest.raises(DataError, match="is not the sample in its record: generated again, that has differences of up to"):
        provenance(first, storage=str(tmp_path / "store"))
    for name, data in {"x.wav": b"RIFF", "x.webp": b"RIFF....WEBP", "x.flac": b"", "x.mp4": b"\0\0\0\x20ftypisom"}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match="cannot be read"):
            provenance(tmp_path / name, storage=str(tmp_path / "store"))


def test_parquet_holds_files_that_others_read(tmp_path: Path) -> None:
    generate(published(tmp_path / "a", "spectrograms"), num=3, seed=0, out=tmp_path / "sounds.parquet", local=True)
    table = pq.read_table(tmp_path / "sounds.parquet")
    assert [soundfile.info(BytesIO(row["bytes"])).frames for row in table["audio"].to_pylist()] == [1024] * 3
    assert json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["audio"] == {"sampling_rate": 8000, "_type": "Audio"}
    generate(published(tmp_path / "c", "stereo waves"), num=2, seed=0, out=tmp_path / "stereo.parquet", local=True)
    table = pq.read_table(tmp_path / "stereo.parquet")
    assert [soundfile.info(BytesIO(row["bytes"])).channels for row in table["audio"].to_pylist()] == [2, 2]
    audio = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["audio"]
    assert audio == {"sampling_rate": 8000, "mono": False, "num_channels": 2, "_type": "Audio"}
    generate(published(tmp_path / "b", "videos"), num=3, seed=0, out=tmp_path / "videos.parquet", local=True)
    clips = [read_webp(row["bytes"])[0] for row in pq.read_table(tmp_path / "videos.parquet")["video"].to_pylist()]
    assert np.stack(clips).shape == (3, 3, 3, 16, 16)


def test_a_gif_moves_and_other_formats_are_one_line(tmp_path: Path) -> None:
    uri = published(tmp_path / "store", "videos")
    generate(uri, num=4, seed=0, out=tmp_path / "all.gif", local=True)
    with Image.open(tmp_path / "all.gif") as image:
        assert getattr(image, "n_frames", 1) == 3
    with pytest.raises(ConfigError, match=r"videos are not written as \.wav"):
        generate(uri, num=4, seed=0, out=tmp_path / "all.wav", local=True)
    with pytest.raises(ConfigError, match=r"one \.webp file of 5000 samples is too large"):
        generate(uri, num=5000, seed=0, out=tmp_path / "all.webp", local=True)


def test_a_video_of_another_sample_is_not_what_its_record_says(tmp_path: Path) -> None:
    uri = published(tmp_path / "store", "videos", scale=50)
    generate(uri, num=2, seed=0, out=tmp_path / "out/%06d.mp4", local=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["000000.mp4", "000001.mp4"]
    first = tmp_path / "out/000000.mp4"
    first.write_bytes(first.read_bytes().replace(b'"index":0', b'"index":1'))
    with pytest.raises(DataError, match="is not the sample in its record: generated again, that has differences of up to"):
        provenance(first, storage=str(tmp_path / "store"))
    with pytest.raises(ConfigError, match=r"unsupported format '%04d.png'.*FOLDER/%06d.mp4"):
        generate(uri, num=2, seed=0, out=tmp_path / "out/%04d.png", local=True)


@pytest.mark.parametrize("name", ["out/%06d.mp4", "all.mp4"])
def test_a_video_that_hardly_varies_is_not_taken_for_another_one(name: str, tmp_path: Path) -> None:
    uri, store = published(tmp_path / "store", "videos", scale=0.5), str(tmp_path / "store")
    for seed in (0, 1):
        generate(uri, num=2, seed=seed, out=tmp_path / str(seed) / name, local=True)
    file, other = (tmp_path / seed / name.replace("%06d", "000000") for seed in "01")
    assert provenance(file, storage=store)["largest_difference"] == 0
    assert file.read_bytes() != other.read_bytes()
    file.write_bytes(other.read_bytes().replace(b'"seed":1', b'"seed":0'))
    with pytest.raises(DataError, match="varies too little to be told from other samples: generated again, that has differences of up to"):
        provenance(file, storage=store)


def video(levels: float, seed: int, offset: int = 0) -> StreamContent:
    """Return clips of smooth noise of this deviation, as an MP4 file has them."""
    noise = np.random.default_rng(seed).normal(size=(1, 8, 1, 4, 4)).repeat(8, 3).repeat(8, 4)
    return streamed((128 + levels * noise).clip(0, 254).astype(np.uint8) + np.uint8(offset), KINDS["videos"][1], is_one=True)


@pytest.mark.parametrize("levels", [0.0, 0.5, 1.0, 2.0])
def test_videos_of_little_variance_pass_only_where_they_are_equal(levels: float) -> None:
    assert video(levels, 0).difference(video(levels, 0)).is_small
    for other in (video(levels, 1, offset=1), video(levels, 0, offset=1)):
        assert not video(levels, 0).difference(other).is_small


@pytest.mark.parametrize("levels", [5.0, 10.0, 40.0])
def test_videos_that_vary_pass_as_machines_round_them_and_no_others(levels: float) -> None:
    assert video(levels, 0).difference(video(levels, 0, offset=1)).is_small
    found = video(levels, 0).difference(video(levels, 1))
    assert (found.is_small, found.is_telling) == (False, True)


def test_a_video_is_one_line_where_pyav_is_missing_and_nothing_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    uri = published(tmp_path / "store", "videos")
    for name in ("all.mp4", "out/%06d.mp4"):
        with pytest.raises(ConfigError, match=r"this video needs the package av; pip install 'ganray\[video\]'"):
            generate(uri, num=2, seed=0, out=tmp_path / name, local=True)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_what_a_kind_registers_is_what_its_files_are_read_by(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, formats in FORMATS.items():
        for suffix, format in formats.items():
            if suffix.startswith("."):
                assert find_reading(Path(f"x{suffix.upper()}"), kind) is format.reading
        assert find_reading(Path("x.png"), kind) is READING, "an image may show samples of any kind"
    midi = Reading(read_image, shown, "note", read_record=lambda path: {"name": path.name})
    monkeypatch.setitem(cast(dict[str, dict[str, Format]], FORMATS), "score", {".mid": Format(write_preview, midi)})
    assert find_reading(Path("x.mid"), "score") is midi
    assert find_reading(Path("x.mid"), "image") is None
    assert read_texts(Path("x.mid")) == {"name": "x.mid"}
