"""The sections that say how the two networks are built, trained and evaluated."""

from typing import Annotated, Literal

from pydantic import Field

from ganray.config.fields import Count, PositiveCount, Section, kind_or


class DcganNetworks(Section):
    """Deep convolutional GAN (Radford et al. 2016): strided convolutions and batch normalisation."""

    kind: Literal["dcgan"] = "dcgan"
    width: PositiveCount = Field(64, description="channels of the widest picture-side layer; doubles with each halving of the picture")
    max_width: PositiveCount = Field(512, description="channels that no layer exceeds")
    latent_dim: PositiveCount = Field(64, description="size of a latent vector")
    norm_group: PositiveCount = Field(32, description="samples that are normalised together; a divisor of every worker's share")


class NonSaturatingLoss(Section):
    """softplus(-D(G(z))) for the generator (Goodfellow et al. 2014, section 3)."""

    kind: Literal["non-saturating"] = "non-saturating"


class Penalties(Section):
    """Regularisers of the discriminator."""

    r1_gamma: float = Field(0.0, ge=0, description="weight of R1 (Mescheder et al. 2018, Eq. 9): gamma/2 |grad D(x)|^2 on reals; 0: off")


class Adam(Section):
    """Adam (Kingma and Ba 2015) for one network."""

    lr: float = Field(2e-4, gt=0, le=1, description="learning rate")
    beta1: float = Field(0.5, ge=0, lt=1, description="decay of the first moment, a step")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the second moment, a step")


class Optimizer(Section):
    """One Adam for each network."""

    generator: Adam = Field(Adam(), description="the generator's")
    discriminator: Adam = Field(Adam(), description="the discriminator's")


class Train(Section):
    """Length, batch, precision and cadences. Everything is counted in real images seen, over all workers."""

    total_images: PositiveCount = Field(1_000_000, description="images to train on")
    max_seconds: float | None = Field(None, gt=0, description="seconds of training after which to evaluate and publish what there is")
    batch_size: PositiveCount = Field(64, description="images a step, over all workers")
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="auto: bfloat16 where the hardware has it")
    average_half_life: PositiveCount = Field(10_000, description="images after which a weight's share in the average has halved")
    checkpoint_every: PositiveCount = Field(50_000, description="images between checkpoints")
    keep_checkpoints: PositiveCount = Field(2, ge=2, description="newest checkpoints to keep, beside the best")
    samples_every: PositiveCount = Field(50_000, description="images between sample grids")
    log_every: PositiveCount = Field(2_000, description="images between lines of metrics")
    max_failures: Count = Field(3, description="times that dead workers are replaced before the run gives up")


class ClassifierExtractor(Section):
    """Features of a small network trained to tell the dataset's classes apart."""

    kind: Literal["classifier"] = "classifier"
    weights: str = Field("auto", description="auto: the shipped ones for Fashion-MNIST, else fitted once; or a .safetensors file's URI")
    fit_images: PositiveCount = Field(400_000, description="images to fit on, repeats included")


class RotationExtractor(Section):
    """The same network trained to tell rotations apart (Gidaris et al. 2018); needs no labels."""

    kind: Literal["rotation"] = "rotation"
    weights: str = Field("auto", description="auto: fitted once a dataset; or a .safetensors file's URI")
    fit_images: PositiveCount = Field(400_000, description="images to fit on, repeats included")


class AutoExtractor(Section):
    """A classifier where the data has labels, rotations where it has none."""

    kind: Literal["auto"] = "auto"


Extractor = Annotated[ClassifierExtractor | RotationExtractor | AutoExtractor, Field(discriminator="kind"), kind_or("auto")]


class Evaluate(Section):
    """How a generator is scored. All of this is part of a score's protocol."""

    every: PositiveCount = Field(100_000, description="images between evaluations; the end is always evaluated")
    num_samples: int = Field(10_000, ge=256, description="generated samples, and the most reals that precision and recall use")
    seed: Count = Field(0, description="seed of the latents that are evaluated")
    neighbours: PositiveCount = Field(5, description="k of precision and recall (Kynkaanniemi et al. 2019)")
    extractor: Extractor = Field(AutoExtractor(), description="the network whose features are compared")
