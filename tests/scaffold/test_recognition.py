"""`ganray init` tells samples in Parquet files by their first bytes, and folders of frames from folders of images."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from PIL import Image

from ganray.config import load_job
from ganray.errors import ConfigError, DataError
from ganray.scaffold.draft import Draft, Machine
from ganray.scaffold.job_file import make_draft, write_job
from ganray.storage import open_store

RANDOM = np.random.default_rng(0)


def draft(path: Path, kind: str | None = None) -> Draft:
    return make_draft(str(path), open_store("./no-storage"), Machine(0), name="a", storage="./store", kind=kind)


def fields(path: Path, kind: str | None = None) -> dict[str, Any]:
    return {path: value for path, value, _ in draft(path, kind).entries}


def kind_of(path: Path, kind: str | None = None) -> str:
    return str(fields(path, kind).get("data.modality", {"kind": "image"})["kind"])


def wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, RANDOM.normal(0, 0.1, 4000), 8000, format="WAV")
    return file.getvalue()


def encoded(format: str, frames: int = 1) -> bytes:
    file = io.BytesIO()
    images = [Image.fromarray(RANDOM.integers(0, 255, (24, 24, 3)).astype(np.uint8)) for _ in range(frames)]
    images[0].save(file, format, **({"save_all": True, "append_images": images[1:]} if frames > 1 else {}))
    return file.getvalue()


def column(samples: list[bytes], *, as_struct: bool) -> pa.Array:
    if not as_struct:
        return pa.array(samples, pa.binary())
    return pa.array([{"bytes": data, "path": None} for data in samples], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


@pytest.mark.parametrize("as_struct", [True, False])
@pytest.mark.parametrize(
    ("name", "make", "kind"),
    [
        ("audio", wav, "sound"),
        ("data", wav, "sound"),
        ("video", lambda: encoded("GIF", 10), "video"),
        ("data", lambda: encoded("WEBP", 9), "video"),
        ("image", lambda: encoded("WEBP"), "image"),
        ("image", lambda: encoded("PNG"), "image"),
        ("data", lambda: encoded("GIF"), "image"),
    ],
)
def test_a_parquet_column_is_of_the_kind_that_its_bytes_are(name: str, make: Any, kind: str, as_struct: bool, tmp_path: Path) -> None:
    samples = [make() for _ in range(10)] * 6
    classes = pa.array([["one", "two"][number % 2] for number in range(60)])
    pq.write_table(pa.table({name: column(samples, as_struct=as_struct), "label": classes}), tmp_path / "a.parquet", row_group_size=16)
    file, found = write_job(str(tmp_path / "a.parquet"), out=tmp_path / "job.yaml")
    job = load_job(file)
    assert job.data.modality.kind == kind
    assert (job.data.source.column, job.data.source.label_column) == (name, "label")  # type: ignore[union-attr]
    assert found.facts["classes"].startswith("2, of 30 to 30")
    assert (f"column {name} is taken for {kind}s, by its first bytes" in file.read_text()) == (kind != "image")


def test_missing_and_broken_rows_do_not_decide(tmp_path: Path) -> None:
    samples = [None, b"", b"???", wav(), wav(), encoded("PNG"), wav()]
    pq.write_table(pa.table({"x": pa.array(samples, pa.binary())}), tmp_path / "a.parquet")
    assert kind_of(tmp_path / "a.parquet") == "sound"
    assert kind_of(tmp_path / "a.parquet", "image") == "image"
    pq.write_table(pa.table({"x": pa.array([None, b"???"], pa.binary())}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"none of the 2 images of .* that were looked at can be used"):
        draft(tmp_path / "b.parquet")


def write_frames(folder: Path, shift: int, count: int, *, size: int = 32, start: int = 1) -> None:
    """Write frames of a smooth image that moves by `shift` pixels each."""
    folder.mkdir(parents=True)
    wide = RANDOM.normal(size=(size // 8, size // 8)).repeat(8, 0).repeat(8, 1) * 60 + 128
    for number in range(count):
        pixels = np.roll(wide, shift * number, axis=1).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"frame_{start + number:04d}.png")


def write_images(folder: Path, count: int, mean: float = 128) -> None:
    """Write images that have nothing to do with each other, but for their brightness."""
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = (RANDOM.normal(size=(4, 4)).repeat(8, 0).repeat(8, 1) * 60 + mean).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04d}.png")


@pytest.mark.parametrize("start", [0, 1, 37])
def test_folders_of_frames_are_videos_and_it_is_said_how_they_would_not_be(tmp_path: Path, start: int) -> None:
    for number in range(20):
        write_frames(tmp_path / "clips" / f"{'ab'[number % 2]}/{number}", 1, 10 + number % 3, start=start)
    file, found = write_job(str(tmp_path / "clips"), out=tmp_path / "job.yaml")
    job, text = load_job(file), file.read_text()
    assert (job.data.modality.kind, job.data.shape, job.networks.kind) == ("video", (1, 32, 32), "motion")
    assert "sub-folders of numbered images are taken for videos" in text
    assert "`ganray init PATH --kind image`" in text
    assert (found.facts["videos"], found.facts["cannot be used"], found.facts["classes"]) == (20, 0, "2, of 10 to 10 videos")
    assert found.facts["median size"] == "32 x 32"
    assert kind_of(tmp_path / "clips", "image") == "image"
    assert "taken for" not in str(draft(tmp_path / "clips", "image").notes)


def test_classes_of_numbered_images_are_images(tmp_path: Path) -> None:
    for number in range(12):
        write_images(tmp_path / "alike" / str(number), 12, mean=20 + 18 * number)
        write_images(tmp_path / "sizes" / str(number), 10 + 12 * number)
    assert kind_of(tmp_path / "alike") == kind_of(tmp_path / "sizes") == "image"
    assert "`ganray init PATH --kind video`" in str(draft(tmp_path / "alike").notes)
    assert kind_of(tmp_path / "alike", "video") == "video"
    assert not draft(tmp_path / "sizes").notes


@pytest.mark.parametrize("change", ["few", "gaps", "others", "short", "sizes", "broken"])
def test_what_is_not_surely_videos_is_images(tmp_path: Path, change: str) -> None:
    for number in range(6 if change == "few" else 10):
        folder = tmp_path / "clips" / str(number)
        write_frames(folder, 1, 5 if change == "short" else 12)
        if change == "gaps":
            (folder / "frame_0004.png").unlink()
        if change == "sizes":
            Image.new("L", (32, 16)).save(folder / "frame_0002.png")
        if change == "broken":
            (folder / "frame_0002.png").write_bytes(b"\x89PNG")
    if change == "others":
        write_images(tmp_path / "clips/many/of no number", 0)
        for number in range(40):
            Image.new("L", (32, 32), number).save(tmp_path / "clips/many" / f"{'x' * (number + 1)}.png")
    assert kind_of(tmp_path / "clips") == "image"


def test_a_kind_that_a_source_does_not_have_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match=r"--kind: .*a\.csv holds rows, not sounds; leave it out"):
        draft(tmp_path / "a.csv", "sound")
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=r"--kind: no column of .* holds encoded videos; leave it out"):
        draft(tmp_path / "a.parquet", "video")
    write_images(tmp_path / "images", 3)
    with pytest.raises(DataError, match="there are no sounds in"):
        draft(tmp_path / "images", "sound")
