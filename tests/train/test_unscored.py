"""`evaluate: none`: generators are kept without scores, published by hand, and never become a model's best by themselves."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from safetensors.torch import save

from ganray.config import Job, check_job
from ganray.errors import ConfigError
from ganray.gan.networks import build_networks
from ganray.registry.alias import read_best
from ganray.registry.artifact import load_generator
from ganray.registry.registry import Registry
from ganray.registry.verify import verify_model
from ganray.runs.checkpoint import GENERATOR, STATE
from ganray.runs.run import Run
from ganray.runs.status import Progress
from ganray.storage import open_store
from ganray.sweep.plan import check_space
from ganray.train.dry_run import plan
from ganray.train.publish import publish_run
from ganray.train.worker.evaluator import Evaluator
from tests.helpers.shards import FOLDER, write_numbered

SHAPE = (1, 16, 16)
SECTIONS: dict[str, Any] = {"name": "plain", "data": {"resolution": 16, "channels": 1}, "networks": {"width": 8, "latent_dim": 8}}


def job(evaluate: object = "none", **sections: object) -> Job:
    return check_job({**SECTIONS, "use_gpu": False, "evaluate": evaluate, **sections})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that is not scored, with a checkpoint and no generator yet."""
    storage = open_store(tmp_path)
    dataset = write_numbered(storage, count=10, rows_per_shard=10, shape=SHAPE)
    storage.write(f"{FOLDER}/card.json", dataset.card.model_dump_json().encode())
    made = Run(storage, "runs/plain")
    made.record(job(), dataset)
    made.checkpoints.save({STATE: b"s"}, images_seen=64, attempt=0, progress=Progress())
    return made


def keep_generator(run: Run, *, images_seen: int) -> None:
    generator, _ = build_networks(job().networks, SHAPE, seed=images_seen)
    files: dict[str, bytes | Path] = {STATE: b"s", GENERATOR: save(dict(generator.state_dict()))}
    run.checkpoints.save(files, images_seen=images_seen, attempt=0, progress=Progress())


@pytest.mark.parametrize(
    ("evaluate", "enabled"), [("none", False), ({"enabled": False}, False), ({}, True), ({"every": 10}, True), ({"enabled": True}, True)]
)
def test_the_section_can_be_none(evaluate: object, enabled: bool) -> None:
    assert job(evaluate).evaluate.enabled is enabled


@pytest.mark.parametrize("evaluate", ["nothing", "None", 0, [], None])
def test_no_other_text_is_none(evaluate: object) -> None:
    with pytest.raises(ConfigError, match=r"^evaluate: expected"):
        job(evaluate)


def test_a_dry_run_says_so() -> None:
    rows = plan(job())
    assert rows["evaluations"] == "none; a generator is kept every 100,000 images"
    assert rows["publishes"] == "nothing until `ganray publish`"


def test_a_sweep_needs_scores() -> None:
    searched = job(sweep={"space": {"optimizer.generator.lr": {"loguniform": [1e-5, 1e-1]}}})
    with pytest.raises(ConfigError, match="evaluate: is none, and a sweep compares scores"):
        check_space(searched)


def test_nothing_is_scored() -> None:
    nothing = cast(Any, None)
    context = cast(Any, SimpleNamespace(job=job(), evaluation=None))
    evaluator = Evaluator(context, torch.device("cpu"), best=None)
    evaluator.evaluate(nothing, nothing, nothing)
    assert evaluator.best is None


def test_the_newest_generator_is_published_by_hand_and_is_nobodys_best(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run 'plain' has no generator yet"):
        publish_run(str(tmp_path), "plain")
    for images_seen in (128, 192):
        keep_generator(run, images_seen=images_seen)
    run.checkpoints.save({STATE: b"s"}, images_seen=256, attempt=0, progress=Progress())
    uri = publish_run(str(tmp_path), "plain")
    assert publish_run(str(tmp_path), "plain") == uri  # once
    registry = Registry(open_store(tmp_path))
    (version,) = registry.versions("plain")
    assert (version.images_seen, version.score, version.is_best) == (192, None, False)
    assert read_best(registry.model("plain")) is None
    assert load_generator(uri).latent_dim == 8
    assert set(map(tuple, verify_model(registry, "plain").values())) == {()}
