"""The `evaluate` section: how generators are scored; the table of their scores, and which of them a sweep can go by."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ganray.config.compatibility import KINDS
from ganray.config.fields import Count, FieldError, Integer, Place, PositiveCount, Section, kind_or
from ganray.errors import ConfigError, enumerated

Mode = Literal["min", "max"]
METRIC, PREFIX = "sweep.metric", "metric/"


@dataclass(frozen=True)
class ScoreKind:
    """A score: its range, whether less or more of it is better, and what a job needs to have it.

    `mode` is None where a value in between is best, `target`. `needs` names what not every job has: an extractor that tells the
    data's classes apart, or a conditional generator, too. `kinds` of samples have it.
    """

    mode: Mode | None
    low: float = 0.0
    high: float = float("inf")
    target: float | None = None
    needs: Literal["classes", "conditional"] | None = None
    kinds: tuple[str, ...] = ("image", "sound", "video")

    @property
    def direction(self) -> str:
        """The direction in words."""
        if self.mode is None:
            return f"{self.target:g} is best"
        return "less is better" if self.mode == "min" else "more is better"


SCORES = {
    "metric/frechet": ScoreKind("min"),
    "metric/kid": ScoreKind("min", low=float("-inf")),  # an unbiased estimate, around 0 for equal distributions
    "metric/precision": ScoreKind("max", high=1.0),
    "metric/recall": ScoreKind("max", high=1.0),
    "metric/density": ScoreKind("max"),
    "metric/coverage": ScoreKind("max", high=1.0),
    "metric/diversity": ScoreKind(None, target=1.0, kinds=("image", "sound", "text")),
    "metric/silent": ScoreKind("min", high=1.0, kinds=("sound",)),
    "metric/clipped": ScoreKind("min", high=1.0, kinds=("sound",)),
    "metric/class_coverage": ScoreKind("max", high=1.0, needs="classes"),
    "metric/conditional_accuracy": ScoreKind("max", high=1.0, needs="conditional"),
    **{f"metric/ngram_{size}": ScoreKind("min", high=1.0, kinds=("text",)) for size in range(1, 5)},
    "metric/novelty": ScoreKind("max", high=1.0, kinds=("text",)),
    "metric/uniqueness": ScoreKind("max", high=1.0, kinds=("text",)),
    "metric/quality": ScoreKind("max", high=1.0, kinds=("table",)),
    "metric/shapes": ScoreKind("max", high=1.0, kinds=("table",)),
    "metric/pairs": ScoreKind("max", high=1.0, kinds=("table",)),
    "metric/tstr": ScoreKind("max", low=float("-inf"), kinds=("table",)),  # R squared may be negative
    "metric/two_sample": ScoreKind(None, high=1.0, target=0.5, kinds=("table",)),
    "metric/closest_record": ScoreKind(None, high=1.0, target=0.5, kinds=("table",)),
}
NEIGHBOURS = 5  # of precision and recall, where the images suffice
DEFAULT_SCORE = "metric/frechet"  # the deciding one, where a sweep names no other


class ClassifierExtractor(Section):
    """Features of a small network trained to tell the dataset's classes apart."""

    kind: Literal["classifier"] = "classifier"
    weights: Place = Field("auto", description="auto: the shipped ones for Fashion-MNIST, else fitted once; or a .safetensors file's URI")
    fit_images: PositiveCount = Field(400_000, description="images to fit on, repeats included")


class RotationExtractor(Section):
    """The same network trained to tell rotations apart (Gidaris et al. 2018); needs no labels."""

    kind: Literal["rotation"] = "rotation"
    weights: Place = Field("auto", description="auto: fitted once a dataset; or a .safetensors file's URI")
    fit_images: PositiveCount = Field(400_000, description="images to fit on, repeats included")


class AutoExtractor(Section):
    """A classifier where the data has labels of two classes or more, rotations otherwise."""

    kind: Literal["auto"] = "auto"


Extractor = Annotated[ClassifierExtractor | RotationExtractor | AutoExtractor, Field(discriminator="kind"), kind_or("auto")]


def none_is_disabled(value: object) -> object:
    """Let the section be written as `none`."""
    return {"enabled": False} if value == "none" else value


class Evaluate(Section):
    """How a generator is scored. All of this is part of a score's protocol."""

    enabled: bool = Field(True, description="false, or `evaluate: none`: generators are kept, but not scored, nor published by themselves")
    every: PositiveCount = Field(100_000, description="images between evaluations; the end is always evaluated")
    num_samples: Integer = Field(10_000, ge=256, description="generated samples, and the maximum of reals for precision and recall")
    seed: Count = Field(0, description="seed of the latents that are evaluated")
    neighbours: Literal["auto"] | PositiveCount = Field(
        "auto", description=f"k of precision and recall (Kynkaanniemi et al. 2019); auto: {NEIGHBOURS}, or as many as few images allow"
    )
    extractor: Extractor = Field(AutoExtractor(), description="the network whose features are compared")

    @property
    def num_neighbours(self) -> int:
        """The k of precision and recall, decided where the section is a resolved job's."""
        return NEIGHBOURS if self.neighbours == "auto" else self.neighbours

    @model_validator(mode="after")
    def _neighbours_fit(self) -> "Evaluate":
        if self.num_neighbours >= self.num_samples:
            problem = f"expected fewer than evaluate.num_samples, got {self.num_neighbours} of {self.num_samples}"
            raise FieldError(problem, f"use auto, or at most {self.num_samples - 1}", field="neighbours")
        return self


def check_metric(kind: str, metric: str, mode: str) -> None:
    """Raise `ConfigError` if a sweep's metric is no score of a kind of sample, or its mode not the way in which that is better."""
    if metric not in SCORES:
        raise ConfigError(METRIC, f"there is no score {metric!r}", _meant(metric))
    score = SCORES[metric]
    if kind not in score.kinds:
        having = [name for name, other in SCORES.items() if kind in other.kinds]
        raise ConfigError(METRIC, f"{KINDS[kind].nouns} have no {metric}", f"use {enumerated(having, last='or')}")
    if score.mode is None and mode == "auto":
        problem = f"of {metric} {score.direction}, neither less nor more"
        raise ConfigError(METRIC, problem, f"use {KINDS[kind].score}, or set sweep.mode")
    if score.mode and mode not in ("auto", score.mode):
        raise ConfigError("sweep.mode", f"{mode} is against {metric}, of which {score.direction}", "leave it at auto")


def check_has_score(metric: str, *, extractor: str, conditional: bool) -> None:
    """Raise `ConfigError` if generators that an extractor of a kind scores, conditional or not, do not have a sweep's metric."""
    needs = SCORES[metric].needs
    if needs and extractor == "rotation":
        problem = f"{metric} compares classes, which an extractor of kind rotation does not tell apart"
        raise ConfigError(METRIC, problem, f"use {DEFAULT_SCORE}, or data with labels and evaluate.extractor.kind=classifier")
    if needs == "conditional" and not conditional:
        raise ConfigError(METRIC, f"only conditional generators have {metric}", "set networks.conditional=true, or use another score")


def _meant(name: str) -> str:
    """Return the score that a typo meant, or all that there are."""
    short = {known.removeprefix(PREFIX): known for known in SCORES}
    close = get_close_matches(name.lower().removeprefix(PREFIX), short, n=1)
    return f"did you mean {short[close[0]]}?" if close else f"use {', '.join(SCORES)}"
