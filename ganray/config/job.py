"""The job file's model: one object that says everything about a run."""

from typing import Literal

from pydantic import Field, model_validator

from ganray.config.data import Data
from ganray.config.fields import Count, Name, PositiveCount, Section
from ganray.config.publish import Publish
from ganray.config.training import DcganNetworks, Evaluate, NonSaturatingLoss, Optimizer, Penalties, Train


class Resources(Section):
    """What one worker reserves of its node."""

    cpus_per_worker: float = Field(1, gt=0, description="CPUs a worker")
    gpus_per_worker: float = Field(1, gt=0, description="GPUs a worker, where GPUs are used")


class Job(Section):
    """A job file. Every field has a default that works; names are fixed, since people's scripts hold them."""

    name: Name = Field("ganray", description="the run's name: with storage, what a resume finds again")
    seed: Count = Field(0, description="seed of everything random")
    storage: str = Field("./store", min_length=1, description="a folder, or s3://bucket/prefix")
    workers: PositiveCount = Field(1, description="training processes, one DDP rank each")
    use_gpu: Literal["auto"] | bool = Field("auto", description="auto: yes, if the cluster has a GPU for every worker now")
    resources: Resources = Field(Resources(), description="what a worker reserves")
    data: Data = Field(Data(), description="what to train on")
    networks: DcganNetworks = Field(DcganNetworks(), description="generator and discriminator")
    loss: NonSaturatingLoss = Field(NonSaturatingLoss(), description="the adversarial loss")
    penalties: Penalties = Field(Penalties(), description="regularisers")
    optimizer: Optimizer = Field(Optimizer(), description="optimizers of both networks")
    train: Train = Field(Train(), description="length, batch and cadences")
    evaluate: Evaluate = Field(Evaluate(), description="how generators are scored")
    publish: Publish = Field(Publish(), description="where the best one goes")

    @property
    def model_name(self) -> str:
        """The registry's name for what this job publishes."""
        return self.publish.model or self.name

    @property
    def share(self) -> int:
        """Images of a global batch that one worker takes."""
        return self.train.batch_size // self.workers

    @model_validator(mode="after")
    def _batch_splits(self) -> "Job":
        unit = self.networks.norm_group * self.workers
        if self.train.batch_size % unit:
            raise ValueError(_batch_remedy(self.train.batch_size, self.workers, self.networks.norm_group))
        return self

    @model_validator(mode="after")
    def _resolution_fits(self) -> "Job":
        for side in (self.data.height, self.data.width):
            if not 16 <= side <= 128 or side & (side - 1):
                raise ValueError(f"data.resolution: dcgan makes sides of 16, 32, 64 or 128 pixels, not {side}; choose the nearest of them")
        return self


def _batch_remedy(batch_size: int, workers: int, norm_group: int) -> str:
    """Say which batch sizes, or which groups, would do."""
    unit = norm_group * workers
    below = batch_size // unit * unit
    sizes = " or ".join(str(size) for size in (below, below + unit) if size)
    fix = f"use {sizes}"
    if batch_size % workers == 0:
        share = batch_size // workers
        groups = [size for size in range(2, min(share, norm_group) + 1) if share % size == 0]
        if groups:
            fix += f", or networks.norm_group={groups[-1]}"
    return (
        f"train.batch_size: {batch_size} does not split over {workers} workers into whole groups of networks.norm_group={norm_group}; {fix}"
    )
