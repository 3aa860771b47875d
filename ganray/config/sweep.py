"""The `sweep` section: what is searched, how, and for how long. `ganray train` ignores it."""

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ganray.config.fields import Count, FieldError, PositiveCount, Section, kind_or


def _number(value: Any) -> Any:
    """Read `1e-3` as the number that it is: YAML reads it as text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Scalar = Annotated[bool | int | float | str | list[Any] | None, BeforeValidator(_number)]


class _Range(Section):
    """Two ends, of which the lower comes first."""

    low: float
    high: float

    @model_validator(mode="after")
    def _low_is_lower(self) -> "_Range":
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise FieldError(f"[{self.low:g}, {self.high:g}] is an empty range", "write the lower end first")
        return self


class LogUniform(_Range):
    """Between two positive ends, even in the logarithm."""

    kind: Literal["loguniform"] = "loguniform"

    @model_validator(mode="after")
    def _has_logarithm(self) -> "LogUniform":
        if self.low <= 0:
            raise FieldError(f"{self.low:g} has no logarithm", "use a lower end above 0, or uniform")
        return self


class Uniform(_Range):
    """Between two ends."""

    kind: Literal["uniform"] = "uniform"


class QUniform(_Range):
    """Multiples of a step between two ends, both included where the step reaches them."""

    kind: Literal["quniform"] = "quniform"
    step: float = Field(gt=0)

    @model_validator(mode="after")
    def _steps_fit(self) -> "QUniform":
        if self.step > self.high - self.low:
            raise FieldError(f"a step of {self.step:g} does not fit into [{self.low:g}, {self.high:g}]", "use a smaller one")
        return self


class RandInt(Section):
    """A whole number from `low` up to, but without, `high`."""

    kind: Literal["randint"] = "randint"
    low: int
    high: int

    @model_validator(mode="after")
    def _low_is_lower(self) -> "RandInt":
        if self.low >= self.high:
            raise FieldError(f"[{self.low}, {self.high}) is an empty range", "write the lower end first (the upper one is left out)")
        return self


class Choice(Section):
    """One of some values."""

    kind: Literal["choice"] = "choice"
    values: list[Scalar] = Field(min_length=1)


PARTS = {"loguniform": 2, "uniform": 2, "quniform": 3, "randint": 2}
RANGES = "write one of {loguniform: [low, high]}, {uniform: [low, high]}, {quniform: [low, high, step]}, {randint: [low, high]}, "
RANGES += "{choice: [a, b]}"


def _from_short(value: Any) -> Any:
    """Read `{loguniform: [1e-5, 1e-2]}`, as people write it."""
    if isinstance(value, dict) and "kind" in value:
        return value
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in (*PARTS, "choice"):
        raise FieldError(f"expected a range, got {value!r}", RANGES)
    ((kind, ends),) = value.items()
    if kind == "choice":
        return {"kind": kind, "values": ends}
    if not isinstance(ends, list) or len(ends) != PARTS.get(kind, len(ends)):
        ends = ", ".join(("low", "high", "step")[: PARTS.get(kind, 2)])
        raise FieldError(f"{kind} takes a list of numbers", f"write [{ends}]")
    return {"kind": kind, **dict(zip(("low", "high", "step"), ends, strict=False))}


Dimension = Annotated[
    Annotated[LogUniform | Uniform | QUniform | RandInt | Choice, Field(discriminator="kind")], BeforeValidator(_from_short)
]


def _flat(space: Any, path: str = "") -> Any:
    """Join nested sections, which is what an override like sweep.space.train.batch_size={choice: [64, 128]} makes, to dotted paths."""
    if not isinstance(space, dict) or "kind" in space or space.keys() & {*PARTS, "choice"}:
        return space
    flat: dict[str, Any] = {}
    for name, value in space.items():
        below = _flat(value, f"{path}{name}.")
        flat |= {f"{name}.{rest}": item for rest, item in below.items()} if below is not value else {name: value}
    return flat


class RandomSearcher(Section):
    """Every trial is drawn by itself."""

    kind: Literal["random"] = "random"


class GridSearcher(Section):
    """Every combination of the fields' values once: choices, whole numbers and steps."""

    kind: Literal["grid"] = "grid"


class OptunaSearcher(Section):
    """Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), multivariate, with constant liar."""

    kind: Literal["optuna"] = "optuna"
    startup_trials: PositiveCount = Field(8, description="trials that are drawn at random before the estimator is asked")


class HyperoptSearcher(Section):
    """HyperOpt's tree-structured Parzen estimator."""

    kind: Literal["hyperopt"] = "hyperopt"
    startup_trials: PositiveCount = Field(8, description="trials that are drawn at random before the estimator is asked")
    gamma: float = Field(0.25, gt=0, lt=1, description="share of the trials that count as good")


class NevergradSearcher(Section):
    """An optimiser of Nevergrad's: evolution strategies, differential evolution, particle swarms."""

    kind: Literal["nevergrad"] = "nevergrad"
    optimizer: str = Field("NGOpt", description="its name in nevergrad.optimizers.registry, as NGOpt, OnePlusOne, CMA, DE or PSO")


class BohbSearcher(Section):
    """BOHB (Falkner et al. 2018): a kernel density estimate at each budget; goes with the hyperband scheduler."""

    kind: Literal["bohb"] = "bohb"


Searcher = Annotated[
    Annotated[
        RandomSearcher | GridSearcher | OptunaSearcher | HyperoptSearcher | NevergradSearcher | BohbSearcher, Field(discriminator="kind")
    ],
    BeforeValidator(lambda value: {"kind": value} if isinstance(value, str) else value),
    kind_or("random"),
]


class NoScheduler(Section):
    """Every trial trains to its budget."""

    kind: Literal["none"] = "none"


class AshaScheduler(Section):
    """Asynchronous successive halving (Li et al. 2020): a trial goes on at a rung if it is among the best of those that came so far."""

    kind: Literal["asha"] = "asha"
    min_images: PositiveCount | None = Field(None, description="images at the first rung; null: the budget divided by reduction^2")
    reduction: int = Field(3, ge=2, description="one in so many goes on from a rung, for so many times the images")
    promote: bool = Field(
        True, description="trials wait at a rung and may be promoted later, as in the paper; false: Tune's variant, which stops them"
    )


class HyperbandScheduler(Section):
    """Hyperband (Li et al. 2018): successive halving in brackets that trade the number of trials for their budget."""

    kind: Literal["hyperband"] = "hyperband"
    min_images: PositiveCount | None = Field(None, description="images at the first rung; null: the budget divided by reduction^2")
    reduction: int = Field(3, ge=2, description="one in so many goes on from a rung, for so many times the images")


class MedianScheduler(Section):
    """Median stopping (Golovin et al. 2017): a trial ends that is worse than the median of the others' running means."""

    kind: Literal["median"] = "median"
    every: PositiveCount | None = Field(None, description="images between decisions; null: an eighth of the budget")
    min_images: PositiveCount | None = Field(None, description="images before which no trial is stopped; null: `every`")
    min_trials: PositiveCount = Field(3, description="trials that have come as far, below which none is stopped")


class PbtScheduler(Section):
    """Population-based training (Jaderberg et al. 2017): the worst clone the best, and explore: their params are perturbed."""

    kind: Literal["pbt"] = "pbt"
    every: PositiveCount | None = Field(None, description="images between exploits; null: an eighth of the budget")
    quantile: float = Field(0.25, gt=0, le=0.5, description="share of the population that clones, and that is cloned")
    resample: float = Field(0.25, ge=0, le=1, description="probability that a cloned field is drawn anew rather than scaled")
    factors: tuple[float, float] = Field((0.8, 1.25), description="what a cloned number is multiplied with, one or the other")
    synch: bool = Field(True, description="all reach the end of a generation before the next begins; false cannot be repeated by seed")


class Pb2Scheduler(Section):
    """Population-based bandits (Parker-Holder et al. 2020): the worst clone the best, and a Gaussian process chooses their params."""

    kind: Literal["pb2"] = "pb2"
    every: PositiveCount | None = Field(None, description="images between exploits; null: an eighth of the budget")
    quantile: float = Field(0.25, gt=0, le=0.5, description="share of the population that clones, and that is cloned")
    synch: bool = Field(True, description="all reach the end of a generation before the next begins; false cannot be repeated by seed")


Scheduler = Annotated[
    Annotated[
        NoScheduler | AshaScheduler | HyperbandScheduler | MedianScheduler | PbtScheduler | Pb2Scheduler, Field(discriminator="kind")
    ],
    BeforeValidator(lambda value: {"kind": value} if isinstance(value, str) else value),
    kind_or("none"),
]


class Finalists(Section):
    """The best trials, scored again by a protocol of their own before the winner is named."""

    num: PositiveCount = Field(3, description="how many trials are scored again")
    num_samples: int | None = Field(None, ge=256, description="generated samples; null: twice those of evaluate.num_samples")
    seed: Count | None = Field(None, description="seed of the latents; null: one that no evaluation of the sweep has used")


class Sweep(Section):
    """A search over fields of the job."""

    space: Annotated[dict[str, Dimension], BeforeValidator(_flat)] = Field(
        min_length=1, description="what is searched: {dotted path: {loguniform: [1e-5, 1e-2]}}"
    )
    metric: str = Field("metric/frechet", description="score that trials are compared by, as in a run's metrics")
    mode: Literal["auto", "min", "max"] = Field("auto", description="whether less or more is better; auto: less for frechet, else more")
    trials: PositiveCount = Field(16, description="number of trials; the size of a population; at most this many of a grid")
    workers: PositiveCount = Field(1, description="workers a trial")
    max_concurrent: PositiveCount | None = Field(None, description="trials at once; null: as many as the cluster can place")
    searcher: Searcher = Field(
        RandomSearcher(), description="what suggests trials, Ray Tune's: random, grid, optuna, hyperopt, nevergrad or bohb"
    )
    scheduler: Scheduler = Field(
        NoScheduler(),
        description="what ends or redirects trials early, a scheduler of Ray Tune's: none, asha, hyperband, median, pbt or pb2",
    )
    callbacks: list[Literal["tensorboard", "mlflow", "csv", "json"]] = Field([], description="loggers of Ray Tune's that follow the trials")
    images: PositiveCount | None = Field(None, description="images a trial at most; null: train.total_images")
    max_images: PositiveCount | None = Field(None, description="images of the whole sweep, over all trials")
    max_hours: float | None = Field(None, gt=0, description="hours of the whole sweep, after which its best so far wins")
    seed: Count = Field(0, description="seed of what is suggested and explored")
    vary_seed: bool = Field(False, description="give every trial a job seed of its own, instead of the same to all")
    start_from: list[dict[str, Scalar]] = Field([], description="params that are tried first; a field left out has the job's value")
    on_collapse: Literal["stop", "warn"] = Field("stop", description="what becomes of a trial whose samples are all alike")
    finalists: Finalists = Field(Finalists(), description="who is scored again at the end, and how")

    @model_validator(mode="after")
    def _bohb_has_hyperband(self) -> "Sweep":
        if self.searcher.kind == "bohb" and self.scheduler.kind != "hyperband":
            raise FieldError("bohb searches with hyperband's budgets only", "use hyperband, or another searcher", field="scheduler")
        return self

    @property
    def is_population(self) -> bool:
        """Whether trials clone one another."""
        return self.scheduler.kind in ("pbt", "pb2")

    @property
    def maximise(self) -> bool:
        """Whether more is better."""
        return self.mode == "max" or (self.mode == "auto" and not self.metric.endswith("frechet"))

    @property
    def direction(self) -> Literal["min", "max"]:
        """The mode, decided."""
        return "max" if self.maximise else "min"
