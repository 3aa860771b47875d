"""A cluster that vanishes leaves its best so far, signed as the job asks, with a card and a lineage."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from ganray.registry.alias import read_best, read_history
from ganray.registry.artifact import load_generator
from ganray.registry.registry import Registry
from ganray.registry.verify import verify_model
from ganray.storage import open_store
from tests.helpers.artifacts import make_keys
from tests.helpers.commands import ganray_here
from tests.helpers.refusals import mistake
from tests.helpers.runs import ganray, kill_driver, training, wait_until

pytestmark = pytest.mark.cluster

OFTEN = ["evaluate.every=3200", "evaluate.num_samples=256", "publish.every=3200", "train.total_images=192000"]


@pytest.mark.slow
def test_a_driver_that_is_killed_leaves_its_best_so_far(tmp_path: Path) -> None:
    private, public = make_keys(tmp_path)
    storage = tmp_path / "store"
    stated = [f"publish.signing_key={private}", "publish.licence=mit", "publish.intended_use=tests alone"]
    with training(storage, *OFTEN, *stated) as driver:
        wait_until(lambda: list(storage.glob("models/tiny/*/manifest.json")), driver)
        wait_until(lambda: (storage / "models/tiny/best.json").exists(), driver)
        kill_driver(driver)
    registry = Registry(open_store(storage))
    uri = registry.model("tiny").uri
    assert load_generator(uri, public_key=public).latent_dim == 64
    assert set(map(tuple, verify_model(registry, "tiny", public_key=public).values())) == {()}
    left = read_best(registry.model("tiny"))
    done = ganray("publish", "tiny", "--storage", str(storage))  # what was found since, by hand
    assert done.returncode == 0, done.stdout + done.stderr
    events = read_history(registry.model("tiny"))
    assert events[0].to_version == "0001"
    assert events[-1].to_score <= left.score
    newest = registry.versions("tiny")[-1]
    manifest = json.loads(Path(newest.uri, "manifest.json").read_text())
    if int(newest.version) > 1:
        assert manifest["lineage"]["parent"] == f"{int(newest.version) - 1:04d}"
    card = ModelCard.load(f"{newest.uri}/README.md")
    assert (card.data.license, card.data.model_name) == ("mit", "tiny")
    assert "tests alone" in card.text
    assert private.read_text().splitlines()[1] not in "".join(path.read_text() for path in storage.rglob("*.json"))


def test_a_signing_key_that_is_not_there_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    field, line = mistake(
        ganray_here("train", "jobs/quickstart.yaml", f"storage={tmp_path / 'store'}", f"publish.signing_key={tmp_path / 'key.pem'}")
    )
    assert field == "publish.signing_key"
    assert "cannot read" in line
    assert not (tmp_path / "store").exists()
