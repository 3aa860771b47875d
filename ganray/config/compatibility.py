"""Which network families, sources, augmentations and scores go with which kind of sample: one table, and the errors for what does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganray.config.fields import FieldError, Section
from ganray.errors import enumerated

PIXEL_FIELDS = ("resolution", "channels", "filter", "background", "bit_depth")  # of `data`, for kinds whose samples are images or frames
OF_RAW_PIXELS = ("raw_shape", "raw_layout")  # fields of Parquet sources of images


@dataclass(frozen=True)
class KindRules:
    """What goes with a kind of sample: kinds of `networks`, the default first, of `data.source` and of `augment`.

    `score` is the one that decides unless a sweep names another, `example` a file to generate, `task` the Hub's. `has_pixels`:
    `PIXEL_FIELDS` say what samples are made to. `has_extractor`: scores are of features. `column` is the default of
    `data.source.column`, None for that of the source. `defaults` are the fields of sections that a job leaves out altogether.
    """

    noun: str  # singular
    families: tuple[str, ...]
    sources: tuple[str, ...]
    augmentations: tuple[str, ...] = ("none",)
    can_mirror: bool = False
    score: str = "metric/frechet"
    example: str = "grid.png"
    task: str = "unconditional-image-generation"
    has_pixels: bool = False
    has_extractor: bool = False
    column: str | None = None
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def nouns(self) -> str:
        """What samples are, in the plural."""
        return f"{self.noun}s"


_ADAM = {"lr": 2e-4, "beta1": 0.0, "beta2": 0.9}
TEXT_OPTIMIZER = {"generator": _ADAM, "discriminator": _ADAM}
KINDS = {
    "image": KindRules(
        noun="image",
        families=("dcgan", "r3gan"),
        sources=("fashion-mnist", "folder", "parquet"),
        augmentations=("none", "diff-augment"),
        can_mirror=True,
        has_pixels=True,
        has_extractor=True,
    ),
    "sound": KindRules(
        noun="sound",
        families=("dcgan", "r3gan", "wavegan"),
        sources=("folder", "parquet"),
        example="sounds",
        task="text-to-audio",
        has_extractor=True,
        column="audio",
    ),
    "text": KindRules(
        noun="text",
        families=("text-recurrent", "text-conv"),
        sources=("lines", "parquet"),
        score="metric/ngram_4",
        example="samples.txt",
        task="text-generation",
        column="text",
        defaults={"loss": {"kind": "relativistic"}, "penalties": {"r1_gamma": 1.0, "r2_gamma": 1.0}, "optimizer": TEXT_OPTIMIZER},
    ),
    "video": KindRules(
        noun="video",
        families=("motion",),
        sources=("folder", "parquet", "moving"),
        can_mirror=True,
        example="clips",
        task="unconditional-image-generation",
        has_pixels=True,
        has_extractor=True,
        column="video",
    ),
    "table": KindRules(
        noun="row",
        families=("table",),
        sources=("csv", "parquet"),
        score="metric/quality",
        example="rows.csv",
        task="other",
        defaults={
            "loss": {"kind": "relativistic"},
            "penalties": {"r1_gamma": 2.0, "r2_gamma": 2.0, "every": 4},
            "optimizer": {
                "generator": {"lr": 1e-3, "beta1": 0.0, "beta2": 0.99},
                "discriminator": {"lr": 1e-3, "beta1": 0.0, "beta2": 0.99},
            },
        },
    ),
}
WAVE_FAMILIES = ("wavegan",)  # of sounds, those that make waves rather than spectrograms


def check_source(kind: str, source: str) -> None:
    """Raise `FieldError` for a source that holds no samples of a kind."""
    _check(kind, source, KINDS[kind].sources, field="source.kind", what="source")


def check_pixel_fields(kind: str, data: Section) -> None:
    """Raise `FieldError` for a field of images that is set where samples have no pixels."""
    if KINDS[kind].has_pixels:
        return
    for name in PIXEL_FIELDS:
        if getattr(data, name) != type(data).model_fields[name].default:
            having = enumerated([rules.nouns for rules in KINDS.values() if rules.has_pixels])
            raise FieldError(f"is for {having}, and data.modality is {kind}", "leave it out", field=name)


def check_parquet_fields(kind: str, source: Section) -> None:
    """Raise `FieldError` for a field of a Parquet source that only other kinds of samples have."""
    for name in OF_RAW_PIXELS if kind != "image" else ():
        if getattr(source, name) != type(source).model_fields[name].default:
            raise FieldError(f"is for images, and data.modality is {kind}", "leave it out", field=f"source.{name}")


def check_family(kind: str, family: str) -> None:
    """Raise `FieldError` for a network family that makes no samples of a kind."""
    _check(kind, family, KINDS[kind].families, field="networks.kind", what="family")


def check_representation(representation: str, family: str) -> None:
    """Raise `FieldError` for a network family that makes spectrograms where sounds are waves, or the other way round."""
    fitting = [name for name in KINDS["sound"].families if (name in WAVE_FAMILIES) == (representation == "wave")]
    if family not in fitting:
        problem = f"{family} makes no {representation}, and data.modality.representation is {representation}"
        raise FieldError(problem, f"use {enumerated(fitting, last='or')}", field="networks.kind")


def check_augment(kind: str, augment: str, *, mirror: bool) -> None:
    """Raise `FieldError` for an augmentation of other samples."""
    _check(kind, augment, KINDS[kind].augmentations, field="augment.kind", what="augmentation")
    if mirror and not KINDS[kind].can_mirror:
        raise FieldError(f"{KINDS[kind].nouns} have no mirror image", "leave it out", field="augment.mirror")


def check_extractor(kind: str, extractor: str) -> None:
    """Raise `FieldError` for an extractor where scores are not of features."""
    if extractor != "auto" and not KINDS[kind].has_extractor:
        problem = f"{KINDS[kind].nouns} are scored as they are, without an extractor"
        raise FieldError(problem, "leave it at auto", field="evaluate.extractor.kind")


def with_defaults(job: Any) -> Any:
    """Return a job's plain data with the defaults of its kind of sample: the network family, the deciding score, and whole sections."""
    if not isinstance(job, dict) or (kind := str(_kind(job))) not in KINDS or kind == "image":
        return job
    rules = KINDS[kind]
    defaults: dict[str, Any] = {name: dict(fields) for name, fields in rules.defaults.items()}
    filled = {**defaults, **job}
    networks, sweep = filled.get("networks", {}), filled.get("sweep")
    if isinstance(networks, dict) and "kind" not in networks:
        is_wave = kind == "sound" and _representation(job) == "wave"
        filled["networks"] = {"kind": WAVE_FAMILIES[0] if is_wave else rules.families[0], **networks}
    if rules.column and (source := _source(job)) is not None and "column" not in source:
        filled["data"] = {**filled["data"], "source": {**source, "column": rules.column}}
    if isinstance(sweep, dict) and "metric" not in sweep:
        filled["sweep"] = {**sweep, "metric": rules.score}
    return _with_representation(filled) if kind == "sound" else filled


def _representation(job: dict[str, Any]) -> object:
    """Return the representation that a job's plain data names for sounds, None where it names none."""
    data = job["data"]
    modality = data.get("modality") if isinstance(data, dict) else data.modality
    return modality.get("representation") if isinstance(modality, dict) else getattr(modality, "representation", None)


def _with_representation(job: dict[str, Any]) -> dict[str, Any]:
    """Return the plain data of a job of sounds, waves if its family makes them and it does not say what sounds are."""
    networks = job.get("networks")
    family = networks.get("kind") if isinstance(networks, dict) else networks
    if family not in WAVE_FAMILIES or _representation(job) or not isinstance(job["data"], dict):
        return job
    modality = job["data"]["modality"]
    fields = modality if isinstance(modality, dict) else {"kind": modality}
    return {**job, "data": {**job["data"], "modality": {**fields, "representation": "wave"}}}


def _source(job: dict[str, Any]) -> dict[str, Any] | None:
    """Return the source of kind parquet in a job's plain data, None for another."""
    source = job["data"].get("source") if isinstance(job["data"], dict) else None
    return source if isinstance(source, dict) and source.get("kind") == "parquet" else None


def _kind(job: dict[str, Any]) -> object:
    """Return the kind of sample that a job's plain data names."""
    data = job.get("data")
    modality = data.get("modality") if isinstance(data, dict) else getattr(data, "modality", None)
    if modality is None:
        return "image"
    return modality if isinstance(modality, str) else modality.get("kind", "image") if isinstance(modality, dict) else modality.kind


def _check(kind: str, name: str, fitting: Sequence[str], *, field: str, what: str) -> None:
    if name not in fitting:
        problem = f"{name} is no {what} for {KINDS[kind].nouns}, and data.modality is {kind}"
        raise FieldError(problem, f"use {enumerated(fitting, last='or')}", field=field)
