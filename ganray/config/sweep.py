"""The `sweep` section: what is searched, how, and for how long. `ganray train` ignores it."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ganray.config.evaluate import DEFAULT_SCORE, SCORES, Mode
from ganray.config.fields import Count, FieldError, Integer, PositiveCount, Real, Section, Text, kind_or
from ganray.config.space import Dimension, LogUniform, Scalar, Uniform, flat_space

MAX_GRID = 100_000


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
    gamma: Real = Field(0.25, gt=0, lt=1, description="share of the trials that count as good")


class NevergradSearcher(Section):
    """An optimiser of Nevergrad's: evolution strategies, differential evolution, particle swarms."""

    kind: Literal["nevergrad"] = "nevergrad"
    optimizer: Text = Field("NGOpt", description="its name in nevergrad.optimizers.registry, as NGOpt, OnePlusOne, CMA, DE or PSO")


class BohbSearcher(Section):
    """BOHB (Falkner et al. 2018): a kernel density estimate at each budget; goes with the hyperband scheduler."""

    kind: Literal["bohb"] = "bohb"


Searcher = Annotated[
    Annotated[
        RandomSearcher | GridSearcher | OptunaSearcher | HyperoptSearcher | NevergradSearcher | BohbSearcher, Field(discriminator="kind")
    ],
    kind_or("random"),
]


class NoScheduler(Section):
    """Every trial trains to its budget."""

    kind: Literal["none"] = "none"

    def rungs(self, budget: int) -> list[int]:
        """Return the budgets in images at which trials are compared."""
        return [budget]


class _Regular(Section):
    """A scheduler that decides at regular intervals."""

    every: PositiveCount | None = Field(None, description="images between decisions; null: an eighth of the budget")

    def rungs(self, budget: int) -> list[int]:
        """Return the budgets in images at which trials are compared."""
        every = self.every or math.ceil(budget / 8)
        return [*range(every, budget, every), budget]


class AshaScheduler(Section):
    """Asynchronous successive halving (Li et al. 2020): a trial goes on at a rung if it is among the best of those that came so far."""

    kind: Literal["asha"] = "asha"
    min_images: PositiveCount | None = Field(None, description="images at the first rung; null: the budget divided by reduction^2")
    reduction: Integer = Field(3, ge=2, description="one in so many goes on from a rung, for so many times the images")
    promote: bool = Field(
        True, description="trials wait at a rung and may be promoted later, as in the paper; false: Tune's variant, which stops them"
    )

    def rungs(self, budget: int) -> list[int]:
        """Return the budgets in images at which trials are compared, each `reduction` times the one before; the last is `budget`."""
        rungs = [self.min_images or max(budget // self.reduction**2, 1)]
        while rungs[-1] < budget:
            rungs.append(rungs[-1] * self.reduction)
        return [*rungs[:-1], budget]


class HyperbandScheduler(Section):
    """Hyperband (Li et al. 2018): successive halving in brackets that trade the number of trials for their budget."""

    kind: Literal["hyperband"] = "hyperband"
    min_images: PositiveCount | None = Field(None, description="images at the first rung; null: the budget divided by reduction^2")
    reduction: Integer = Field(3, ge=2, description="one in so many goes on from a rung, for so many times the images")

    def rungs(self, budget: int) -> list[int]:
        """Return the multiples of the first rung, in images: brackets halve at different ones."""
        every = self.min_images or max(budget // self.reduction**2, 1)
        return [*range(every, budget, every), budget]


class MedianScheduler(_Regular):
    """Median stopping (Golovin et al. 2017): a trial ends that is worse than the median of the others' running means."""

    kind: Literal["median"] = "median"
    min_images: PositiveCount | None = Field(None, description="images before which no trial is stopped; null: `every`")
    min_trials: PositiveCount = Field(3, description="trials that have come as far, below which none is stopped")


class _Population(_Regular):
    """A scheduler whose worst trials clone the best."""

    quantile: Real = Field(0.25, gt=0, le=0.5, description="share of the population that clones, and that is cloned")
    synch: bool = Field(True, description="all reach the end of a generation before the next begins; false cannot be repeated by seed")


class PbtScheduler(_Population):
    """Population-based training (Jaderberg et al. 2017): the worst clone the best, and explore: their params are perturbed."""

    kind: Literal["pbt"] = "pbt"
    resample: Real = Field(0.25, ge=0, le=1, description="probability that a cloned field is drawn anew rather than scaled")
    factors: tuple[Real, Real] = Field((0.8, 1.25), description="what a cloned number is multiplied with, one or the other")


class Pb2Scheduler(_Population):
    """Population-based bandits (Parker-Holder et al. 2020): the worst clone the best, and a Gaussian process chooses their params."""

    kind: Literal["pb2"] = "pb2"


Scheduler = Annotated[
    Annotated[
        NoScheduler | AshaScheduler | HyperbandScheduler | MedianScheduler | PbtScheduler | Pb2Scheduler, Field(discriminator="kind")
    ],
    kind_or("none"),
]


class Finalists(Section):
    """The best trials, scored again by a protocol of their own before the winner is named."""

    num: PositiveCount = Field(3, description="how many trials are scored again")
    num_samples: Integer | None = Field(None, ge=256, description="generated samples; null: twice those of evaluate.num_samples")
    seed: Count | None = Field(None, description="seed of the latents; null: one that no evaluation of the sweep has used")


class Sweep(Section):
    """A search over fields of the job."""

    space: Annotated[dict[str, Dimension], BeforeValidator(flat_space)] = Field(
        min_length=1, description="what is searched: {dotted path: {loguniform: [1e-5, 1e-2]}}"
    )
    metric: Text = Field(DEFAULT_SCORE, description="score that trials, finalists and what is published are compared by, as metric/kid")
    mode: Literal["auto", "min", "max"] = Field("auto", description="whether less or more is better; auto: as the metric's nature is")
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
    max_hours: Real | None = Field(None, gt=0, description="hours of the whole sweep, after which its best so far wins")
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

    @model_validator(mode="after")
    def _grid_is_finite_and_small(self) -> "Sweep":
        if self.searcher.kind == "grid" and self.ranges:
            path, dimension = min(self.ranges.items())
            raise FieldError(f"a grid cannot hold all of {dimension.kind}", "use choice or quniform", field=f"space.{path}")
        if self.searcher.kind == "grid" and self._num_points > MAX_GRID:
            raise FieldError(f"a grid has {MAX_GRID:,} points at most", "name fewer values, or use another searcher", field="space")
        return self

    @property
    def ranges(self) -> dict[str, LogUniform | Uniform]:
        """The dimensions that have infinitely many values, by path."""
        return {path: dimension for path, dimension in sorted(self.space.items()) if isinstance(dimension, LogUniform | Uniform)}

    @property
    def finite_values(self) -> dict[str, Sequence[Any]]:
        """The values of the other dimensions, by path."""
        finite = {path: dimension for path, dimension in sorted(self.space.items()) if not isinstance(dimension, LogUniform | Uniform)}
        return {path: dimension.all_values() for path, dimension in finite.items()}

    @property
    def num_trials(self) -> int:
        """How many trials there are: a grid may hold fewer than were asked for."""
        return min(self.trials, self._num_points + len(self.start_from)) if self.searcher.kind == "grid" else self.trials

    @property
    def _num_points(self) -> int:
        return math.prod(len(values) for values in self.finite_values.values())

    @property
    def is_population(self) -> bool:
        """Whether trials clone one another."""
        return self.scheduler.kind in ("pbt", "pb2")

    @property
    def maximise(self) -> bool:
        """Whether more is better."""
        return self.direction == "max"

    @property
    def direction(self) -> Mode:
        """The mode, decided."""
        kind = SCORES.get(self.metric)
        return self.mode if self.mode != "auto" else (kind and kind.mode) or "max"
