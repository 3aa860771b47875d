"""The weights that a run starts from where its job names a published version (`train.start_from`): transfer learning.

They are copied to the run's record when it is created. So a resume does not need the version, a best alias that moves changes
nothing, and every start of workers without a checkpoint begins alike. The discriminator comes along where the job's storage still
has the training checkpoint that the version was published from: both networks matter (Wang et al. 2018, section 3). Nothing else
that an artifact names is opened.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ganray.config import Job, Networks, Penalties
from ganray.data.card import DatasetCard
from ganray.errors import ConfigError, DataError
from ganray.gan.state import GanState
from ganray.registry.artifact import build_checked, open_artifact, read_artifact
from ganray.registry.generator_config import GeneratorConfig, parse_config
from ganray.registry.manifest import CONFIG, GENERATOR
from ganray.runs.checkpoint import DamagedCheckpoint, read_checkpoint
from ganray.runs.run import Run
from ganray.storage import MissingObject, ObjectStore

logger = logging.getLogger(__name__)

WEIGHTS, ORIGIN = "start.safetensors", "start.json"
OF_THE_DISCRIMINATOR = {"discriminator_norm", "minibatch_std", "blocks"}  # fields of networks that decide its weights alone
NOT_OF_WEIGHTS = {*OF_THE_DISCRIMINATOR, "ghost_batch", "temperature", "pretrain_images"}  # that change no weight of a generator
RUN_FOLDER = re.compile(r"(?:runs/[a-z0-9._-]+|sweeps/[a-z0-9._-]+/trials/[0-9]+)(?=$|\?)")


@dataclass(frozen=True)
class Start:
    """A verified version to start from: its files, its config, and the origin that lineages record."""

    files: Mapping[str, bytes]
    config: GeneratorConfig
    origin: dict[str, Any]
    lineage: Mapping[str, Any]


def find_start(job: Job) -> Start | None:
    """Return the version that a new run of a job starts from, None for random weights.

    Raises `ArtifactError` for a version that is missing or damaged, `ConfigError` for one of other networks or another shape.
    """
    if job.train.start_from is None:
        return None
    store = open_artifact(job.train.start_from)
    manifest, files = read_artifact(store)
    build_checked(files, where=store.uri)
    start = Start(
        files,
        parse_config(files[CONFIG]),
        {
            "artifact": store.uri.partition("?")[0],
            "model": manifest.lineage.get("model"),
            "version": manifest.lineage.get("version"),
            "manifest": manifest.hash,
        },
        manifest.lineage,
    )
    _check_networks(job, start)
    return start


def record_start(run: Run, job: Job, start: Start, card: DatasetCard) -> None:
    """Copy the weights that a new run of a job starts from to its record. Raises `ConfigError` for other classes."""
    _check_codec(start, card)
    _check_classes(job.networks, start, card)
    tensors = {f"generator.{name}": tensor for name, tensor in safetensors.torch.load(start.files[GENERATOR]).items()}
    is_alike = _is_discriminator_alike(job.networks, job.penalties, start.lineage)
    checkpoint, discriminator = _find_discriminator(run.storage, start.lineage) if is_alike else (None, {})
    tensors |= {f"discriminator.{name}": tensor.contiguous() for name, tensor in discriminator.items()}
    if not checkpoint:
        logger.warning(
            "train.start_from: the storage has no checkpoint of the version's own training that fits; the discriminator starts anew"
        )
    run.write_start({WEIGHTS: safetensors.torch.save(tensors), ORIGIN: json.dumps({**start.origin, "discriminator": checkpoint}).encode()})


def load_start(state: GanState, run: Run) -> None:
    """Load the weights in a run's record into a state, on its device: the EMA starts as the generator. Raises `DataError`.

    A discriminator of other shapes than its version's lineage let expect is left out.
    """
    try:
        tensors = safetensors.torch.load(run.store.read(WEIGHTS))
    except MissingObject:
        raise DataError("train.start_from", f"{run.uri}/{WEIGHTS} is gone", "restore it, or use another name") from None
    generator, discriminator = (_below(f"{name}.", tensors) for name in ("generator", "discriminator"))
    for network in (state.generator, state.generator_ema):
        network.load_state_dict(generator)
    if _shapes(discriminator) == _shapes(state.discriminator.state_dict()):
        state.discriminator.load_state_dict(discriminator)
    elif discriminator:
        logger.warning("train.start_from: the discriminator of the version's own training does not fit, and starts anew")


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {key: tensor.shape for key, tensor in tensors.items()}


def start_origin(run: Run) -> dict[str, Any] | None:
    """Return which version a run started from, and from which checkpoint its discriminator; None for random weights."""
    if run.exists() and run.job.train.start_from is None:  # what a creation that died has left is not this run's
        return None
    try:
        origin: dict[str, Any] = json.loads(run.store.read(ORIGIN))
    except MissingObject:
        return None
    return origin


def _check_networks(job: Job, start: Start) -> None:
    """Raise `ConfigError` unless a version's generator is built as the job's."""
    theirs: dict[str, Any] = {"data.modality": start.config.codec.kind}
    ours: dict[str, Any] = {"data.modality": job.data.modality.kind}
    if theirs == ours == {"data.modality": "image"}:
        theirs |= {"data.channels": start.config.shape[0], "data.resolution": list(start.config.shape[1:])}
        ours |= {"data.channels": job.data.channels, "data.resolution": [job.data.height, job.data.width]}
    for fields, networks in ((theirs, start.config.networks), (ours, job.networks)):
        fields |= {f"networks.{name}": value for name, value in networks.model_dump(exclude=NOT_OF_WEIGHTS).items()}
    for field in sorted(theirs.keys() | ours.keys(), key=lambda field: (field != "networks.kind", field)):
        if theirs.get(field) != ours.get(field):
            problem = f"the generator of {start.origin['artifact']} has {theirs.get(field)} and this job {ours.get(field)}"
            raise ConfigError(field, problem, f"use {theirs.get(field)}, or another train.start_from")


def _check_codec(start: Start, card: DatasetCard) -> None:
    """Raise `ConfigError` unless the numbers in a version's samples mean what those in the data's do."""
    if start.config.codec.to_json() != card.codec.to_json():
        problem = f"the samples of {start.origin['artifact']} are encoded otherwise than those of {card.name}"
        raise ConfigError("train.start_from", problem, "use a version that was trained on data prepared alike, or null")


def _check_classes(networks: Networks, start: Start, card: DatasetCard) -> None:
    """Raise `ConfigError` unless a conditional version has as many classes as the data."""
    theirs, ours = start.config.prior.num_classes, len(card.class_counts or ())
    if networks.conditional and theirs != ours:
        problem = f"the generator of {start.origin['artifact']} has {theirs} classes and {card.name} has {ours}"
        raise ConfigError("train.start_from", problem, "use data of as many, or networks.conditional=false and an unconditional version")


def _is_discriminator_alike(networks: Networks, penalties: Penalties, lineage: Mapping[str, Any]) -> bool:
    """Return whether a version's discriminator was built as a job's, as far as its lineage tells."""
    job = lineage.get("job")
    theirs = job if isinstance(job, dict) else {}  # nobody has checked what a manifest says
    ours = {"networks": networks.model_dump(include=OF_THE_DISCRIMINATOR), "penalties": penalties.model_dump(include={"spectral_norm"})}
    known = {section: theirs[section] for section in ours if isinstance(theirs.get(section), dict)}
    return all(fields.get(name, value) == value for section, fields in known.items() for name, value in ours[section].items())


def _find_discriminator(storage: ObjectStore, lineage: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Tensor]]:
    """Return the checkpoint of a version's own training and the discriminator in it; None if the job's storage has none."""
    uri, name = str(lineage.get("run")), str(lineage.get("checkpoint"))
    folder = RUN_FOLDER.search(uri)
    if not folder or storage.child(folder[0]).uri != uri or not re.fullmatch(r"[0-9]+-[0-9]+", name):
        return None, {}
    try:
        return f"{folder[0]}@{name}", read_checkpoint(storage.child(folder[0]), name).state()["discriminator"]
    except DamagedCheckpoint:
        return None, {}
