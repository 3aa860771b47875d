"""The parameters of requests, and their limits. What a request asks for is a file of samples and its record."""

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ganray.config.fields import LIMIT
from ganray.errors import ConfigError
from ganray.gan.directions import moved_inputs
from ganray.gan.interpolation import interpolated_inputs
from ganray.gan.sampling import sample_inputs
from ganray.generation.batch import class_number
from ganray.generation.record import MAX_REACH, Record
from ganray.serve.engine import Engine, Inputs
from ganray.serve.formats import MEDIA_TYPES
from ganray.serve.versions import Served

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[tuple(MEDIA_TYPES)]  # those of all kinds

MAX_INDEX = 1 << 48
MAX_NUM = 4096  # whatever the settings


class Query(BaseModel):
    """What all requests for samples have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    seed: int = Field(0, ge=0, lt=LIMIT, description="sample i is a function of the seed and i alone")
    label: str | None = Field(None, alias="class", max_length=200, description="name or number of a class, for all samples")
    truncation: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="latents within plus or minus this: the lower, the more typical and alike"
    )
    version: str | None = Field(None, pattern=r"^[0-9]{4,12}$", description="by default the best version at the time")
    format: FormatName = Field(
        "png", description="png: what people look at, with provenance; npy: a NumPy file; wav: sounds, with provenance"
    )
    download: bool = Field(False, description="have browsers save the file")

    def number_of_class(self, engine: Engine) -> int | None:
        """Return the number of the class. Raises `ConfigError` for one that the generator does not have."""
        try:
            return class_number(engine.generator, self.label)
        except ConfigError as error:
            raise ConfigError("class", error.problem, error.remedy) from None

    def settings(self, label: int | None) -> dict[str, Any]:
        """Return what makes samples beside their indices, given the number of their class."""
        return {"seed": self.seed, "label": label, "truncation": self.truncation}


class SamplesQuery(Query):
    """Samples `start` to `start + num - 1` of a seed."""

    start: int = Field(0, ge=0, lt=MAX_INDEX, description="index of the first sample")
    num: int = Field(64, ge=1, le=MAX_NUM, description="how many samples")

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.start + self.num > MAX_INDEX:
            raise ValueError(f"start + num is over {MAX_INDEX}")
        return self

    def inputs(self, served: Served, label: int | None) -> tuple[Inputs, slice]:
        """Return inputs of the generator, and which of their samples are asked for."""
        start, num = served.engine.span(self.start, self.num)
        inputs = sample_inputs(served.engine.generator.prior, start=start, num=num, **self.settings(label))
        return inputs, slice(self.start - start, self.start - start + self.num)

    def record(self, base: Record, label: int | None) -> Record:
        """Return the record of the file, given that of the version."""
        where = {"index": self.start} if self.num == 1 else {"num": self.num, "index": self.start or None}
        return base.model_copy(update={**self.settings(label), **where})

    @property
    def name(self) -> str:
        """The name of the file, without version and suffix."""
        return f"seed{self.seed}-{self.start}" + (f"-{self.start + self.num - 1}" if self.num > 1 else "")


class InterpolationQuery(Query):
    """The way from one sample of a seed to another, both included."""

    start: int = Field(0, alias="from", ge=0, lt=MAX_INDEX, description="index of the sample to start from")
    end: int = Field(1, alias="to", ge=0, lt=MAX_INDEX, description="index of the sample to end at")
    num: int = Field(8, ge=2, le=MAX_NUM, description="how many samples, both ends included")

    def inputs(self, served: Served, label: int | None) -> tuple[Inputs, slice]:
        """Return inputs of the generator, and which of their samples are asked for."""
        prior, between = served.engine.generator.prior, {"start": self.start, "end": self.end, "num": self.num}
        return interpolated_inputs(prior, **between, **self.settings(label)), slice(0, self.num)

    def record(self, base: Record, label: int | None) -> Record:
        """Return the record of the file, given that of the version."""
        where = {"index": self.start, "end": self.end, "num": self.num}
        return base.model_copy(update={**self.settings(label), **where})

    @property
    def name(self) -> str:
        """The name of the file, without version and suffix."""
        return f"seed{self.seed}-{self.start}-to-{self.end}"


class DirectionQuery(Query):
    """A sample of a seed, moved along a direction that the version was published with."""

    index: int = Field(0, ge=0, lt=MAX_INDEX, description="index of the sample")
    direction: int = Field(1, ge=1, description="number of the direction, from 1, the most effective first")
    reach: float = Field(3.0, gt=0, le=MAX_REACH, description="how far, in standard deviations of a latent: from -reach to reach")
    num: int = Field(7, ge=2, le=MAX_NUM, description="how many samples, both ends included; the middle one of an odd number is not moved")

    def inputs(self, served: Served, label: int | None) -> tuple[Inputs, slice]:
        """Return inputs of the generator, and which of their samples are asked for. Raises `ConfigError` for no such direction."""
        vectors = served.directions.vectors
        if not len(vectors):
            raise ConfigError("direction", "this version was published without directions", "publish one with publish.directions=8")
        if self.direction > len(vectors):
            raise ConfigError("direction", f"expected at most {len(vectors)}, got {self.direction}", "see /model for those that there are")
        inputs = moved_inputs(
            served.engine.generator.prior,
            vectors[self.direction - 1],
            index=self.index,
            reach=self.reach,
            num=self.num,
            **self.settings(label),
        )
        return inputs, slice(0, self.num)

    def record(self, base: Record, label: int | None) -> Record:
        """Return the record of the file, given that of the version."""
        where = {"index": self.index, "num": self.num, "direction": self.direction, "reach": self.reach}
        return base.model_copy(update={**self.settings(label), **where})

    @property
    def name(self) -> str:
        """The name of the file, without version and suffix."""
        return f"seed{self.seed}-{self.index}-direction{self.direction}"
