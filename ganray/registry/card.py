"""The model card: what a generator is, how it was made and measured, and how to load it, with Hugging Face's metadata."""

from collections.abc import Mapping
from typing import Any

import yaml

from ganray.config import Adam, Cosine, Job
from ganray.registry.hub import hub_metadata


def model_card(
    job: Job, *, scores: Mapping[str, float], protocol: Mapping[str, Any], dataset: Mapping[str, Any], lineage: Mapping[str, Any]
) -> str:
    """Return the card as Markdown. `dataset` is the dataset card as plain data."""
    channels, height, width = job.data.shape
    said = job.publish
    metadata = hub_metadata(
        job.model_name,
        kind=job.networks.kind,
        licence=said.licence,
        scores=scores,
        dataset=dataset,
        metric=protocol["metric"],
    )
    return f"""---
{yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True).strip()}
---

# {job.model_name}

A {job.networks.kind} generator of {height} x {width} {"grey" if channels == 1 else "colour"} pictures.
Trained with ganray on {lineage["images_seen"]:,} images.

![samples](samples.png)

## Intended use

{said.intended_use or "Not stated by who trained it."}

## Limits

{said.limits or "Not stated by who trained it. It shows what it has seen: gaps and biases of the training data are its own."}

## Load it

```python
import ganray, torch

generator = ganray.load_generator("path or s3:// URI of this folder")
{_labels(job)}samples = generator({_inputs(job)})  # [16, {channels}, {height}, {width}] in [-1, 1]
```

or `ganray generate URI --num 64 --out grid.png`.

## Scores

| metric | value |
|---|---|
{_rows(scores)}

Only scores of the same protocol can be compared:

| protocol | |
|---|---|
{_rows(protocol)}

## Training data

{dataset["count"]:,} samples of {dataset["name"]}; licence: {said.data_licence or dataset.get("licence") or "not stated"}.
Fingerprint `{dataset["fingerprint"]}`.

## Recipe

| | |
|---|---|
| loss | {job.loss.kind} |
| penalties | {_penalties(job)} |
| augmentation | {job.augment.kind} |
| generator | {_adam(job.optimizer.generator)} |
| discriminator | {_adam(job.optimizer.discriminator)} |
| batch | {job.train.batch_size} |
| precision | {job.train.precision} |
| weights | exponential moving average, half-life {_number(job.train.average_half_life)} images |

## Lineage

| | |
|---|---|
{_rows({name: value for name, value in _lineage(job, lineage).items() if value is not None})}

Packages, sizes, SHA-256 and the whole job stand in `manifest.json`.
"""


def _labels(job: Job) -> str:
    return "labels = torch.arange(16) % generator.num_classes  # generator.classes names them\n" if job.networks.conditional else ""


def _inputs(job: Job) -> str:
    return f"torch.randn(16, generator.latent_dim){', labels' if job.networks.conditional else ''}"


def _penalties(job: Job) -> str:
    parts = [f"{name} {_number(weight)}" for name, weight in job.penalties.weights.items()]
    parts += ["spectral norm"] if job.penalties.spectral_norm else []
    return ", ".join(parts) or "none"


def _adam(config: Adam) -> str:
    return f"Adam, lr {_number(config.lr)}, betas ({_number(config.beta1)}, {_number(config.beta2)})"


def _number(value: float | Cosine) -> str:
    """Return a number, or what a schedule goes from and to."""
    return f"{value.start:g} to {value.end:g} by a cosine" if isinstance(value, Cosine) else f"{value:g}"


def _lineage(job: Job, lineage: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the generator comes from, None for what is not known."""
    return {
        "run": f"`{lineage['run']}`",
        "sweep": lineage.get("sweep"),
        "checkpoint": lineage["checkpoint"],
        "parent version": lineage.get("parent"),
        "seed": job.seed,
        "git revision": lineage["git_revision"],
    }


def _rows(values: Mapping[str, Any]) -> str:
    return "\n".join(f"| {name} | {value:.4g} |" if isinstance(value, float) else f"| {name} | {value} |" for name, value in values.items())
