"""Texts from a Parquet file to published lines whose record names what made them."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ganray.modalities.words import split_words
from tests.helpers.commands import ganray_here, succeed_here

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("ray_address")]

JOB = "jobs/city-names.yaml"
SMALL = "kind: text-recurrent, units: 16, width: 8, blocks: 1, pretrain_images: 128"
BRIEF = ["data.modality={kind: text, length: 12}", f"networks={{{SMALL}, conditional: true}}", "optimizer.generator.lr=1e-3"]
BRIEF += ["train.precision=float32", "train.total_images=256", "train.batch_size=32", "train.log_every=64", "train.samples_every=128"]
BRIEF += ["train.max_seconds=null", "resources.cpus_per_worker=0.5", "workers=2", "evaluate={every: 128, num_samples: 256}"]
VERBS = ("dream", "wait", "listen")
BRIEF_SENTENCES = [f"networks={{{SMALL}}}", *BRIEF[2:]]
PARTS = {"AA": ("ka", "lo", "mi"), "BB": ("ster", "burg", "öd")}


def test_texts_are_learned_published_written_and_traced(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    countries = ["AA", "BB"] * 300
    names = ["".join(draw.choice(PARTS[country], 2)) for country in countries]
    pq.write_table(pa.table({"text": [*names, "x" * 13], "country": [*countries, "AA"]}), tmp_path / "names.parquet")
    store, out = tmp_path / "store", tmp_path / "names.txt"
    source = f"data.source.path={tmp_path / 'names.parquet'}"
    printed = json.loads(succeed_here("train", JOB, source, *BRIEF, f"storage={store}", "--json"))
    version = store / "models/city-names/0001"
    assert printed["version"] == str(version)
    assert {name for name in printed["scores"] if name.startswith("metric/")}
    succeed_here("generate", str(version), "--num", "20", "--out", str(out), "--class", "BB", "--local")
    lines = out.read_text().splitlines()
    assert len(lines) == 20
    assert {letter for line in lines for letter in line} <= {letter for part in (*PARTS["AA"], *PARTS["BB"]) for letter in part}
    assert "equal within 0 lines" in succeed_here("provenance", str(out), "--storage", str(store))
    out.write_text(out.read_text().replace(lines[3], lines[3] + "k", 1))
    assert ganray_here("provenance", str(out), "--storage", str(store)).returncode != 0


def test_sentences_are_pretrained_tuned_published_written_and_exported(tmp_path: Path) -> None:
    said = [f"The {animal} of number {number} sleeps, and {verb}s." for animal in ("cat", "dog") for number in range(9) for verb in VERBS]
    (tmp_path / "said.txt").write_text("\n".join(said * 10))
    store, out = tmp_path / "store", tmp_path / "made.txt"
    source = f"data.source.path={tmp_path / 'said.txt'}"
    printed = json.loads(succeed_here("train", "jobs/sentences.yaml", source, *BRIEF_SENTENCES, f"storage={store}", "--json"))
    version = store / "models/sentences/0001"
    assert printed["version"] == str(version)
    succeed_here("generate", str(version), "--num", "20", "--out", str(out), "--local")
    lines = out.read_text().splitlines()
    assert len(lines) == 20
    assert {word for line in lines for word in split_words(line)} <= {word for line in [*said, ", ."] for word in split_words(line)}
    assert "equal within 0 lines" in succeed_here("provenance", str(out), "--storage", str(store))
    succeed_here("export", str(version), "--to", "torch-export", "--out", str(tmp_path / "made.pt2"))
