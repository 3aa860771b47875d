"""What the adversarial step is proved for: each loss, each penalty, and all that can go with them."""

import dataclasses

from ganray.config import (
    Adam,
    CosineProbability,
    CosineRate,
    CosineWeight,
    DcganNetworks,
    DiffAugment,
    HingeLoss,
    LeastSquaresLoss,
    Networks,
    NonSaturatingLoss,
    Optimizer,
    Penalties,
    RelativisticLoss,
    SaturatingLoss,
    WassersteinLoss,
)
from ganray.gan.batch import num_discriminator_uniforms
from ganray.gan.step import Recipe
from tests.helpers.gan_runs import BATCH, CLIPS, NETWORKS, RECIPE, RESIDUAL, SENTENCES, TEXT, WAVES, with_penalties


def of_own_uniforms(networks: Networks, **penalties: float) -> Recipe:
    """Return the recipe with penalties of a family whose discriminator takes random numbers."""
    return dataclasses.replace(with_penalties(**penalties), discriminator_uniforms=num_discriminator_uniforms(networks))


PLAIN = with_penalties()
LOSSES = [NonSaturatingLoss(), SaturatingLoss(), LeastSquaresLoss(), HingeLoss(), WassersteinLoss(), RelativisticLoss()]
UNNORMALISED = DcganNetworks(width=8, latent_dim=8, ghost_batch=4, discriminator_norm="none")
CONDITIONAL = NETWORKS.model_copy(update={"conditional": True})
EVERYTHING = dataclasses.replace(  # schedules, lazy penalties, augmentation, parts, two discriminator steps: all at once
    RECIPE,
    loss=RelativisticLoss(),
    penalties=Penalties(r1_gamma=CosineWeight(start=1.0, end=0.1, images=20 * BATCH), r2_gamma=0.5, wgan_gp=1.0, every=3),
    augment=DiffAugment(p=CosineProbability(start=0.2, end=0.8, images=20 * BATCH)),
    optimizer=Optimizer(generator=Adam(lr=CosineRate(start=1e-3, end=1e-4, images=20 * BATCH), beta1=0.0)),
    accumulate=2,
    discriminator_steps=2,
)
CASES = {
    **{f"{loss.kind}": (NETWORKS, dataclasses.replace(PLAIN, loss=loss)) for loss in LOSSES},
    "r1": (NETWORKS, with_penalties(r1_gamma=0.5)),
    "r2": (NETWORKS, with_penalties(r2_gamma=0.5)),
    "r1 and r2": (RESIDUAL, with_penalties(r1_gamma=0.5, r2_gamma=0.5)),
    "wgan-gp": (UNNORMALISED, with_penalties(wgan_gp=10.0)),
    "spectral norm": (UNNORMALISED, with_penalties(spectral_norm=True)),
    "augmentation": (NETWORKS, dataclasses.replace(RECIPE, augment=DiffAugment())),
    "conditional": (CONDITIONAL, RECIPE),
    "deep": (NETWORKS.model_copy(update={"depth": 2, "minibatch_std": True}), RECIPE),
    "conditional r3gan": (RESIDUAL.model_copy(update={"conditional": True}), RECIPE),
    "waves": (WAVES, dataclasses.replace(of_own_uniforms(WAVES, wgan_gp=10.0, r1_gamma=0.5), accumulate=2)),
    "clips": (CLIPS, of_own_uniforms(CLIPS, wgan_gp=10.0)),
    "text": (TEXT, with_penalties(r1_gamma=0.5, r2_gamma=0.5)),
    "conditional text": (TEXT.model_copy(update={"conditional": True}), with_penalties(wgan_gp=10.0)),
    "sentences": (SENTENCES, with_penalties(r1_gamma=0.5, r2_gamma=0.5)),
    "pretrained sentences": (SENTENCES, dataclasses.replace(RECIPE, accumulate=2, pretrain_images=5 * BATCH, discriminator_steps=2)),
    "accumulation": (NETWORKS, dataclasses.replace(RECIPE, accumulate=2)),
    "everything": (NETWORKS, EVERYTHING),
}
