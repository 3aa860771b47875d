"""`ganray init`: what it finds in folders, archives and Parquet files, the recipe that it writes, and that the file is a job as it is."""

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from ganray.cli import group
from ganray.config import Job, load_job
from ganray.errors import ConfigError, DataError
from ganray.scaffold.draft import Classes, Machine
from ganray.scaffold.files import spread
from ganray.scaffold.image_look import look_at
from ganray.scaffold.recipe import recipe, resolution
from ganray.scaffold.survey import Survey, survey_files, survey_parquet
from ganray.storage import open_store

RANDOM = np.random.default_rng(0)


def png(height: int = 40, width: int = 40, channels: int = 3, *, depth: int = 8, peak: int | None = None) -> bytes:
    """Return an image of noise, asymmetric where it is of 8 bits."""
    if depth == 16:
        pixels = RANDOM.integers(0, (peak or 65535) + 1, (height, width)).astype(np.uint16)
    else:
        pixels = RANDOM.integers(0, 200, (height, width, channels)).astype(np.uint8)
        pixels[:, : width // 2] += 50
    image, buffer = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and channels == 1 else pixels), io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 60 images each, of which two cannot be decoded and one is a copy, and a text."""
    for name in ("cat", "dog"):
        (tmp_path / "birds" / name).mkdir(parents=True)
        for number in range(60):
            (tmp_path / "birds" / name / f"{number}.png").write_bytes(png())
    shutil.copy(tmp_path / "birds/cat/1.png", tmp_path / "birds/cat/0.png")
    (tmp_path / "birds/dog/7.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (tmp_path / "birds/dog/8.png").write_bytes((tmp_path / "birds/dog/9.png").read_bytes()[:500])
    (tmp_path / "birds/notes.txt").write_text("these are birds")
    return tmp_path / "birds"


def look(path: Path | str) -> Survey:
    return (survey_parquet if str(path).endswith(".parquet") else survey_files)(str(path), open_store("./no-storage"))


def fields(found: Survey, gpus: int = 0) -> dict[str, Any]:
    return {path: value for path, value, _ in recipe(found, Machine(gpus), name="birds", storage="./store")}


def init(*arguments: object) -> str:
    """Return what the command prints; what it raises comes out."""
    done = CliRunner().invoke(group, ["init", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_folder_is_counted_and_what_is_broken_named(folder: Path) -> None:
    found = look(folder)
    assert (found.count, found.classes.counts, found.left_out, found.repeats) == (120, {"cat": 60, "dog": 60}, 1, 1)
    assert [sample.name for sample in found.broken] == ["dog/7.png", "dog/8.png"]
    assert "not an image" in found.broken[0].reason
    assert (found.sides, found.modes, found.grey_fraction) == ((40, 40), {"RGB": 118}, 0.0)


def test_an_archive_is_as_its_folder(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "birds.zip", "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
    assert look(tmp_path / "birds.zip").facts() == look(folder).facts()


def test_parquet_has_its_columns_found(tmp_path: Path) -> None:
    images = [{"bytes": png(28, 28, 1), "path": None} for _ in range(300)]
    labels = [number % 3 for number in range(300)]
    table = pa.table({"id": list(range(300)), "thumb": images, "image": images, "label": labels, "note": ["x"] * 300})
    pq.write_table(table, tmp_path / "digits.parquet", row_group_size=70)
    found = look(tmp_path / "digits.parquet")
    assert (found.source.column, found.source.label_column) == ("image", "label")
    assert (found.count, found.classes.counts, len(found.whole)) == (300, {"0": 100, "1": 100, "2": 100}, 300)
    assert found.notes == ["other columns that could be the samples: thumb"]
    assert (fields(found)["data.resolution"], fields(found)["data.channels"]) == (32, 1)
    pq.write_table(table.select(["id", "label"]), tmp_path / "numbers.parquet")
    with pytest.raises(DataError, match=r"no column of .* holds encoded samples; its columns: id"):
        look(tmp_path / "numbers.parquet")


@pytest.mark.parametrize(
    ("height", "width", "gpus", "expected"),
    [
        (28, 28, 0, (32, 32)),
        (8, 8, 0, (16, 16)),
        (50, 50, 0, (48, 48)),
        (1024, 1024, 0, (64, 64)),
        (1024, 1024, 1, (256, 256)),
        (300, 620, 0, (64, 128)),
        (620, 300, 0, (128, 64)),
        (100, 2000, 1, (96, 256)),
        (270, 300, 1, (256, 256)),
    ],
)
def test_the_resolution_fits_the_images_and_the_machine(height: int, width: int, gpus: int, expected: tuple[int, int]) -> None:
    found = Survey(source=None, count=1, classes=Classes({}, 1), left_out=0, looks=[], broken=[], notes=[])  # type: ignore[arg-type]
    found.looks.append(look_at(png(height, width)))
    assert resolution(found, Machine(gpus))[0] == expected
    load_job("jobs/folder.yaml", {"data.resolution": list(expected)})


def test_deep_images_have_their_bits_and_transparent_ones_their_alpha(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / "deep").mkdir(exist_ok=True)
        (tmp_path / "deep" / f"{number}.png").write_bytes(png(depth=16, peak=4000))
        (tmp_path / "alpha").mkdir(exist_ok=True)
        (tmp_path / "alpha" / f"{number}.png").write_bytes(png(channels=4))
    assert (fields(look(tmp_path / "deep"))["data.bit_depth"], fields(look(tmp_path / "deep"))["data.channels"]) == (12, 1)
    assert fields(look(tmp_path / "alpha"))["data.channels"] == 4


def test_classes_are_generated_if_there_is_enough_of_each(folder: Path) -> None:
    assert fields(look(folder))["networks.conditional"] is True
    for number in range(20):
        (folder / f"dog/{number}.png").unlink()
    why = {path: why for path, _, why in recipe(look(folder), Machine(0), name="birds", storage="./store")}
    assert fields(look(folder))["networks.conditional"] is False
    assert why["networks.conditional"] == "class 'dog' has 40 images, too few to learn it from"


def test_few_images_are_augmented_and_mirrored_only_if_left_and_right_are_alike(folder: Path) -> None:
    found = fields(look(folder))
    assert (found["augment.kind"], found["augment.mirror"]) == ("diff-augment", False)
    for file in folder.rglob("*.png"):
        file.write_bytes(png(depth=16))
    assert fields(look(folder))["augment.mirror"] is True


def test_images_that_are_looked_at_are_spread_over_all() -> None:
    assert spread(5, 10) == [0, 1, 2, 3, 4]
    assert spread(1000, 4) == [0, 250, 500, 750]


def test_the_file_is_a_job_as_it_is_and_says_why(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed = init("birds")
    assert "images             120" in printed
    assert printed.endswith("wrote  birds.yaml; next: ganray train birds.yaml\n")
    text = (tmp_path / "birds.yaml").read_text()
    job = load_job("birds.yaml")
    assert (job.name, job.publish.model, job.networks.conditional, job.data.shape) == ("birds", "birds", True, (3, 48, 48))
    assert 2 / 120 < job.data.max_bad_fraction < 0.1
    assert "# 2 of 120 cannot be decoded, such as dog/7.png (not an image in a format that Pillow knows)" in text
    assert job == Job.model_validate(yaml.safe_load(text))
    planned = CliRunner().invoke(group, ["train", "birds.yaml", "--dry-run"], catch_exceptions=False)
    assert "120 samples, 2 classes (cat, dog), 1 file left out" in planned.stdout


def test_the_command_prints_json_and_refuses_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    found = json.loads(init(folder, "--out", tmp_path / "a.yaml", "--name", "b", "--json"))
    assert (found["survey"]["images"], found["job"]["name"], found["out"]) == (120, "b", str(tmp_path / "a.yaml"))
    with pytest.raises(ConfigError, match=r"--out: .*a.yaml exists already"):
        init(folder, "--out", tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match="--name: invalid name 'a/b'"):
        init(folder, "--name", "a/b")
    with pytest.raises(DataError, match="does not exist"):
        init(tmp_path / "nothing", "--out", tmp_path / "c.yaml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there are no files in"):
        init(tmp_path / "empty", "--out", tmp_path / "c.yaml")
    (tmp_path / "empty/a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"none of the 1 images of .* can be used"):
        init(tmp_path / "empty", "--out", tmp_path / "c.yaml")
    assert not (tmp_path / "c.yaml").exists()


@pytest.mark.parametrize("name", ["a b: c #d", "ünïcode", 'it\'s "quoted"', "-dash", "[list]", "true", "a: b", "C:"])
def test_a_folder_of_any_name_is_found_again_by_the_job(folder: Path, tmp_path: Path, name: str) -> None:
    folder.rename(tmp_path / name)
    init(tmp_path / name, "--out", tmp_path / "job.yaml")
    job = load_job(tmp_path / "job.yaml")
    assert job.data.source.path == str(tmp_path / name)  # type: ignore[union-attr]
