"""The `evaluate` section: how generators are scored."""

from typing import Annotated, Literal

from pydantic import Field

from ganray.config.fields import Count, PositiveCount, Section, kind_or


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
    """A classifier where the data has labels, rotations otherwise."""

    kind: Literal["auto"] = "auto"


Extractor = Annotated[ClassifierExtractor | RotationExtractor | AutoExtractor, Field(discriminator="kind"), kind_or("auto")]


class Evaluate(Section):
    """How a generator is scored. All of this is part of a score's protocol."""

    every: PositiveCount = Field(100_000, description="images between evaluations; the end is always evaluated")
    num_samples: int = Field(10_000, ge=256, description="generated samples, and the maximum of reals for precision and recall")
    seed: Count = Field(0, description="seed of the latents that are evaluated")
    neighbours: PositiveCount = Field(5, description="k of precision and recall (Kynkaanniemi et al. 2019)")
    extractor: Extractor = Field(AutoExtractor(), description="the network whose features are compared")
