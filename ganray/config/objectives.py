"""The sections of the objective: `loss`, `penalties` and `augment`."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from ganray.config.fields import PositiveCount, Section, kind_or
from ganray.config.schedules import CosineWeight, ScheduledProbability, ScheduledWeight


class NonSaturatingLoss(Section):
    """Cross entropy for the discriminator, softplus(-D(G(z))) for the generator (Goodfellow et al. 2014, section 3)."""

    kind: Literal["non-saturating"] = "non-saturating"


class SaturatingLoss(Section):
    """The minimax game as first written: the generator minimises log(1 - D(G(z))) (Goodfellow et al. 2014, Eq. 1)."""

    kind: Literal["saturating"] = "saturating"


class LeastSquaresLoss(Section):
    """Squared distances of logits from 1 and 0 (Mao et al. 2017, Eq. 9)."""

    kind: Literal["least-squares"] = "least-squares"


class HingeLoss(Section):
    """Margins of 1 for the discriminator, -D(G(z)) for the generator (Miyato et al. 2018, Eq. 16-17)."""

    kind: Literal["hinge"] = "hinge"


class WassersteinLoss(Section):
    """The critic's difference of means (Arjovsky et al. 2017); wants penalties.wgan_gp or penalties.spectral_norm beside it."""

    kind: Literal["wasserstein"] = "wasserstein"


class RelativisticLoss(Section):
    """Relativistic pairing: each fake is judged against a real (Jolicoeur-Martineau 2019; Huang et al. 2024, Eq. 2)."""

    kind: Literal["relativistic"] = "relativistic"


Loss = Annotated[
    NonSaturatingLoss | SaturatingLoss | LeastSquaresLoss | HingeLoss | WassersteinLoss | RelativisticLoss,
    Field(discriminator="kind"),
    kind_or("non-saturating"),
]


class Penalties(Section):
    """Regularisers of the discriminator. Gradients are taken with respect to the images before augmentation."""

    r1_gamma: ScheduledWeight = Field(
        0.0, description="weight of R1 (Mescheder et al. 2018, Eq. 9): gamma/2 |grad D(x)|^2 on reals; 0: off"
    )
    r2_gamma: ScheduledWeight = Field(0.0, description="weight of R2, the same on fakes (Mescheder et al. 2018, Eq. 10); 0: off")
    wgan_gp: ScheduledWeight = Field(
        0.0, description="weight of (|grad D(x)| - 1)^2 between reals and fakes (Gulrajani et al. 2017, Eq. 3); usually 10; 0: off"
    )
    every: PositiveCount = Field(
        1,
        description="discriminator steps between gradient penalties, which then weigh as many times more (Karras et al. 2020, section 3.1)",
    )
    spectral_norm: bool = Field(False, description="divide the discriminator's weights by their spectral norm (Miyato et al. 2018)")

    @property
    def weights(self) -> dict[str, float | CosineWeight]:
        """The gradient penalties of a weight other than 0, by their names in the literature; they differentiate the discriminator twice."""
        named = {"R1": self.r1_gamma, "R2": self.r2_gamma, "WGAN-GP": self.wgan_gp}
        return {name: weight for name, weight in named.items() if weight != 0}


MIRROR = Field(
    False,
    description="show half of the reals mirrored left to right, another half each epoch, as stylegan3's --mirror; "
    "generators are scored against the images as they are",
)


class NoAugment(Section):
    """No augmentation, but for mirrored reals if `mirror` is set."""

    kind: Literal["none"] = "none"
    mirror: bool = MIRROR


class DiffAugment(Section):
    """Differentiable augmentation, the same for reals and fakes (Zhao et al. 2020)."""

    kind: Literal["diff-augment"] = "diff-augment"
    policies: list[Literal["color", "translation", "cutout"]] = Field(
        ["color", "translation", "cutout"],
        min_length=1,
        description="color: brightness, saturation, contrast; translation: by up to 1/8; cutout: a square of half the side",
    )
    p: ScheduledProbability = Field(1.0, description="probability with which each policy is applied to an image, 0 to 1")
    mirror: bool = MIRROR


def _mirror_alone(value: object) -> object:
    """Take a section that says nothing but `mirror`, without its `kind`, for no augmentation."""
    return {"kind": "none", **value} if isinstance(value, dict) and value.keys() == {"mirror"} else value


Augment = Annotated[NoAugment | DiffAugment, Field(discriminator="kind"), kind_or("diff-augment"), BeforeValidator(_mirror_alone)]
