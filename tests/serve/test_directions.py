"""Published directions over HTTP and on the page: samples are moved along them, files are traced, and other versions have none."""

import contextlib
import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import uvicorn
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient

from ganray.errors import ArtifactError, DataError
from ganray.gan.sampling import sample_inputs
from ganray.generation.provenance import provenance
from ganray.registry.artifact import load_generator
from ganray.registry.manifest import DIRECTIONS, to_json
from ganray.registry.registry import Registry
from ganray.serve.versions import Versions
from ganray.storage import open_store
from ganray.train.publish import describe_directions
from tests.helpers.artifacts import artifact
from tests.helpers.browser import chromium
from tests.helpers.serving import LocalServer

CLASSES = ["cat", "dog", "owl"]
NUM = 3
SCRIPT = """ready.then(async () => {
  const pixels = () => [...document.querySelectorAll("#strip canvas")].map((canvas) => canvas.toDataURL());
  const shown = {before: pixels(), place: document.querySelector("#moved").textContent};
  document.querySelector("#direction").value = "3";
  await choose(chosen);
  const captions = [...document.querySelectorAll("#strip figcaption")].map((caption) => caption.textContent);
  const wide = document.documentElement.scrollWidth - innerWidth, sample = document.querySelector("#sample canvas").toDataURL();
  return {...shown, after: pixels(), captions, wide, sample, link: location.search};
})"""


def with_directions(storage: Path, name: str, content: dict | None = None, classes: list[str] | None = None) -> str:
    """Publish a generator with directions, its own or others, and return the URI of the version."""
    registry, files = Registry(open_store(storage)), artifact(contrast=8.0, classes=classes)
    number = registry.publish(f"{name}-without", files, {}, key="a")
    found = describe_directions(load_generator(str(storage / f"models/{name}-without/{number}")), NUM)
    registry.publish(name, {**files, DIRECTIONS: to_json(content or {"directions": found})}, {}, key="a")
    return str(storage / f"models/{name}/0001")


@pytest.fixture
def version(tmp_path: Path) -> str:
    return with_directions(tmp_path / "store", "m")


@pytest.fixture
def client(version: str) -> TestClient:
    return LocalServer(Versions(version)).client()


@contextlib.contextmanager
def listening(client: TestClient) -> Iterator[str]:
    """Give the address at which a client's application answers browsers."""
    server = uvicorn.Server(uvicorn.Config(client.app, port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(30)


def array(client: TestClient, path: str, **query: object) -> np.ndarray:
    answer = client.get(path, params={"format": "npy", **query})
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


def test_a_sample_is_moved_along_the_published_vector_as_far_as_asked(client: TestClient, version: str) -> None:
    generator = load_generator(version)
    vectors = [entry["vector"] for entry in json.loads((Path(version) / DIRECTIONS).read_text())["directions"]]
    moved = array(client, "/direction", seed=4, index=70, direction=2, reach=2, num=5)
    latents, _ = sample_inputs(generator.prior, seed=4, start=70, num=1)
    steps = torch.tensor([-2.0, -1, 0, 1, 2])[:, None]
    expected = generator.layout.to_samples(generator(latents + steps * torch.tensor(vectors[1])))
    assert np.abs(moved.astype(int) - expected.numpy().astype(int)).max() <= 1
    assert np.array_equal(moved[2], array(client, "/samples", seed=4, start=70, num=1)[0])
    assert len({frame.tobytes() for frame in moved}) == 5
    assert not np.array_equal(moved, array(client, "/direction", seed=4, index=70, direction=1, reach=2, num=5))


def test_the_class_of_a_moved_sample_stays(tmp_path: Path) -> None:
    client = LocalServer(Versions(with_directions(tmp_path / "store", "c", classes=CLASSES))).client()
    moved = array(client, "/direction", **{"class": "owl"}, index=3, truncation=0.7)
    assert np.array_equal(moved[3], array(client, "/samples", **{"class": "owl"}, start=3, num=1, truncation=0.7)[0])
    assert moved.shape == (7, 1, 16, 16)


def test_the_provenance_of_a_strip_is_verified(client: TestClient, tmp_path: Path) -> None:
    file = tmp_path / "strip.png"
    answer = client.get("/direction", params={"seed": 3, "index": 70, "direction": 3, "reach": 1.5})
    assert answer.headers["content-disposition"] == 'inline; filename="m-0001-seed3-70-direction3.png"'
    file.write_bytes(answer.content)
    facts = provenance(file, storage=str(tmp_path / "store"))
    assert (facts["direction"], facts["reach"], facts["index"], facts["largest_difference"]) == (3, 1.5, 70, 0)
    assert facts["samples"] == "7 samples along direction 3 from sample 70"


def test_a_strip_that_claims_a_direction_which_its_version_does_not_have_is_refused(client: TestClient, tmp_path: Path) -> None:
    file = tmp_path / "strip.png"
    content = client.get("/direction").content
    file.write_bytes(content)

    with Image.open(io.BytesIO(content)) as image:
        texts = PngInfo()
        texts.add_text("ganray", image.text["ganray"].replace('"direction":1', '"direction":9'))  # type: ignore[attr-defined]
        image.save(file, pnginfo=texts)
    with pytest.raises(DataError, match="claims direction 9, and its version has 3"):
        provenance(file, storage=str(tmp_path / "store"))


@pytest.mark.parametrize(
    ("query", "field", "problem"),
    [
        ("direction=4", "direction", "expected at most 3, got 4"),
        ("direction=0", "direction", "expected a number of at least 1"),
        ("reach=11", "reach", "expected a number of at most 10"),
        ("reach=0", "reach", "expected a number greater than 0"),
        ("reach=nan", "reach", "expected"),
        ("num=1", "num", "expected a number of at least 2"),
        ("num=300", "num", "expected at most 256, got 300"),
        ("start=1", "start", "there is no such parameter"),
    ],
)
def test_a_mistake_is_a_clear_answer(client: TestClient, query: str, field: str, problem: str) -> None:
    answer = client.get(f"/direction?{query}")
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert problem in answer.json()["problem"]


def test_the_page_and_the_facts_show_directions_only_where_there_are_some(client: TestClient, tmp_path: Path) -> None:
    page, facts = client.get("/").text, client.get("/model").json()
    gains = [entry["gain"] for entry in facts["directions"]]
    assert gains == sorted(gains, reverse=True)
    assert len(gains) == page.count('<option value="') == NUM
    assert f"1 (gain {gains[0]:.3g})" in page
    without = LocalServer(Versions(str(tmp_path / "store/models/m-without/0001"))).client()
    assert without.get("/model").json()["directions"] == []
    assert 'id="direction"' not in without.get("/").text
    answer = without.get("/direction")
    assert (answer.status_code, answer.json()["problem"]) == (400, "this version was published without directions")


def test_the_page_moves_the_chosen_sample_and_its_address_has_the_direction(client: TestClient, tmp_path: Path) -> None:
    with listening(client) as url, chromium(tmp_path / "profile") as browser:
        for width, dark in ((390, True), (1200, False)):
            view = browser.visit(f"{url}?num=9&seed=3&sample=5&direction=2&reach=6", SCRIPT, width=width, dark=dark)
            found = view.result
            assert view.errors == []
            assert (found["place"], found["wide"], found["captions"]) == ("5", 0, ["-6", "-4", "-2", "0", "+2", "+4", "+6"])
            assert found["before"][3] == found["after"][3] == found["sample"]
            assert all(found["before"][place] != found["after"][place] for place in (0, 6))
            assert found["link"] == "?version=0001&seed=3&start=0&num=9&sample=5&direction=3&reach=6"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"directions": [{"gain": 1.0, "vector": [1.0] * 7}]}, "is not of latents of size 8"),
        ({"directions": [{"gain": 1.0, "vector": [1.0] * 8}] * 9}, "is not of latents of size 8"),
        ({"directions": [{"gain": 1.0, "vector": ["1"] * 8}]}, "is not one that ganray writes"),
        ({"directions": "none"}, "is not one that ganray writes"),
    ],
)
def test_a_version_whose_directions_are_not_of_its_generator_is_not_served(tmp_path: Path, content: dict, problem: str) -> None:
    with pytest.raises(ArtifactError, match=problem):
        Versions(with_directions(tmp_path / "store", "m", content))
