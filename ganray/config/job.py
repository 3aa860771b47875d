"""The job file's model: one object that says everything about a run."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ganray.config.compatibility import KINDS, check_augment, check_extractor, check_family, check_representation, with_defaults
from ganray.config.data import Data
from ganray.config.evaluate import SCORES, Evaluate, Mode, none_is_disabled
from ganray.config.fields import Count, FieldError, Name, Place, Real, Section
from ganray.config.modalities import SoundModality
from ganray.config.networks import DcganNetworks, Networks, check_groups, check_sides
from ganray.config.objectives import Augment, Loss, NoAugment, NonSaturatingLoss, Penalties
from ganray.config.publish import Publish, Track
from ganray.config.reading.places import JOBS
from ganray.config.sweep import Sweep
from ganray.config.training import Divergence, Optimizer, Train, WorkerCount, Workers
from ganray.errors import ConfigError, plural


class Resources(Section):
    """What one worker reserves of its node."""

    cpus_per_worker: Real = Field(1, gt=0, description="CPUs a worker")
    gpus_per_worker: Real = Field(1, gt=0, description="GPUs a worker, where GPUs are used")


class Job(Section):
    """A job file. Every field has a default that works; names are fixed, since people's scripts hold them."""

    name: Name = Field("ganray", description="the run's name: with storage, what a resume finds again")
    seed: Count = Field(0, description="seed of everything random")
    storage: Place = Field("./store", description="a folder, or s3://bucket/prefix")
    workers: WorkerCount = Field(1, description="training processes, one DDP rank each; {min, max}: as many as there is room for")
    use_gpu: Literal["auto"] | bool = Field("auto", description="auto: yes, if the cluster has a GPU for every worker now")
    resources: Resources = Field(Resources(), description="CPUs and GPUs of each worker")
    data: Data = Field(Data(), description="what to train on")
    networks: Networks = Field(DcganNetworks(), description="generator and discriminator")
    loss: Loss = Field(NonSaturatingLoss(), description="the adversarial loss")
    penalties: Penalties = Field(Penalties(), description="regularisers")
    augment: Augment = Field(NoAugment(), description="applied to reals and fakes before the discriminator")
    optimizer: Optimizer = Field(Optimizer(), description="optimizers of both networks")
    train: Train = Field(Train(), description="length, batch and cadences")
    divergence: Divergence = Field(Divergence(), description="what is done when training goes wrong")
    evaluate: Annotated[Evaluate, BeforeValidator(none_is_disabled)] = Field(Evaluate(), description="how generators are scored")
    publish: Publish = Field(Publish(), description="where the best generator goes")
    track: Track = Field([], description="trackers that are told of the run: tensorboard, {kind: mlflow, uri: ...}, {kind: wandb, ...}")
    sweep: Sweep | None = Field(None, description="what `ganray sweep` searches; `ganray train` ignores it")

    @property
    def model_name(self) -> str:
        """The registry's name for what this job publishes."""
        return self.publish.model or self.name

    @property
    def required_sweep(self) -> Sweep:
        """The sweep section. Raises `ConfigError` if the job has none."""
        if self.sweep is None:
            remedy = f"add one that says what to search, as {JOBS}/fashion-mnist-sweep.yaml does"
            raise ConfigError("sweep", "the job has no such section", remedy)
        return self.sweep

    @property
    def trial_images(self) -> int:
        """Images that a trial of the sweep trains on at most."""
        return self.required_sweep.images or self.train.total_images

    @property
    def deciding_score(self) -> tuple[str, Mode]:
        """The score that says which generator is the best, and its direction: the sweep's, or that of the kind of sample."""
        if self.sweep:
            return self.sweep.metric, self.sweep.direction
        score = KINDS[self.data.modality.kind].score
        return score, SCORES[score].mode or "max"

    @property
    def min_workers(self) -> int:
        """The fewest workers that the run goes on with."""
        return self.workers.min if isinstance(self.workers, Workers) else self.workers

    @property
    def max_workers(self) -> int:
        """The most workers that train at once."""
        return self.workers.max if isinstance(self.workers, Workers) else self.workers

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_its_kind(cls, job: Any) -> Any:
        return with_defaults(job)

    @model_validator(mode="after")
    def _goes_together(self) -> "Job":
        kind = self.data.modality.kind
        check_family(kind, self.networks.kind)
        if isinstance(self.data.modality, SoundModality):
            check_representation(self.data.modality.representation, self.networks.kind)
        check_augment(kind, self.augment.kind, mirror=self.augment.mirror)
        check_extractor(kind, self.evaluate.extractor.kind)
        return self

    @model_validator(mode="after")
    def _batch_splits(self) -> "Job":
        groups, rest = divmod(self.train.batch_size, self.networks.ghost_batch)
        if rest or groups < self.max_workers * self.train.accumulate:
            raise _batch_error(self)
        return self

    @model_validator(mode="after")
    def _resolution_fits(self) -> "Job":
        if KINDS[self.data.modality.kind].has_pixels:
            check_sides((self.data.height, self.data.width), field="data.resolution")
        elif isinstance(self.data.modality, SoundModality) and self.data.modality.representation == "spectrogram":
            check_sides((self.data.modality.bins, self.data.modality.frames), field="data.modality")
        return self

    @model_validator(mode="after")
    def _groups_fit(self) -> "Job":
        check_groups(self.networks, field="networks.group_width")
        return self

    @model_validator(mode="after")
    def _compile_is_right(self) -> "Job":
        if "discriminator" in self.train.compile and self.penalties.weights:
            problem = "gradient penalties differentiate the discriminator twice, which torch.compile cannot"
            raise FieldError(problem, "use [generator], or no penalties.r1_gamma, r2_gamma and wgan_gp", field="train.compile")
        return self


def _batch_error(job: Job) -> FieldError:
    """Return the error for a batch that does not split into ghost batches, with the nearest batch sizes and a ghost batch that fit."""
    batch_size, ghost_batch, parts = job.train.batch_size, job.networks.ghost_batch, job.max_workers * job.train.accumulate
    fewest = ghost_batch * parts
    below = batch_size // ghost_batch * ghost_batch
    remedy = "use " + " or ".join(str(size) for size in ([below, below + ghost_batch] if below >= fewest else [fewest]))
    if divisors := [size for size in _divisors(batch_size, ghost_batch) if batch_size // size >= parts]:
        remedy += f", or networks.ghost_batch={divisors[-1]}"
    over = plural(job.max_workers, "worker") + (f" with train.accumulate={job.train.accumulate}" if job.train.accumulate > 1 else "")
    groups = f" into whole groups of networks.ghost_batch={ghost_batch}" if ghost_batch > 1 else ""
    return FieldError(f"{batch_size} does not split over {over}{groups}", remedy, field="train.batch_size")


def _divisors(size: int, maximum: int) -> list[int]:
    """Return the divisors of a batch size from 2 to a maximum, in order."""
    return [divisor for divisor in range(2, min(size, maximum) + 1) if size % divisor == 0]
