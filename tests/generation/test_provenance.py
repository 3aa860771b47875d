"""Records in generated images, and `provenance`, which trusts only the sample that it generates again."""

import json
import os
import socket
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image, PngImagePlugin

from ganray.cli import group
from ganray.errors import GanrayError
from ganray.generation.batch import generate
from ganray.generation.provenance import provenance, read_claim
from ganray.generation.record import KEY, SOURCE_TYPE, XMP_KEY
from ganray.registry.manifest import read_manifest
from ganray.registry.registry import Registry
from ganray.storage import open_store
from tests.helpers.artifacts import publish


@pytest.fixture(params=["local", "s3"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    registry = Registry(open_store(request.getfixturevalue("bucket") if request.param == "s3" else tmp_path / "store"))
    publish(registry, 2.0, 1.0)
    return registry


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Sample 70 of seed 3, of a model's best."""
    publish(Registry(open_store(tmp_path / "store")), 2.0, 1.0)
    generate(str(tmp_path / "store/models/m"), num=71, seed=3, out=tmp_path / "made", local=True)
    return tmp_path / "made/000070.png"


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


def texts(path: Path) -> dict[str, str]:
    with Image.open(path) as image:
        return dict(image.text)


def rewrite(path: Path, pixels: np.ndarray, changed: dict[str, str]) -> None:
    chunks = PngImagePlugin.PngInfo()
    for key, text in {**texts(path), **changed}.items():
        chunks.add_itxt(key, text)
    Image.fromarray(pixels).save(path, pnginfo=chunks)


def test_every_image_is_traced_to_the_sample_it_is(registry: Registry, tmp_path: Path) -> None:
    model = registry.model("m")
    generate(model.uri, num=66, seed=5, out=tmp_path / "made", local=True)
    manifest = read_manifest(model.child("0002")).hash
    for index in (0, 63, 65):
        facts = provenance(tmp_path / f"made/{index:06d}.png", storage=registry.storage.uri)
        assert facts["largest_difference"] == 0
        assert (facts["model"], facts["version"], facts["manifest"]) == ("m", "0002", manifest)
        assert (facts["seed"], facts["index"]) == (5, index)
    generate(model.uri, num=10, seed=5, out=tmp_path / "grid.png", local=True)
    facts = provenance(tmp_path / "grid.png", storage=model.child("0002").uri)
    assert (facts["num"], facts["largest_difference"]) == (10, 0)


def test_an_image_has_iptcs_source_type_of_a_trained_model(image: Path) -> None:
    found = texts(image)
    assert json.loads(found[KEY])["digital_source_type"] == SOURCE_TYPE
    assert f'DigitalSourceType="{SOURCE_TYPE}"' in found[XMP_KEY]
    with Image.open(image) as opened:  # where Pillow, too, looks for XMP
        assert SOURCE_TYPE.encode() in opened.info["xmp"]


def test_parquet_carries_the_record_too(image: Path, tmp_path: Path) -> None:
    generate(str(tmp_path / "store/models/m"), num=5, seed=3, out=tmp_path / "made.parquet", local=True)
    record = json.loads(pq.read_schema(tmp_path / "made.parquet").metadata[KEY.encode()])
    assert (record["seed"], record["num"], record["version"]) == (3, 5, "0002")


def test_one_grey_level_is_rounding_and_two_are_another_image(image: Path, store: str) -> None:
    pixels = np.asarray(Image.open(image)).copy()
    pixels[0, 0] ^= 1
    rewrite(image, pixels, {})
    assert provenance(image, storage=store)["largest_difference"] == 1
    pixels[5, 5] = int(pixels[5, 5]) + (9 if pixels[5, 5] < 128 else -9)
    rewrite(image, pixels, {})
    with pytest.raises(GanrayError, match="is not the sample in its record: generated again, that has differences of up to 9"):
        provenance(image, storage=store)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seed", 4, "is not the sample in its record"),
        ("index", 71, "is not the sample in its record"),
        ("seed", -1, "has no provenance record"),
        ("index", "x", "has no provenance record"),
        ("truncation", 0.5, "is not the sample in its record"),
        ("truncation", 0, "has no provenance record"),
        ("truncation", "x", "has no provenance record"),
        ("manifest", "0" * 64, "its manifest has another hash"),
        ("model", "n", "there is no model 'n'"),
        ("model", "../x", "there is no model"),
        ("model", None, "names no model and version"),
        ("version", "0001", "its manifest has another hash"),
        ("version", "../0002", "invalid version"),
        ("label", 0, "claims class 0, which its generator does not have"),
        ("label", 1 << 60, "claims class"),
    ],
)
def test_a_record_that_lies_is_found_out(image: Path, store: str, field: str, value: object, message: str) -> None:
    record = {**json.loads(texts(image)[KEY]), field: value}
    rewrite(image, np.asarray(Image.open(image)), {KEY: json.dumps(record)})
    with pytest.raises(GanrayError, match=message):
        provenance(image, storage=store)


def claim(image: Path, **changed: object) -> None:
    """Rewrite an image's record, as anybody can."""
    rewrite(image, np.asarray(Image.open(image)), {KEY: json.dumps({**json.loads(texts(image)[KEY]), **changed})})


@pytest.mark.parametrize("settings", [{}, {"storage": "store"}], ids=["claim", "verified"])
def test_no_place_that_a_file_names_is_contacted(
    image: Path, settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    opened: list[object] = []
    monkeypatch.setattr("ganray.generation.provenance.open_store", lambda uri: opened.append(uri) or open_store(uri))
    with socket.create_server(("127.0.0.1", 0)) as attacker:
        attacker.setblocking(False)
        for uri in (f"s3://x/models/m/0002?endpoint_url=http://127.0.0.1:{attacker.getsockname()[1]}", str(tmp_path / "elsewhere")):
            claim(image, artifact=uri)
            assert read_claim(image).artifact == uri
            done = CliRunner().invoke(group, ["provenance", str(image), *(f"--{name}={value}" for name, value in settings.items())])
            assert bool(done.exception) is not bool(settings)
        with pytest.raises(BlockingIOError):
            attacker.accept()
    assert opened == [settings["storage"]] * 2 if settings else opened == []


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_without_a_storage_a_claim_is_called_a_claim_and_is_no_success(image: Path, as_json: list[str]) -> None:
    claim(image, model="\x1b[2Jm", artifact="s3://x\x1b]0;y\x07\n/z")
    done = CliRunner().invoke(group, ["provenance", str(image), *as_json])
    assert "claim" in done.output
    assert "0002" in done.output
    assert not {"\x1b", "\x07"} & set(done.output)
    assert isinstance(done.exception, GanrayError)
    assert "is not verified; name the storage" in str(done.exception)


def test_a_grid_too_large_to_be_made_is_not_believed(image: Path, store: str) -> None:
    record = {**json.loads(texts(image)[KEY]), "num": 1 << 60}
    del record["index"]
    rewrite(image, np.asarray(Image.open(image)), {KEY: json.dumps(record)})
    with pytest.raises(GanrayError, match="claims 1152921504606846976 samples, more than 4096"):
        provenance(image, storage=store)


def test_a_storage_that_moved_is_named(image: Path, store: str, tmp_path: Path) -> None:
    (tmp_path / "store").rename(tmp_path / "moved")
    with pytest.raises(GanrayError, match="there is no model"):
        provenance(image, storage=store)
    assert provenance(image, storage=str(tmp_path / "moved"))["found"] == str(tmp_path / "moved/models/m/0002")


@pytest.mark.parametrize("content", [None, b"", b"no image", b"\x89PNG\r\n\x1a\n", "pipe", "folder"])
def test_a_file_without_a_record_is_refused(tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "x.png"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        os.mkfifo(path) if content == "pipe" else path.mkdir()
    with pytest.raises(GanrayError, match="cannot be read"):
        read_claim(path)
    Image.new("L", (4, 4)).save(tmp_path / "plain.png")
    with pytest.raises(GanrayError, match="has no provenance record"):
        read_claim(tmp_path / "plain.png")


def test_settings_of_a_server_stay_out_of_images(bucket: str, tmp_path: Path) -> None:
    registry = Registry(open_store(f"{bucket}?region=us-east-1"))
    publish(registry, 1.0)
    generate(registry.model("m").uri, num=1, seed=0, out=tmp_path / "made", local=True)
    assert "?" not in texts(tmp_path / "made/000000.png")[KEY]
    assert provenance(tmp_path / "made/000000.png", storage=registry.storage.uri)["largest_difference"] == 0


@pytest.mark.parametrize("out", ["made", "grid.png"])
def test_truncated_samples_say_so_and_are_found_again(image: Path, store: str, tmp_path: Path, out: str) -> None:
    generate(str(tmp_path / "store/models/m"), num=3, seed=3, truncation=0.7, out=tmp_path / out, local=True)
    file = tmp_path / out if out.endswith(".png") else tmp_path / out / "000002.png"
    facts = provenance(file, storage=store)
    assert (facts["truncation"], facts["largest_difference"]) == (0.7, 0)
    record = json.loads(texts(file)[KEY])
    rewrite(file, np.asarray(Image.open(file)), {KEY: json.dumps({**record, "truncation": 2.0})})
    with pytest.raises(GanrayError, match="is not the sample in its record"):
        provenance(file, storage=store)


def test_samples_without_truncation_have_the_record_that_they_had(image: Path) -> None:
    assert "truncation" not in json.loads(texts(image)[KEY])


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan"), float("inf")])
def test_a_threshold_that_truncates_nothing_or_all_is_refused_before_anything_is_written(tmp_path: Path, threshold: float) -> None:
    with pytest.raises(GanrayError, match="--truncation: expected a positive number, got"):
        generate(str(tmp_path / "store/models/m"), num=1, seed=0, truncation=threshold, out=tmp_path / "made", local=True)
    assert not (tmp_path / "made").exists()
