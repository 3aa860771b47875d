"""The model card: what a generator is, how it was made and measured, and how to load it, with Hugging Face's metadata."""

from collections.abc import Mapping
from typing import Any

import yaml

from ganray.config import Adam, Cosine, Job


def model_card(
    job: Job, *, scores: Mapping[str, float], protocol: Mapping[str, Any], dataset: Mapping[str, Any], lineage: Mapping[str, Any]
) -> str:
    """Return the card as Markdown. `dataset` is the dataset card as plain data."""
    channels, height, width = job.data.shape
    metadata = {
        "library_name": "ganray",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["gan", "ganray", job.networks.kind],
        "datasets": [dataset["name"]],
    }
    adam = job.optimizer
    return f"""---
{yaml.safe_dump(metadata, sort_keys=False).strip()}
---

# {job.model_name}

A {job.networks.kind} generator of {height} x {width} {"grey" if channels == 1 else "colour"} pictures.
Trained with ganray on {lineage["images_seen"]:,} images.

![samples](samples.png)

## Load it

```python
import ganray, torch

generator = ganray.load_generator("path or s3:// URI of this folder")
samples = generator(torch.randn(16, generator.latent_dim))  # [16, {channels}, {height}, {width}] in [-1, 1]
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

{dataset["count"]:,} samples of {dataset["name"]}; licence: {dataset.get("licence") or "not stated"}.
Fingerprint `{dataset["fingerprint"]}`.

## Recipe

| | |
|---|---|
| loss | {job.loss.kind} |
| penalties | {_penalties(job)} |
| augmentation | {job.augment.kind} |
| generator | {_adam(adam.generator)} |
| discriminator | {_adam(adam.discriminator)} |
| batch | {job.train.batch_size} |
| precision | {job.train.precision} |
| weights | exponential moving average, half-life {_number(job.train.average_half_life)} images |

## Lineage

Run `{lineage["run"]}`, seed {job.seed}, git revision {lineage["git_revision"] or "unknown"}.
Packages and the whole job stand in `manifest.json`.
"""


def _penalties(job: Job) -> str:
    penalties = job.penalties
    weights = {"R1": penalties.r1_gamma, "R2": penalties.r2_gamma, "WGAN-GP": penalties.wgan_gp}
    parts = [f"{name} {_number(weight)}" for name, weight in weights.items() if weight != 0]
    parts += ["spectral norm"] if penalties.spectral_norm else []
    return ", ".join(parts) or "none"


def _adam(config: Adam) -> str:
    return f"Adam, lr {_number(config.lr)}, betas ({_number(config.beta1)}, {_number(config.beta2)})"


def _number(value: float | Cosine) -> str:
    """Return a number, or what a schedule goes from and to."""
    return f"{value.start:g} to {value.end:g} by a cosine" if isinstance(value, Cosine) else f"{value:g}"


def _rows(values: Mapping[str, Any]) -> str:
    return "\n".join(f"| {name} | {value:.4g} |" if isinstance(value, float) else f"| {name} | {value} |" for name, value in values.items())
