"""Generated texts: lines and rows with their record, traced back by generating them again, and what texts are not written as."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ganray.cli import group
from ganray.errors import ConfigError, DataError
from ganray.generation.batch import generate
from ganray.generation.formats.base import beside
from ganray.generation.provenance import provenance
from ganray.modalities.text import TextCodec, split_text
from ganray.registry.artifact import load_generator
from ganray.registry.registry import Registry
from ganray.storage import open_store
from tests.helpers.texts import CODEC, NETWORKS, RECURRENT, WORDS, text_artifact


def published(files: dict[str, bytes], tmp_path: Path) -> str:
    """Return the URI of a version of a model with these files."""
    Registry(open_store(tmp_path / "store")).publish("m", files, {}, key="a")
    return str(tmp_path / "store/models/m/0001")


@pytest.fixture
def model(tmp_path: Path) -> str:
    """The URI of a version of a conditional generator of texts."""
    return published(text_artifact(["x", "y"]), tmp_path)


@pytest.mark.parametrize("codec", [CODEC, WORDS], ids=["characters", "words"])
@pytest.mark.parametrize("suffix", [".txt", ".parquet"])
def test_texts_are_written_and_traced_to_the_samples_they_are(codec: TextCodec, tmp_path: Path, suffix: str) -> None:
    model = published(text_artifact(["x", "y"], RECURRENT if codec == WORDS else NETWORKS, codec), tmp_path)
    out = tmp_path / f"made{suffix}"
    generate(model, num=70, seed=3, out=out, label="y", local=True)
    texts = out.read_text().splitlines() if suffix == ".txt" else pq.read_table(out)["text"].to_pylist()
    assert len(texts) == 70
    assert {token.strip() for text in texts for token in split_text(text, codec.tokens)} <= {token.strip() for token in codec.vocabulary}
    found = provenance(out, storage=str(tmp_path / "store"))
    assert (found["seed"], found["label"], found["num"], found["largest_difference"]) == (3, 1, 70, 0)
    done = CliRunner().invoke(group, ["provenance", str(out), "--storage", str(tmp_path / "store")])
    assert (done.exit_code, "equal within 0 lines" in done.output) == (0, True)


def test_the_first_texts_are_the_same_however_many_are_generated(model: str, tmp_path: Path) -> None:
    for number in (5, 130):
        generate(model, num=number, seed=3, out=tmp_path / f"{number}.txt", local=True)
    assert (tmp_path / "130.txt").read_text().startswith((tmp_path / "5.txt").read_text())


def test_changed_texts_are_not_the_samples_in_their_record(model: str, tmp_path: Path) -> None:
    out = tmp_path / "made.txt"
    generate(model, num=70, seed=3, out=out, local=True)
    lines = out.read_text().splitlines()
    out.write_text("\n".join(["other", "texts", *lines[2:]]) + "\n")
    with pytest.raises(DataError, match="generated again, that has differences of up to 2 lines"):
        provenance(out, storage=str(tmp_path / "store"))
    out.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(DataError, match="another size"):
        provenance(out, storage=str(tmp_path / "store"))
    beside(out).unlink()
    with pytest.raises(DataError, match=r"cannot be read: there is no .*made\.txt\.provenance\.json"):
        provenance(out, storage=str(tmp_path / "store"))


@pytest.mark.parametrize("out", ["made.png", "made", "made.jpg"])
def test_texts_are_not_written_as_images(model: str, tmp_path: Path, out: str) -> None:
    with pytest.raises(ConfigError, match=r"--out: .*name .*a \.txt file"):
        generate(model, num=5, seed=0, out=tmp_path / out, local=True)
    assert not (tmp_path / out).exists()


def test_a_generator_says_what_its_outputs_are(model: str) -> None:
    generator = load_generator(model)
    latents, labels = generator.prior.sample(0, "samples", 0, 4)
    outputs = generator(latents, labels)
    assert outputs.shape == (4, CODEC.num_tokens, CODEC.length)
    assert outputs.sum(1).sub(1).abs().max() < 1e-5
    assert len(generator.codec.decode(generator.layout.to_samples(outputs).numpy())) == 4
    assert json.loads(json.dumps(generator.codec.to_json()))["vocabulary"] == "".join(CODEC.vocabulary)
