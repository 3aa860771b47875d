"""What the README promises of the commands, on one small published run and on images in a folder.

Each command runs in a process of its own once; then in this one.
"""

import json
import re
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ganray.metrics.feature_extractor import extractor_hash
from ganray.modalities.image import grid
from ganray.runs.run import Run
from ganray.storage import open_store
from tests.helpers.commands import succeed, succeed_here
from tests.helpers.rays import SHARED_RAY
from tests.helpers.runs import REPOSITORY, TINY

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("ray_address")]

FASHION_MNIST = ["jobs/fashion-mnist.yaml", "networks.width=32"]  # as the README types it; the rest keeps it short
BRIEF = [*TINY, "name=quickstart", "publish.model=quickstart", "data.source.split=test", "resources.cpus_per_worker=0.5"]
BRIEF += ["loss={kind: hinge}", "penalties={r1_gamma: 1.0, every: 4}"]  # as the job says, where the tiny one says otherwise
BRIEF += [f"optimizer.{network}={{lr: 1e-4, beta1: 0.0}}" for network in ("generator", "discriminator")]  # without its schedules
BRIEF += ["train.precision=float32", "train.checkpoint_every=5120", "train.samples_every=5120"]
BRIEF += ["evaluate.every=5120", "evaluate.num_samples=256", "publish.directions=2"]
WEIGHTS_AGREE_TO = 2e-3  # by one worker and by two, 70 steps from one state: measured 3e-4, where the steps moved weights by 4e-2


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def state(storage: Path) -> dict[str, torch.Tensor]:
    """Return the weights of both networks as a run ended with them."""
    state = Run(open_store(storage), "runs/quickstart").checkpoints.latest().state()
    return {f"{part}.{name}": tensor for part in ("generator", "discriminator") for name, tensor in state[part].items()}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage of one brief run by three workers, published; what the command printed as JSON lies in `printed.json`."""
    storage = tmp_path_factory.mktemp("cwd") / "store"
    told = ["track=[tensorboard]", f"storage={storage}", "--address", SHARED_RAY.address(), "--json"]
    printed = succeed("train", *FASHION_MNIST, "workers=3", *BRIEF, "train.total_images=640", *told)
    (storage / "printed.json").write_text(printed)
    return storage


@pytest.fixture(scope="module")
def seventy(storage: Path) -> Path:
    """70 samples that Ray made from the model's folder, as files."""
    out = storage / "seventy"
    succeed("generate", str(storage / "models/quickstart"), "--num", "70", "--out", str(out), "--address", SHARED_RAY.address())
    return out


def pixels(folder: Path) -> np.ndarray:
    """Return a folder's images, in the order of their names, as [N, H, W] or, in colour, [N, H, W, C]."""
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])


def test_train_prints_its_result_as_json(storage: Path) -> None:
    printed = read_json(storage / "printed.json")
    assert (printed["ended"], printed["images_seen"], printed["was_finished"]) == ("done", 640, False)
    assert printed["version"] == str(storage / "models/quickstart/0001")
    assert printed["scores"] == read_json(storage / "models/quickstart/0001/metrics.json")["scores"]
    assert len(read_json(storage / "models/quickstart/0001/directions.json")["directions"]) == 2


def test_tensorboard_was_told_of_the_training(storage: Path) -> None:
    found = EventAccumulator(str(storage / "tensorboard/quickstart")).Reload()
    assert found.Scalars("loss/generator")[-1].step == found.Images("samples")[-1].step == 640
    assert found.Scalars("metric/frechet")[-1].value == pytest.approx(read_json(storage / "printed.json")["scores"]["metric/frechet"])
    version = found.Tensors("version/text_summary")[-1].tensor_proto.string_val[0].decode()
    assert version == str(storage / "models/quickstart/0001")


def test_directions_are_found_in_what_was_trained(storage: Path) -> None:
    out = storage / "directions"
    found = json.loads(succeed("directions", str(storage / "models/quickstart"), "--num", "2", "--out", str(out), "--json"))
    published = read_json(storage / "models/quickstart/0001/directions.json")["directions"]
    assert [entry["vector"] for entry in found["directions"]] == [entry["vector"] for entry in published]
    assert max(found["directions"][0]["effects"].values()) > 0
    assert (out / "directions.png").exists()


def test_prepare_finds_what_training_prepared(ray_address: str, storage: Path) -> None:
    before = sorted(storage.glob("datasets/**/*.parquet"))
    card = json.loads(succeed("prepare", *FASHION_MNIST, *BRIEF, f"storage={storage}", "--address", ray_address, "--json"))
    assert (card["count"], card["channels"], card["height"], len(card["classes"])) == (10_000, 1, 16, 10)
    assert [str(path.parent) for path in before] == [card["uri"]] * len(card["shards"])
    assert sorted(storage.glob("datasets/**/*.parquet")) == before


def test_publishing_again_by_hand_gives_the_same_version(storage: Path) -> None:
    printed = [json.loads(run("publish", "quickstart", "--storage", str(storage), "--json")) for run in (succeed, succeed_here)]
    assert printed == [{"version": str(storage / "models/quickstart/0001")}] * 2


def test_models_list_shows_versions_and_marks_the_best(storage: Path) -> None:
    (version,) = json.loads(succeed("models", "list", "--storage", str(storage), "--json"))
    assert (version["model"], version["version"], version["is_best"], version["images_seen"]) == ("quickstart", "0001", True, 640)
    assert version["score"] == read_json(storage / "models/quickstart/0001/metrics.json")["scores"]["metric/frechet"]
    header, line = succeed_here("models", "list", "quickstart", "--storage", str(storage)).splitlines()
    assert header.split() == ["model", "version", "score", "images", "published"]
    assert re.fullmatch(r"quickstart +0001 +frechet [\d.]+ +640 +\S+ \S+ +best", line)


def test_samples_are_the_same_from_ray_and_in_process_from_model_and_version(storage: Path, seventy: Path) -> None:
    version, parquet = storage / "models/quickstart/0001", storage / "ten.parquet"
    succeed("generate", str(version), "--num", "10", "--out", str(parquet), "--local")
    table = pq.read_table(parquet)
    assert table["index"].to_pylist() == list(range(10))
    ten = np.stack([np.asarray(Image.open(BytesIO(image["bytes"]))) for image in table["image"].to_pylist()])
    assert ten.shape == (10, 16, 16)
    made = pixels(seventy)
    assert made.shape == (70, 16, 16)
    assert len(np.unique(made, axis=0)) == 70
    np.testing.assert_array_equal(made[:10], ten)


def test_a_grid_shows_the_samples_and_another_seed_shows_others(storage: Path, seventy: Path) -> None:
    expected = np.asarray(grid(pixels(seventy)[:64, None]))
    for seed, same in ((0, True), (1, False)):
        out = storage / f"grid-{seed}.png"
        succeed_here("generate", str(storage / "models/quickstart"), "--num", "64", "--seed", str(seed), "--out", str(out), "--local")
        assert np.array_equal(np.asarray(Image.open(out)), expected) is same


def test_the_python_of_readme_and_pages_loads_what_was_published(storage: Path) -> None:
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    blocks = [block for page in pages for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)]
    code = "\n".join(f"{block}\nprint(tuple(samples.shape)[1:], bool((samples.abs() <= 1).all()))" for block in blocks)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=storage.parent)
    assert done.stdout == "(1, 16, 16) True\n" * len(blocks), done.stderr


@pytest.mark.slow
def test_a_finished_run_goes_on_for_more_images_with_any_number_of_workers(ray_address: str, storage: Path, tmp_path: Path) -> None:
    ended = {}
    for workers in (2, 1):
        copy = shutil.copytree(storage, tmp_path / str(workers))
        more = ["train.total_images=5120", f"workers={workers}", f"storage={copy}"]
        printed = json.loads(succeed("train", *FASHION_MNIST, *BRIEF, *more, "--address", ray_address, "--json"))
        assert (printed["images_seen"], printed["best_images_seen"], printed["was_finished"]) == (5120, 5120, False)
        assert printed["version"] == str(copy / "models/quickstart/0002")
        assert read_json(copy / "models/quickstart/best.json")["version"] == "0002"
        ended[workers] = state(copy)
    for name, tensor in ended[2].items():
        torch.testing.assert_close(ended[1][name], tensor, rtol=0, atol=WEIGHTS_AGREE_TO, msg=lambda text, name=name: f"{name}: {text}")
    start = state(storage)
    assert any((ended[2][name] - tensor).abs().max() > 5 * WEIGHTS_AGREE_TO for name, tensor in start.items())


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 80 colour images without classes: a bright bar above darkness, so that rotations can be told."""
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(80):
        image = random.integers(0, 60, (40, 80, 3), dtype=np.uint8)
        image[: random.integers(6, 16)] = random.integers(120, 255, 3)
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder


def test_images_without_classes_are_scored_by_rotations_and_published_by_hand(ray_address: str, image_folder: Path, tmp_path: Path) -> None:
    folder = ["jobs/folder.yaml", f"data.source.path={image_folder}", f"storage={tmp_path}", "name=bars", "publish.model=bars"]
    folder += ["data.resolution=[32, 64]", "data.channels=3", "evaluate.extractor.kind=rotation", "--json"]
    weights = tmp_path / "new" / "bars.safetensors"
    fitted = json.loads(
        succeed("fit-extractor", *folder, "evaluate.extractor.fit_images=640", "--out", str(weights), "--address", ray_address)
    )
    assert (fitted["kind"], fitted["hash"]) == ("rotation", extractor_hash(weights.read_bytes()))
    brief = ["networks.width=8", "train.total_images=640", "evaluate.num_samples=256", "publish.auto=false"]
    printed = json.loads(succeed_here("train", *folder, *brief, f"evaluate.extractor.weights={weights}"))
    assert (printed["ended"], printed["version"]) == ("done", None)
    assert not (tmp_path / "models").exists()
    published = [succeed_here("publish", "bars", "--storage", str(tmp_path)) for _ in range(2)]
    assert published == [f"published  {tmp_path}/models/bars/0001\n"] * 2
    assert read_json(tmp_path / "models/bars/0001/metrics.json")["protocol"]["extractor"] == fitted["hash"]
    succeed_here("generate", str(tmp_path / "models/bars"), "--num", "3", "--out", str(tmp_path / "made"), "--local")
    assert pixels(tmp_path / "made").shape == (3, 32, 64, 3)
