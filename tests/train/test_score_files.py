"""Scoring texts, rows and sounds in files against a prepared dataset, without a generator; the first two without Ray."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from click.testing import CliRunner

from ganray.cli import group
from ganray.config import Data, FolderSource
from ganray.data.preparation.key import sample_settings, settings_of
from ganray.errors import DataError
from ganray.storage import open_store
from ganray.train.score_folder import score_folder
from tests.helpers.prepared import prepare
from tests.helpers.tables import people, write_rows
from tests.helpers.texts import random_texts, write_texts


def scored(path: Path, against: str) -> dict[str, Any]:
    """Return what `ganray score` prints as JSON."""
    done = CliRunner().invoke(group, ["score", str(path), "--against", against, "--json"])
    assert done.exit_code == 0, done.output
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def write_csv(path: Path, table: pa.Table) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([table.column_names, *zip(*(column.to_pylist() for column in table.columns), strict=True)])
    return path


def test_lines_are_scored_as_texts_are(tmp_path: Path) -> None:
    dataset, texts = write_texts(open_store(str(tmp_path / "store"))), random_texts(512)
    (tmp_path / "same.txt").write_text("\n".join([*texts, "\a"]))
    (tmp_path / "other").mkdir()
    pq.write_table(pa.table({"text": [text.upper() for text in texts]}), tmp_path / "other/upper.parquet")
    same, other = scored(tmp_path / "same.txt", dataset.uri), scored(tmp_path / "other", dataset.uri)
    assert (same["kind"], same["count"], same["skipped"], other["count"]) == ("text", 512, 1, 512)
    assert same["scores"]["metric/ngram_4"] == same["scores"]["metric/novelty"] == 0
    assert other["scores"]["metric/ngram_4"] > 0.9
    assert other["scores"]["metric/novelty"] == 1
    assert same["protocol"]["dataset"] == dataset.card.fingerprint


def test_rows_are_scored_against_those_that_were_held_out(tmp_path: Path) -> None:
    table = people(1200)
    dataset = write_rows(open_store(str(tmp_path / "store")), table, held_out=200)
    fresh, noise = people(600, seed=1), people(600, seed=2)
    shuffled = {
        name: noise[name].take(pa.array(np.random.default_rng(place).permutation(600))) for place, name in enumerate(noise.column_names)
    }
    good = scored(write_csv(tmp_path / "good.csv", fresh.append_column("more", fresh["city"])), dataset.uri)
    pq.write_table(pa.table(shuffled), tmp_path / "bad.parquet")
    bad = scored(tmp_path / "bad.parquet", dataset.uri)
    assert (good["kind"], good["count"], good["protocol"]["metric"]) == ("table", 600, "metric/quality")
    assert good["scores"]["metric/shapes"] > 0.9
    assert good["scores"]["metric/quality"] > bad["scores"]["metric/quality"] + 0.05
    assert good["scores"]["metric/tstr"] > bad["scores"]["metric/tstr"] + 0.2
    assert "metric/closest_record" in good["scores"]
    lines = CliRunner().invoke(group, ["score", str(tmp_path / "good.csv"), "--against", dataset.uri]).stdout.splitlines()
    assert lines[0] == f"600 rows of {tmp_path}/good.csv"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "images",
            "FOLDER: there are no .csv or .parquet files in .*/images; people holds rows of 7 columns; name a .csv or .parquet file",
        ),
        ("few.csv", "FOLDER: .*few.csv has 50 rows, fewer than the 100"),
        ("narrow.csv", "FOLDER: .*narrow.csv has no column left; people holds"),
        ("narrow.parquet", "FOLDER: narrow.parquet has no column left"),
        ("broken.parquet", "FOLDER: broken.parquet is damaged"),
        ("nothing", "FOLDER: .*nothing does not exist; people holds rows of 7 columns; name a .csv file"),
    ],
)
def test_files_that_are_not_what_the_dataset_holds_are_one_line(name: str, problem: str, tmp_path: Path) -> None:
    dataset = write_rows(open_store(str(tmp_path / "store")), people(400), held_out=0)
    (tmp_path / "images").mkdir()
    (tmp_path / "images/x.png").write_bytes(b"\x89PNG")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1PAR1")
    write_csv(tmp_path / "few.csv", people(50))
    narrow = people(200).drop_columns("left")
    write_csv(tmp_path / "narrow.csv", narrow)
    pq.write_table(narrow, tmp_path / "narrow.parquet")
    with pytest.raises(DataError, match=problem):
        score_folder(str(tmp_path / name), against=dataset.uri)


def test_a_text_dataset_wants_text_files_and_one_of_images_a_folder(tmp_path: Path) -> None:
    texts = write_texts(open_store(str(tmp_path / "store")))
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "image.txt").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name, problem in {"empty.txt": "has no texts", "image.txt": "is no text: it looks like an image"}.items():
        with pytest.raises(DataError, match=f"FOLDER: .*{name} {problem}; texts holds texts of up to 8 characters"):
            score_folder(str(tmp_path / name), against=texts.uri)


def test_settings_of_samples_are_those_that_they_were_made_by() -> None:
    source = FolderSource(path="x")
    modality = {"kind": "video", "frames": 3, "every": 2}
    for data in (
        Data(source=source, modality=modality, resolution=(16, 24), channels=1, filter="box", background=(1, 2, 3), bit_depth=12),
        Data(source=source, modality=modality, channels=4),
        Data(source=source, modality={"kind": "sound", "rate": 8000, "seconds": 0.5, "trim": False}),
    ):
        again = Data(source=source, **settings_of(data.modality.kind, sample_settings(data)))
        assert sample_settings(again) == sample_settings(data)
        assert again.modality == data.modality


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.usefixtures("ray_address")
def test_sounds_are_scored_on_the_dataset_s_own_scale(tmp_path: Path) -> None:
    for folder, pitches in (("low", (220, 330)), ("high", (1500, 2500))):
        (tmp_path / folder).mkdir()
        for index in range(40):
            times = np.arange(4000) / 8000
            wave = 0.5 * np.sin(2 * np.pi * (pitches[index % 2] + index) * times)
            soundfile.write(tmp_path / folder / f"{index}.wav", wave, 8000)
    modality = {"kind": "sound", "rate": 8000, "seconds": 0.5, "bins": 16, "frames": 16, "loudness": "keep", "trim": False}
    dataset = prepare(Data(source=FolderSource(path=str(tmp_path / "low")), modality=modality), open_store(str(tmp_path / "store")))
    soundfile.write(tmp_path / "high/none.wav", np.zeros(4000), 8000)
    same, high = (score_folder(str(tmp_path / name), against=dataset.uri) for name in ("low", "high"))
    assert (same.kind, same.count, same.skipped, same.scores["metric/silent"]) == ("sound", 40, 0, 0)
    assert (high.count, high.skipped) == (40, 1)
    assert same.scores["metric/frechet"] == pytest.approx(0, abs=1e-3)
    assert high.scores["metric/frechet"] > 10 * same.scores["metric/frechet"]
