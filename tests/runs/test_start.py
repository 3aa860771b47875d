"""Transfer learning: `train.start_from` begins with the weights of a published version, which the run's record keeps."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import safetensors.torch
import torch
from torch import Tensor

from ganray.config import Job, load_job
from ganray.data.card import DatasetCard
from ganray.errors import ArtifactError, ConfigError, DataError
from ganray.gan.prior import Prior
from ganray.gan.state import GanState, create_state
from ganray.registry.manifest import GENERATOR
from ganray.registry.promotion import promote_if_better
from ganray.registry.registry import Registry
from ganray.runs.checkpoint import STATE, serialise
from ganray.runs.run import Run
from ganray.runs.start import find_start, load_start, record_start, start_origin
from ganray.runs.status import Progress
from ganray.storage import open_store
from ganray.train.context import WorkerContext, fresh_state
from tests.helpers.artifacts import NETWORKS, PROTOCOL, SHAPE, artifact, never
from tests.helpers.cards import card

QUICKSTART = Path(__file__).parents[2] / "jobs/quickstart.yaml"
CARD = card(name="mine")
CLASSES = ["boot", "coat", "dress"]


def job_for(uri: str, *overrides: str) -> Job:
    """Return a job whose generator is built as that of the tests' artifacts."""
    small = ["data.resolution=16", "networks={kind: dcgan, width: 8, latent_dim: 8, ghost_batch: 4}"]
    return load_job(QUICKSTART, [*small, f"train.start_from={uri}", *overrides])


def publish(storage: Path, seed: int, *, lineage: dict[str, Any] | None = None, classes: list[str] | None = None) -> str:
    """Publish a version, which becomes the model's best, and return the model's URI."""
    registry = Registry(open_store(storage))
    number = registry.publish("m", artifact(seed, classes=classes), lineage or {}, key=str(seed))
    promote_if_better(registry.model("m"), number, 10.0 - seed, PROTOCOL, rescore=never)
    return registry.model("m").uri


def new_state(job: Job, *, seed: int = 9) -> GanState:
    return create_state(job.networks, SHAPE, seed=seed, device=torch.device("cpu"))


def started(run: Run, job: Job) -> GanState:
    """Return the state that a run starts from, after its record was written."""
    state = new_state(job)
    load_start(state, run)
    return state


def record(run: Run, job: Job, card: DatasetCard) -> None:
    """Copy what a job starts from to a run's record, as the driver does."""
    start = find_start(job)
    assert start
    record_start(run, job, start, card)


def assert_equal(network: torch.nn.Module, expected: dict[str, Tensor]) -> None:
    assert network.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in network.state_dict().items())


def test_generator_and_ema_start_from_the_version_and_the_discriminator_anew(tmp_path: Path) -> None:
    job, run = job_for(publish(tmp_path, 1)), Run(open_store(tmp_path), "runs/new")
    record(run, job, CARD)
    state, expected = started(run, job), safetensors.torch.load(artifact(1)[GENERATOR])
    assert_equal(state.generator, expected)
    assert_equal(state.generator_ema, expected)
    assert_equal(state.discriminator, new_state(job).discriminator.state_dict())
    origin = start_origin(run)
    assert origin is not None
    assert (origin["model"], origin["version"], origin["discriminator"]) == ("m", "0001", None)


def test_what_the_run_starts_from_stays_when_the_best_moves_on_or_is_gone(tmp_path: Path) -> None:
    job, run = job_for(publish(tmp_path / "there", 1)), Run(open_store(tmp_path / "here"), "runs/new")
    record(run, job, CARD)
    publish(tmp_path / "there", 2)
    before = started(run, job).generator.state_dict()
    assert_equal(started(run, job).generator, safetensors.torch.load(artifact(1)[GENERATOR]))
    (tmp_path / "there").rename(tmp_path / "gone")
    assert_equal(started(run, job).generator, before)


def train_elsewhere(storage: Path, *, networks: Any = NETWORKS) -> tuple[GanState, dict[str, Any]]:
    """Leave a training checkpoint in a storage, and return its state and what a version's lineage says of it."""
    run = Run(open_store(storage), "runs/old")
    state = create_state(networks, SHAPE, seed=4, device=torch.device("cpu"))
    checkpoint = run.checkpoints.save({STATE: serialise(state.state_dict())}, images_seen=64, attempt=0, progress=Progress())
    return state, {"run": run.uri, "checkpoint": checkpoint.name}


def test_the_discriminator_comes_from_the_version_s_own_training_where_the_storage_has_it(tmp_path: Path) -> None:
    trained, lineage = train_elsewhere(tmp_path)
    job, run = job_for(publish(tmp_path, 1, lineage=lineage)), Run(open_store(tmp_path), "runs/new")
    record(run, job, CARD)
    assert_equal(started(run, job).discriminator, trained.discriminator.state_dict())
    assert_equal(started(run, job).generator, safetensors.torch.load(artifact(1)[GENERATOR]))
    origin = start_origin(run)
    assert origin is not None
    assert origin["discriminator"] == "runs/old@000-000000000064"


@pytest.mark.parametrize("which", ["elsewhere", "other", "climbing", "pruned", "odd"])
def test_no_other_discriminator_is_looked_for(tmp_path: Path, which: str) -> None:
    other = NETWORKS.model_copy(update={"discriminator_norm": "none"})
    folder, networks = tmp_path / ("a" if which == "elsewhere" else "b"), other if which == "other" else NETWORKS
    _, lineage = train_elsewhere(folder, networks=networks)
    changed = {
        "climbing": {"run": f"{tmp_path}/b/runs/../runs/old"},
        "pruned": {"checkpoint": "000-000000000128"},
        "odd": {"checkpoint": "../../old/checkpoints/000-000000000064"},
    }
    job = job_for(publish(tmp_path / "b", 1, lineage={**lineage, **changed.get(which, {})}))
    run = Run(open_store(tmp_path / "b"), "runs/new")
    record(run, job, CARD)
    assert_equal(started(run, job).discriminator, new_state(job).discriminator.state_dict())


@pytest.mark.parametrize(
    ("job", "is_alike"),
    [
        ({"networks": {"discriminator_norm": "none"}}, False),
        ({"penalties": {"spectral_norm": True}}, False),
        ({"networks": {"ghost_batch": 8, "minibatch_std": False}, "penalties": {"spectral_norm": False}}, True),
        ({"networks": "dcgan", "penalties": None}, True),
        ("hostile", True),
    ],
)
def test_a_discriminator_that_its_lineage_says_was_built_otherwise_stays_behind(tmp_path: Path, job: Any, is_alike: bool) -> None:
    _, lineage = train_elsewhere(tmp_path)
    run = Run(open_store(tmp_path), "runs/new")
    record(run, job_for(publish(tmp_path, 1, lineage={**lineage, "job": job})), CARD)
    origin = start_origin(run)
    assert origin is not None
    assert origin["discriminator"] == ("runs/old@000-000000000064" if is_alike else None)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("networks.width=16", "networks.width: the generator of {} has 8 and this job 16; use 8, or another train.start_from"),
        ("networks.latent_dim=16", "networks.latent_dim: the generator of {} has 8 and this job 16; use 8"),
        ("networks={kind: r3gan, latent_dim: 8}", "networks.kind: the generator of {} has dcgan and this job r3gan; use dcgan"),
        ("data.resolution=32", "data.resolution: the generator of {} has [16, 16] and this job [32, 32]; use [16, 16]"),
        ("data.channels=3", "data.channels: the generator of {} has 1 and this job 3; use 1"),
        ("networks.conditional=true", "networks.conditional: the generator of {} has False and this job True; use False"),
    ],
)
def test_another_generator_is_refused_before_anything_starts(tmp_path: Path, override: str, message: str) -> None:
    model = publish(tmp_path, 1)
    with pytest.raises(ConfigError) as raised:
        find_start(job_for(model, override))
    assert str(raised.value).startswith(message.format(f"{model}/0001"))


@pytest.mark.parametrize("override", ["networks.ghost_batch=8", "networks.discriminator_norm=none", "networks.minibatch_std=true"])
def test_what_is_the_discriminator_s_may_differ(tmp_path: Path, override: str) -> None:
    assert find_start(job_for(publish(tmp_path, 1), override)) is not None


def test_a_version_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no published generator"):
        find_start(job_for(str(tmp_path / "models/none")))
    assert find_start(load_job(QUICKSTART)) is None


@pytest.mark.parametrize(("counts", "fits"), [([1, 2, 3], True), ([5, 5], False)])
def test_a_conditional_version_has_as_many_classes_as_the_data(tmp_path: Path, counts: list[int], fits: bool) -> None:
    job = job_for(publish(tmp_path, 1, classes=CLASSES), "networks.conditional=true")
    run, mine = Run(open_store(tmp_path), "runs/new"), card(sum(counts), name="mine", class_counts=counts)
    if fits:
        record(run, job, mine)
        return
    with pytest.raises(ConfigError, match=r"train\.start_from: the generator of .* has 3 classes and mine has 2"):
        record(run, job, mine)
    assert not run.store.list("start")


def test_workers_begin_with_it_at_every_start_and_in_every_trial(tmp_path: Path) -> None:
    job, sweep = job_for(publish(tmp_path, 1), "networks.conditional=false"), Run(open_store(tmp_path), "sweeps/s")
    record(sweep, job, CARD)
    dataset = cast(Any, SimpleNamespace(card=CARD))
    context = WorkerContext(job, sweep, dataset, None, cast(Any, None), None, start=sweep)
    trial = replace(context, run=Run(open_store(tmp_path), "sweeps/s/trials/0000"))
    states = [fresh_state(each, torch.device("cpu")) for each in (context, context, trial)]
    for state in states:
        assert_equal(state.generator, safetensors.torch.load(artifact(1)[GENERATOR]))
        assert_equal(state.discriminator, states[0].discriminator.state_dict())
    assert context.prior == Prior(8)


def test_weights_that_are_gone_from_the_record_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"start\.safetensors is gone; restore it, or use another name"):
        started(Run(open_store(tmp_path), "runs/new"), job_for("x"))
