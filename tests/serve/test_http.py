"""The HTTP interface: samples are those that `ganray generate` writes, limits are clear, a promotion drops nothing."""

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from starlette.testclient import TestClient

from ganray.config import WaveganNetworks
from ganray.errors import ArtifactError
from ganray.gan.networks import build_networks
from ganray.gan.prior import Prior
from ganray.generation.batch import generate
from ganray.generation.provenance import provenance
from ganray.modalities.sound.codec import WaveCodec
from ganray.modalities.sound.decoding import Clip
from ganray.registry.alias import move_alias, read_tagged_best
from ganray.registry.generator_config import generator_config
from ganray.registry.manifest import CARD, CONFIG, GENERATOR, to_json
from ganray.registry.promotion import promote
from ganray.registry.registry import Registry
from ganray.registry.signing import load_public_key
from ganray.serve.versions import Versions
from ganray.storage import open_store
from tests.helpers.artifacts import artifact, make_keys, publish
from tests.helpers.serving import LocalServer

CLASSES = ["cat", "dog", "owl"]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Generate on one thread, as replicas do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A storage whose model m has two versions, of which the second is the best, and model c, conditional, one."""
    registry = Registry(open_store(tmp_path / "store"))
    publish(registry, 2.0, 1.0)
    registry.publish("c", {**artifact(contrast=8.0, classes=CLASSES), CARD: b"# A card"}, {"images_seen": 7}, key="a")
    return tmp_path / "store"


@pytest.fixture
def server(storage: Path) -> LocalServer:
    return LocalServer(Versions(str(storage / "models/m")))


@pytest.fixture
def client(server: LocalServer) -> TestClient:
    return server.client()


@pytest.fixture
def conditional(storage: Path) -> TestClient:
    return LocalServer(Versions(str(storage / "models/c/0001"))).client()


def array(client: TestClient, **query: object) -> np.ndarray:
    answer = client.get("/samples", params={"format": "npy", **query})
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


def test_one_sample_is_the_file_of_generate(client: TestClient, storage: Path, tmp_path: Path) -> None:
    generate(str(storage / "models/m"), num=71, seed=5, out=tmp_path / "made", local=True)
    for index in (0, 1, 63, 64, 70):
        answer = client.get("/samples", params={"seed": 5, "start": index, "num": 1})
        assert answer.content == (tmp_path / f"made/{index:06d}.png").read_bytes()


def test_a_grid_is_the_file_of_generate(client: TestClient, storage: Path, tmp_path: Path) -> None:
    generate(str(storage / "models/m"), num=70, seed=5, truncation=0.5, out=tmp_path / "made.png", local=True)
    answer = client.get("/samples", params={"seed": 5, "num": 70, "truncation": 0.5})
    assert answer.content == (tmp_path / "made.png").read_bytes()
    assert answer.headers["content-type"] == "image/png"


def test_a_class_is_that_of_generate(conditional: TestClient, storage: Path, tmp_path: Path) -> None:
    generate(str(storage / "models/c/0001"), num=9, seed=1, label="dog", out=tmp_path / "made.png", local=True)
    assert conditional.get("/samples", params={"seed": 1, "num": 9, "class": "dog"}).content == (tmp_path / "made.png").read_bytes()


def test_samples_do_not_depend_on_how_they_are_asked_for(client: TestClient) -> None:
    whole = array(client, num=150)
    assert whole.shape == (150, 1, 16, 16)
    assert whole.dtype == np.uint8
    for start, num in ((0, 1), (7, 3), (60, 10), (128, 22), (149, 1)):
        assert np.array_equal(array(client, start=start, num=num), whole[start : start + num])
    assert not np.array_equal(array(client, num=150, seed=1), whole)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/samples", {"seed": 3, "start": 70, "num": 1}),
        ("/samples", {"seed": 3, "start": 70, "num": 5, "truncation": 0.7}),
        ("/interpolation", {"seed": 3, "from": 70, "to": 2, "num": 6}),
    ],
)
def test_the_provenance_of_every_file_is_verified(client: TestClient, storage: Path, tmp_path: Path, path: str, query: dict) -> None:
    (tmp_path / "made.png").write_bytes(client.get(path, params=query).content)
    facts = provenance(tmp_path / "made.png", storage=str(storage))
    assert (facts["version"], facts["seed"], facts["index"], facts["largest_difference"]) == ("0002", 3, 70, 0)


def test_an_interpolation_begins_and_ends_with_the_samples(client: TestClient, conditional: TestClient) -> None:
    for each in (client, conditional):
        answer = each.get("/interpolation", params={"from": 4, "to": 9, "num": 7, "format": "npy"})
        frames, samples = np.load(io.BytesIO(answer.content)), array(each, num=10)
        assert frames.shape[0] == 7
        assert np.array_equal(frames[0], samples[4])
        assert np.array_equal(frames[-1], samples[9])
        assert len({frame.tobytes() for frame in frames}) == 7


@pytest.mark.parametrize(
    ("query", "status", "field", "problem"),
    [
        ("num=257", 400, "num", "expected at most 256, got 257"),
        ("num=100000000000000000000", 400, "num", "expected a number of at most 4096"),
        ("num=0", 400, "num", "expected a number of at least 1, got '0'"),
        ("num=two", 400, "num", "expected an integer, got 'two'"),
        ("seed=-1", 400, "seed", "expected a number of at least 0"),
        ("start=281474976710655&num=2", 400, "query", "start + num is over"),
        ("truncation=0", 400, "truncation", "expected a number greater than 0"),
        ("truncation=nan", 400, "truncation", "expected a finite number"),
        ("format=gif", 400, "format", "expected 'png', 'npy' or 'wav', got 'gif'"),
        ("class=cat", 400, "class", "this generator is not conditional"),
        ("version=../0001", 400, "version", "expected the number of a version"),
        ("version=0009", 404, "store", "holds no published generator"),
        ("sed=1", 400, "sed", "there is no such parameter"),
        ("num=" + "9" * 5000, 400, "num", "expected an integer"),
    ],
)
def test_a_mistake_is_a_clear_answer(client: TestClient, query: str, status: int, field: str, problem: str) -> None:
    answer = client.get(f"/samples?{query}")
    found = answer.json()
    assert (answer.status_code, set(found)) == (status, {"field", "problem", "remedy"})
    assert field in found["field"]
    assert problem in found["problem"]
    assert len(answer.content) < 600


def test_an_unknown_class_is_answered_with_those_that_there_are(conditional: TestClient) -> None:
    answer = conditional.get("/samples?class=cow")
    assert answer.status_code == 400
    assert answer.json() == {"field": "class", "problem": "there is no class 'cow'", "remedy": "use one of cat, dog, owl"}


def test_paths_methods_and_bodies_that_are_not_expected_are_refused(client: TestClient) -> None:
    assert client.get("/nothing").status_code == 404
    assert client.post("/samples").status_code == 405
    assert client.post("/samples", content=b"x" * 70_000).status_code == 413
    assert client.request("GET", "/samples", content=iter([b"x"])).status_code == 413
    assert client.get("/static-offline-docs/../http.py").status_code == 404


def test_a_client_that_asks_too_fast_is_told_when_to_come_back(storage: Path) -> None:
    client = LocalServer(Versions(str(storage / "models/m")), rate=10.0).client()
    assert client.get("/samples?num=100").status_code == 200
    answer = client.get("/samples?num=20")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 2
    assert "too many samples" in answer.json()["problem"]


def test_versions_that_must_be_loaded_cost_more(storage: Path) -> None:
    client = LocalServer(Versions(str(storage / "models/m")), rate=150.0).client()
    assert client.get("/samples?num=1&version=0001").status_code == 200
    assert client.get("/samples?num=1&version=0001").status_code == 200
    assert client.get("/samples?num=1&version=0009").status_code == 429


def test_facts_health_metrics_and_description(conditional: TestClient) -> None:
    facts = conditional.get("/model").json()
    assert (facts["model"], facts["version"], facts["classes"], facts["shape"]) == ("c", "0001", CLASSES, [1, 16, 16])
    assert facts["scores"] == {"metric/frechet": 1.0}
    assert facts["protocol"]["num_samples"] == 10
    assert (facts["card"], facts["limits"]) == ("# A card", {"num": 256})
    assert conditional.get("/healthz").json() == {"status": "ok", "version": "0001", "problem": None}
    conditional.get("/samples?num=3")
    conditional.get("/samples?num=x")
    metrics = conditional.get("/metrics").text
    assert 'ganray_requests_total{endpoint="/samples",status="200"} 1.0' in metrics
    assert 'ganray_requests_total{endpoint="/samples",status="400"} 1.0' in metrics
    assert 'ganray_samples_total{version="0001"} 3.0' in metrics
    parameters = conditional.get("/openapi.json").json()["paths"]["/samples"]["get"]["parameters"]
    assert {"seed", "start", "num", "class", "truncation", "version", "format"} <= {parameter["name"] for parameter in parameters}
    assert "http://" not in (docs := conditional.get("/docs").text)
    assert "https://" not in docs


def test_sounds_are_waves_whose_provenance_is_verified(tmp_path: Path) -> None:
    codec, networks = WaveCodec(Clip(rate=8000, samples=4096)), WaveganNetworks(width=4, latent_dim=8)
    generator, _ = build_networks(networks, codec.shape, seed=0)
    config = to_json(generator_config(networks, codec, Prior(8), None))
    files = {**artifact(), GENERATOR: safetensors.torch.save(generator.state_dict()), CONFIG: config}
    Registry(open_store(tmp_path / "store")).publish("s", files, {}, key="a")
    client = LocalServer(Versions(str(tmp_path / "store/models/s/0001"))).client()
    for name, query in (("one", "start=70&num=1"), ("many", "start=3&num=5")):
        (tmp_path / f"{name}.wav").write_bytes(client.get(f"/samples?seed=2&format=wav&{query}").content)
        facts = provenance(tmp_path / f"{name}.wav", storage=str(tmp_path / "store"))
        assert (facts["seed"], facts["largest_difference"]) == (2, 0)
    assert array(client, num=3).shape == (3, 1, 4096)
    page = client.get("/").text
    assert '"savedAs": "wav"' in page
    assert "Download wav" in page


def test_a_format_that_samples_do_not_have_is_refused(client: TestClient) -> None:
    answer = client.get("/samples?format=wav")
    assert answer.status_code == 400
    assert answer.json() == {"field": "format", "problem": "16 x 16 grey images are not written as wav", "remedy": "use png or npy"}


def test_links_with_a_version_go_on_and_may_be_kept(client: TestClient) -> None:
    old, best = client.get("/samples?version=0001&num=1"), client.get("/samples?num=1")
    assert (old.headers["x-ganray-version"], best.headers["x-ganray-version"]) == ("0001", "0002")
    assert old.content != best.content
    assert "immutable" in old.headers["cache-control"]
    assert best.headers["cache-control"] == "no-cache"
    assert client.get("/samples?version=0002&num=1&download=true").headers["content-disposition"].startswith("attachment")


def test_a_promoted_version_is_served_soon_and_a_broken_one_is_not(server: LocalServer, storage: Path) -> None:
    registry = Registry(open_store(storage))
    with server.client() as client:
        before = client.get("/samples?num=4&format=npy").content
        promote(registry, "m", "0001", why="to see it")
        deadline = time.monotonic() + 20
        while client.get("/healthz").json()["version"] != "0001":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert client.get("/samples?num=4&format=npy").content != before
        assert client.get("/samples?num=4&format=npy&version=0002").content == before
        weights = storage / "models/m/0002/generator.safetensors"
        server.versions._others.clear()
        weights.write_bytes(weights.read_bytes()[:-1] + b"x")
        seen = read_tagged_best(registry.model("m"))
        assert move_alias(registry.model("m"), seen, "promote", replace(seen.best, version="0002"), "as before")
        while not (problem := client.get("/healthz").json()["problem"]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert "does not have the published SHA-256" in problem
        assert client.get("/samples?num=1").headers["x-ganray-version"] == "0001"


def test_with_a_key_only_signed_versions_are_served(tmp_path: Path) -> None:
    private, public = make_keys(tmp_path)
    registry = Registry(open_store(tmp_path / "store"))
    publish(registry, 2.0, signing_key=private)
    publish(registry, 3.0)
    key = load_public_key(public, field="--public-key")
    client = LocalServer(Versions(str(tmp_path / "store/models/m"), public_key=key)).client()
    assert client.get("/samples?num=1").status_code == 200
    answer = client.get("/samples?num=1&version=0002")
    assert (answer.status_code, answer.json()["problem"]) == (404, "is not signed")
    with pytest.raises(ArtifactError, match="is not signed"):
        Versions(str(tmp_path / "store/models/m/0002"), public_key=key)


def test_large_images_lower_the_limit_of_an_answer(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganray.serve.http.MAX_ANSWER_BYTES", 16 * 16 * 10)
    client = server.client()
    assert client.get("/model").json()["limits"] == {"num": 10}
    assert client.get("/samples?num=10").status_code == 200
    assert "at most 10" in client.get("/samples?num=11").json()["problem"]


def test_the_page_names_the_version_and_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "version 0002, the best" in page.text
    assert "http" not in page.text.replace("http-equiv", "")
    nonce = page.headers["content-security-policy"].split("'nonce-")[1].split("'")[0]
    assert f'<script nonce="{nonce}">' in page.text
    assert "Show the best one, 0002" in client.get("/?version=0001").text
