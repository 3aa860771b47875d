"""The job file's model: one object that says everything about a run."""

from typing import Literal

from pydantic import Field, model_validator

from ganray.config.data import Data
from ganray.config.evaluate import Evaluate
from ganray.config.fields import Count, Name, PositiveCount, Section
from ganray.config.networks import MAX_SIDE, MIN_SIDE, DcganNetworks, Networks, R3ganNetworks, num_halvings
from ganray.config.objectives import Augment, Loss, NoAugment, NonSaturatingLoss, Penalties
from ganray.config.publish import Publish
from ganray.config.sweep import Sweep
from ganray.config.training import Divergence, Optimizer, Train


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
    networks: Networks = Field(DcganNetworks(), description="generator and discriminator")
    loss: Loss = Field(NonSaturatingLoss(), description="the adversarial loss")
    penalties: Penalties = Field(Penalties(), description="regularisers")
    augment: Augment = Field(NoAugment(), description="what reals and fakes go through before the discriminator sees them")
    optimizer: Optimizer = Field(Optimizer(), description="optimizers of both networks")
    train: Train = Field(Train(), description="length, batch and cadences")
    divergence: Divergence = Field(Divergence(), description="what is done when training goes wrong")
    evaluate: Evaluate = Field(Evaluate(), description="how generators are scored")
    publish: Publish = Field(Publish(), description="where the best one goes")
    sweep: Sweep | None = Field(None, description="what `ganray sweep` searches; `ganray train` ignores it")

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
        unit = self.networks.ghost_batch * self.workers * self.train.accumulate
        if self.train.batch_size % unit:
            raise ValueError(_batch_remedy(self))
        return self

    @model_validator(mode="after")
    def _resolution_fits(self) -> "Job":
        unit = 2 ** num_halvings(self.data.height, self.data.width)
        for side in (self.data.height, self.data.width):
            if not MIN_SIDE <= side <= MAX_SIDE or side % unit:
                raise ValueError(_side_remedy(side, unit))
        return self

    @model_validator(mode="after")
    def _groups_fit(self) -> "Job":
        networks = self.networks
        if isinstance(networks, R3ganNetworks) and networks.expansion * networks.width % networks.group_width:
            wide = networks.expansion * networks.width
            raise ValueError(f"networks.group_width: {networks.group_width} does not divide {wide} = expansion * width; use one that does")
        return self

    @model_validator(mode="after")
    def _compile_is_right(self) -> "Job":
        if "discriminator" in self.train.compile and self.penalties.weights:
            problem = "gradient penalties differentiate the discriminator twice, which torch.compile cannot"
            raise ValueError(f"train.compile: {problem}; use [generator], or no penalties.r1_gamma, r2_gamma and wgan_gp")
        return self


def _batch_remedy(job: Job) -> str:
    """Say which batch sizes, or which groups, would do."""
    batch_size, ghost_batch, parts = job.train.batch_size, job.networks.ghost_batch, job.workers * job.train.accumulate
    unit = ghost_batch * parts
    below = batch_size // unit * unit
    fix = "use " + " or ".join(str(size) for size in (below, below + unit) if size)
    if batch_size % parts == 0 and ghost_batch > 1:
        share = batch_size // parts
        groups = [size for size in range(2, min(share, ghost_batch) + 1) if share % size == 0]
        if groups:
            fix += f", or networks.ghost_batch={groups[-1]}"
    over = f"{job.workers} workers" + (f" in {job.train.accumulate} parts each" if job.train.accumulate > 1 else "")
    groups = f" into whole groups of networks.ghost_batch={ghost_batch}" if ghost_batch > 1 else ""
    return f"train.batch_size: {batch_size} does not split over {over}{groups}; {fix}"


def _side_remedy(side: int, unit: int) -> str:
    """Say which side is near that networks can halve as often as they have to."""
    fitting = range(-(-MIN_SIDE // max(unit, 4)) * max(unit, 4), MAX_SIDE + 1, max(unit, 4))
    nearest = min(fitting, key=lambda size: abs(size - side), default=MAX_SIDE)
    limits = f"{MIN_SIDE} to {MAX_SIDE} pixels, each a multiple of {max(unit, 4)} here"
    return f"data.resolution: networks make sides of {limits}, not {side}; use {nearest}"
