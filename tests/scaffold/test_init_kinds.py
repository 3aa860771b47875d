"""`ganray init` on sounds, videos, lines and tables: what it recognises, and that what it writes loads and can be planned as it is."""

import csv
import gzip
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml
from click.testing import CliRunner
from PIL import Image

from ganray.cli import group
from ganray.config import Job, load_job
from ganray.config.reading.places import JOBS
from ganray.errors import DataError
from ganray.scaffold.draft import Draft, Machine
from ganray.scaffold.job_file import make_draft
from ganray.storage import open_store
from tests.helpers.tables import people

RANDOM = np.random.default_rng(0)


def init(path: Path, out: Path) -> tuple[Job, str]:
    """Return the job that the command writes for a source, and what it prints; a dry run of the job must succeed."""
    done = CliRunner().invoke(group, ["init", str(path), "--out", str(out)], catch_exceptions=False, standalone_mode=False)
    assert done.exit_code == 0, done.output
    planned = CliRunner().invoke(group, ["train", str(out), "--dry-run"], catch_exceptions=False, standalone_mode=False)
    assert planned.exit_code == 0, planned.output
    return load_job(out), done.output


def draft(path: Path, gpus: int = 0) -> Draft:
    return make_draft(str(path), open_store("./no-storage"), Machine(gpus), name="a", storage="./store")


def fields(path: Path, gpus: int = 0) -> dict[str, Any]:
    return {path: value for path, value, _ in draft(path, gpus).entries}


def write_csv(path: Path, table: pa.Table, *, header: bool = True, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([table.column_names] if header else [])
        writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return path


def with_numbers(table: pa.Table) -> pa.Table:
    """Return a table with a column of serial numbers."""
    return table.append_column("id", pa.array([str(10_000 + number) for number in range(table.num_rows)]))


@pytest.fixture
def drums(tmp_path: Path) -> Path:
    """Two classes of 60 sounds each, of a quarter to three quarters of a second, of which one is broken."""
    for name in ("kick", "snare"):
        (tmp_path / "drums" / name).mkdir(parents=True)
        for number in range(60):
            wave = RANDOM.normal(0, 0.1, (44_100 * (1 + number % 3) // 4, 2))
            soundfile.write(tmp_path / "drums" / name / f"{number}.wav", wave, 44_100)
    (tmp_path / "drums/kick/3.wav").write_bytes(b"RIFF\4\0\0\0WAVE")
    (tmp_path / "drums/readme.txt").write_text("drums")
    return tmp_path / "drums"


def write_animation(path: Path, frames: int, *, channels: int = 3) -> None:
    shape = (40, 60, 3) if channels == 3 else (40, 60)
    images = [Image.fromarray(RANDOM.integers(0, 255, shape).astype(np.uint8)) for _ in range(frames)]
    images[0].save(path, save_all=True, append_images=images[1:], **({"lossless": True} if path.suffix == ".webp" else {}))


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Twenty animations of ten frames, of which one has three."""
    (tmp_path / "clips").mkdir()
    for number in range(20):
        write_animation(tmp_path / "clips" / f"{number}.webp", 10 if number else 3)
    return tmp_path / "clips"


def test_a_csv_file_is_a_table(tmp_path: Path) -> None:
    job, printed = init(write_csv(tmp_path / "people.csv", with_numbers(people(1500))), tmp_path / "job.yaml")
    assert (job.name, job.data.source.kind, job.data.modality.kind, job.networks.kind) == ("people", "csv", "table", "table")
    assert job.data.modality.target == "income"  # type: ignore[union-attr]
    assert "left out  id (an identifier)" in printed
    assert "rows      1,500 rows" in printed


@pytest.mark.parametrize("name", ["people.tsv", "people.csv.gz"])
def test_a_table_may_have_tabs_or_be_compressed(tmp_path: Path, name: str) -> None:
    plain = write_csv(tmp_path / "plain.csv", people(300), delimiter="\t" if "tsv" in name else ",")
    (tmp_path / name).write_bytes(gzip.compress(plain.read_bytes()) if name.endswith(".gz") else plain.read_bytes())
    job, _ = init(tmp_path / name, tmp_path / "job.yaml")
    assert (job.name, job.data.modality.kind) == ("people", "table")


def test_a_table_without_a_header_gets_names_that_are_said_to_be_made_up(tmp_path: Path) -> None:
    job, printed = init(write_csv(tmp_path / "people.data", people(300), header=False), tmp_path / "job.yaml")
    assert job.data.source.names == [f"column{number}" for number in range(1, 8)]  # type: ignore[union-attr]
    assert "note: the first line looks like values" in printed
    assert "# To be known: the first line looks like values" in (tmp_path / "job.yaml").read_text()


def test_a_table_that_is_not_in_utf8_is_read(tmp_path: Path) -> None:
    table = pa.table({"name": [f"José {number % 7}" for number in range(200)], "age": [str(number % 50) for number in range(200)]})
    job, printed = init(write_csv(tmp_path / "a.csv", table, encoding="cp1252"), tmp_path / "job.yaml")
    assert job.data.source.encoding == "cp1252"  # type: ignore[union-attr]
    assert "they are taken to be in cp1252" in printed


def test_parquet_is_a_table_or_texts_by_its_columns(tmp_path: Path) -> None:
    pq.write_table(with_numbers(people(1500)), tmp_path / "people.parquet")
    job, _ = init(tmp_path / "people.parquet", tmp_path / "table.yaml")
    assert (job.data.source.kind, job.data.modality.kind, job.publish.model) == ("parquet", "table", "people")
    cities = {"text": [f"city {number}" for number in range(300)], "country": ["FR", "DE", "IT"] * 100}
    (tmp_path / "cities").mkdir()
    pq.write_table(pa.table(cities), tmp_path / "cities/a.parquet")
    job, printed = init(tmp_path / "cities", tmp_path / "texts.yaml")
    assert (job.data.modality.kind, job.data.source.label_column, job.networks.conditional) == ("text", "country", True)  # type: ignore[union-attr]
    assert "3, of 100 to 100 texts" in printed
    pq.write_table(pa.table({**cities, "people": list(range(300))}), tmp_path / "three.parquet")
    assert fields(tmp_path / "three.parquet")["data.modality"]["kind"] == "table"


def test_text_files_are_lines(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("\n".join(f"Zoë {number}" for number in range(3000)))
    job, printed = init(tmp_path / "names.txt", tmp_path / "job.yaml")
    assert (job.name, job.data.source.kind, job.data.modality.kind) == ("names", "lines", "text")
    assert "longest                 8 characters" in printed
    (tmp_path / "lines").mkdir()
    for name in ("fr", "de"):
        (tmp_path / f"lines/{name}.txt").write_text("a\nb\n\nc\n")
    assert draft(tmp_path / "lines").looked_at == "6 texts"
    assert "labels: files" in draft(tmp_path / "lines").notes[0]


def test_sentences_are_learned_as_words_and_those_with_rare_words_left_out(tmp_path: Path) -> None:
    lines = [f"The city of number {number % 9} lies on the banks of river {number % 7}." for number in range(900)]
    (tmp_path / "said.txt").write_text("\n".join([*lines, *(f"{lines[0]} word{number}" for number in range(100))]))
    job, printed = init(tmp_path / "said.txt", tmp_path / "job.yaml")
    assert (job.data.modality.tokens, job.networks.kind) == ("words", "text-recurrent")  # type: ignore[union-attr]
    assert "longest            14 words" in printed
    assert job.data.max_bad_fraction == 0.01
    rare = "\n".join(" ".join(f"w{line * 20 + number}" for number in range(20)) for line in range(500))
    (tmp_path / "said.txt").write_text(rare)
    assert fields(tmp_path / "said.txt")["data.max_bad_fraction"] > 0.2


def test_the_columns_of_texts_may_stand_in_any_order(tmp_path: Path) -> None:
    table = pa.table({"label": [number % 2 for number in range(200)], "text": [None, "", *(f"a{number}" for number in range(198))]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert draft(tmp_path / "a.parquet").facts["classes"] == "2, of 100 to 100 texts"
    assert draft(tmp_path / "a.parquet").facts["longest"] == "4 characters"


def test_texts_that_are_too_long_are_left_out_by_the_job(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(["short"] * 90 + ["long" * 500] * 10))
    assert fields(tmp_path / "a.txt")["data.max_bad_fraction"] == pytest.approx(0.2)
    (tmp_path / "a.txt").write_text("\n".join(["short"] * 100))
    assert fields(tmp_path / "a.txt")["data.max_bad_fraction"] == 0.01


def test_sounds_get_a_rate_and_a_length_that_most_have(drums: Path, tmp_path: Path) -> None:
    job, printed = init(drums, tmp_path / "job.yaml")
    modality = job.data.modality
    assert (modality.kind, modality.rate, modality.frames, modality.bins) == ("sound", 16_000, 48, 64)  # type: ignore[union-attr]
    assert modality.seconds == pytest.approx(0.75, abs=0.05)  # type: ignore[union-attr]
    assert (job.networks.conditional, job.evaluate.extractor.kind) == (True, "classifier")
    assert 1 / 120 < job.data.max_bad_fraction < 0.1
    assert "classes         2, of 60 to 60 sounds" in printed
    assert "stereo 119" in printed
    assert modality.channels == 1  # type: ignore[union-attr]
    assert "119 of 119 have several channels, which are averaged unless channels is 2" in " ".join(
        (tmp_path / "job.yaml").read_text().replace("#", " ").split()
    )
    with zipfile.ZipFile(tmp_path / "drums.zip", "w") as archive:
        for file in sorted(drums.rglob("*.*")):
            archive.write(file, file.relative_to(drums))
    assert draft(tmp_path / "drums.zip").facts == draft(drums).facts


def test_long_sounds_are_cut_on_a_cpu(tmp_path: Path) -> None:
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.flac", RANDOM.normal(0, 0.1, 8000 * 5), 8000)
    found, on_gpu = fields(tmp_path)["data.modality"], fields(tmp_path, gpus=1)["data.modality"]
    assert (found["rate"], found["bins"], found["frames"]) == (8000, 32, 64)
    assert found["seconds"] < 1.1 < 4 < on_gpu["seconds"]
    assert "evaluate.extractor" not in fields(tmp_path), "there are no classes to fit one to"


def test_moving_images_are_videos_and_others_images(clips: Path, tmp_path: Path) -> None:
    job, printed = init(clips, tmp_path / "job.yaml")
    assert (job.data.modality.kind, job.data.shape, job.networks.kind) == ("video", (3, 32, 32), "motion")
    assert "cannot be used  1" in printed
    assert "0.webp (has 3 frames, fewer than 8)" in (tmp_path / "job.yaml").read_text()
    for file in clips.iterdir():
        write_animation(file, 1)
    assert "data.modality" not in fields(clips), "images are the default"


def test_grey_videos_have_one_channel(tmp_path: Path) -> None:
    for number in range(3):
        write_animation(tmp_path / f"{number}.gif", 9, channels=1)
    assert fields(tmp_path)["data.channels"] == 1


def test_most_files_decide(drums: Path, clips: Path) -> None:
    (drums / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    assert fields(drums)["data.modality"]["kind"] == "sound"
    for number in range(30):
        Image.new("RGB", (8, 8)).save(clips / f"{number}.png")
    assert draft(clips).looked_at == "50 of 50 images"


@pytest.mark.parametrize(
    ("shipped", "source"),
    [
        *(("adult.yaml", "people.csv"), ("city-names.yaml", "a.txt"), ("sentences.yaml", "b.txt")),
        *(("spoken-digits.yaml", "drums"), ("moving.yaml", "clips")),
    ],
)
def test_starting_values_are_those_of_the_jobs(drums: Path, clips: Path, tmp_path: Path, shipped: str, source: str) -> None:
    write_csv(tmp_path / "people.csv", people(300))
    (tmp_path / "a.txt").write_text("some\nlines\n")
    (tmp_path / "b.txt").write_text("This is a line of ten words or so, and no more.\n")
    content, found = yaml.safe_load((JOBS / shipped).read_text()), fields(tmp_path / source)
    assert found["networks.kind"] == content["networks"]["kind"]
    for path, value in found.items():
        section, _, key = path.partition(".")
        if section in ("penalties", "optimizer", "train"):
            assert value == content[section][key], path


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.doc", b"x", "is one file, and of no kind that samples are read from"),
        ("a.jpg", b"\xff\xd8\xff", "is one file, and of no kind that samples are read from"),
        ("docs/a.doc", b"x", "nothing to learn among the 1 file in .*docs, such as a.doc"),
        ("a.csv", b"", "a.csv is empty"),
        ("a.csv", b"a,b\n", "has no rows"),
        ("a.csv", b"a,a\n1,2\n", "two columns are called a"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\0\0", "a.csv is no text"),
        ("a.txt", b"\n\n", "there are no texts in"),
        ("a.txt", b"\x89PNG\r\n\x1a\n", "a.txt is no text: it looks like an image"),
        ("a.parquet", b"PAR1", "a.parquet is damaged"),
        ("a.zip", b"PK", "is not a whole zip archive"),
        ("sounds/a.wav", b"RIFF", "none of the 1 sounds of .* can be used"),
        ("videos/a.avi", b"RIFF", "none of the 1 videos of .* can be used"),
    ],
)
def test_what_cannot_be_learned_is_one_line_and_writes_nothing(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    source = tmp_path / name.split("/")[0]
    with pytest.raises(DataError, match=problem) as raised:
        init(source, tmp_path / "job.yaml")
    assert raised.value.remedy
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "job.yaml").exists()
