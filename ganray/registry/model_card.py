"""The model card: intended use, loading, scores, data, recipe and lineage of a generator, with the Hugging Face Hub's metadata."""

from collections.abc import Mapping
from typing import Any

import yaml

from ganray.config import Adam, Cosine, Job
from ganray.config.compatibility import KINDS
from ganray.data.card import DatasetCard
from ganray.errors import plural
from ganray.metrics.score import Protocol
from ganray.registry.hub import hub_metadata


def model_card(job: Job, *, scores: Mapping[str, float], protocol: Protocol, dataset: DatasetCard, lineage: Mapping[str, Any]) -> str:
    """Return the card as Markdown, with the Hub's metadata in front. `dataset` is the card of the training data."""
    sections = [
        _summary(job, dataset, lineage["images_seen"]),
        _use(job),
        _loading(job, dataset),
        f"## Scores\n\n{_table('metric', 'value', scores)}",
        f"Only scores of the same protocol can be compared:\n\n{_table('protocol', '', protocol.dump())}",
        _data(job, dataset),
        f"## Recipe\n\n{_table('', '', _recipe(job))}",
        f"## Lineage\n\n{_table('', '', _lineage(job, lineage))}",
        "`manifest.json` holds packages, sizes, SHA-256 and the whole job.",
    ]
    metadata = hub_metadata(
        job.model_name,
        kind=job.networks.kind,
        task=KINDS[dataset.kind].task,
        licence=job.publish.licence,
        scores=scores,
        dataset=dataset.name,
        metric=protocol.metric,
    )
    front_matter = f"---\n{yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True).strip()}\n---"
    return "\n\n".join([front_matter, *sections]) + "\n"


def _summary(job: Job, dataset: DatasetCard, images_seen: int) -> str:
    return f"""# {job.model_name}

A {job.networks.kind} generator of {dataset.codec.noun}.
Trained with ganray on {plural(images_seen, KINDS[dataset.kind].noun)}.

![samples](samples.png)"""


def _use(job: Job) -> str:
    stated = job.publish
    return f"""## Intended use

{stated.intended_use or "Not stated by its publisher."}

## Limits

{stated.limits or "Not stated by its publisher. It reproduces the gaps and biases of its training data."}"""


def _loading(job: Job, dataset: DatasetCard) -> str:
    rules = KINDS[dataset.kind]
    return f"""## Load it

```python
import ganray, torch

generator = ganray.load_generator("path or s3:// URI of this folder")
{_labels(job)}samples = generator({_inputs(job)})  # {_outputs(dataset)}
```

or `ganray generate URI --num 64 --out {rules.example}`."""


def _outputs(dataset: DatasetCard) -> str:
    """Return what a generator's outputs are."""
    if dataset.kind == "image":
        return f"{[16, *dataset.shape]} in [-1, 1]"
    return "for networks; generator.layout.to_samples(samples) are as stored"


def _labels(job: Job) -> str:
    return "labels = torch.arange(16) % generator.num_classes  # generator.classes names them\n" if job.networks.conditional else ""


def _inputs(job: Job) -> str:
    return f"torch.randn(16, generator.latent_dim){', labels' if job.networks.conditional else ''}"


def _penalties(job: Job) -> str:
    parts = [f"{name} {_number(weight)}" for name, weight in job.penalties.weights.items()]
    parts += ["spectral norm"] if job.penalties.spectral_norm else []
    return ", ".join(parts) or "none"


def _data(job: Job, dataset: DatasetCard) -> str:
    return f"""## Training data

{plural(dataset.count, "sample")} of {dataset.name}; licence: {job.publish.data_licence or dataset.licence or "not stated"}.
Fingerprint `{dataset.fingerprint}`."""


def _recipe(job: Job) -> dict[str, Any]:
    return {
        "loss": job.loss.kind,
        "penalties": _penalties(job),
        "augmentation": f"{job.augment.kind}{', reals mirrored' if job.augment.mirror else ''}",
        "generator": _adam(job.optimizer.generator),
        "discriminator": _adam(job.optimizer.discriminator),
        "batch": job.train.batch_size,
        "precision": job.train.precision,
        "weights": f"exponential moving average, half-life in images {_number(job.train.ema_half_life)}",
    }


def _adam(config: Adam) -> str:
    return f"Adam, lr {_number(config.lr)}, betas ({_number(config.beta1)}, {_number(config.beta2)})"


def _number(value: float | Cosine[Any]) -> str:
    """Return a number, or the start and end of a schedule."""
    if isinstance(value, Cosine):
        return f"{_number(value.start)} to {_number(value.end)} by a cosine"
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def _lineage(job: Job, lineage: Mapping[str, Any]) -> dict[str, Any]:
    """Return the origin of the generator, None for unknown entries."""
    return {
        "run": f"`{lineage['run']}`",
        "sweep": f"{sweep['name']}, trial {sweep['trial']}" if (sweep := lineage.get("sweep")) else None,
        "checkpoint": lineage["checkpoint"],
        "started from": f"`{start['artifact']}`" if (start := lineage.get("started_from")) else None,
        "parent version": lineage.get("parent"),
        "seed": job.seed,
        "git revision": lineage["git_revision"],
    }


def _table(left: str, right: str, values: Mapping[str, Any]) -> str:
    """Return a Markdown table of the values other than None."""
    known = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in values.items() if value is not None}
    rows = [f"| {name} | {value} |" for name, value in known.items()]
    return "\n".join([f"| {left} | {right} |".replace("  ", " "), "|---|---|", *rows])
