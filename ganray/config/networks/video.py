"""Network families for videos: content and motion."""

from typing import Literal

from pydantic import Field, model_validator

from ganray.config.fields import FieldError, PositiveCount, Section
from ganray.config.networks.base import Conditional

PAIR_UNIFORMS = 2  # random numbers by which a pair of frames is drawn


class MotionNetworks(Section):
    """Content and motion apart (MoCoGAN, Tulyakov et al. 2018): a recurrent network moves the latent of an image generator.

    The discriminator judges a random pair of frames with the time between them (StyleGAN-V, Skorokhodov et al. 2022) and the whole clip.
    """

    kind: Literal["motion"] = "motion"
    width: PositiveCount = Field(24, description="channels of the layer next to the frame; doubles with each halving of the resolution")
    max_width: PositiveCount = Field(256, description="maximum of channels of a layer")
    latent_dim: PositiveCount = Field(64, description="size of a latent vector, content and motion together")
    motion_dim: PositiveCount = Field(16, description="numbers of the latent vector that only move the content; fewer than latent_dim")
    ghost_batch: PositiveCount = Field(16, description="clips that are normalised together (ghost batch normalisation)")
    clip_critic: bool = Field(True, description="judge the whole clip, too; false: pairs of frames alone")
    frame_pairs: bool = Field(
        True, description="judge pairs of frames with their time distance; false: single frames, which know no motion"
    )
    conditional: Conditional = False

    @model_validator(mode="after")
    def _content_is_left(self) -> "MotionNetworks":
        if self.motion_dim >= self.latent_dim:
            problem = f"expected fewer than latent_dim={self.latent_dim}, got {self.motion_dim}"
            raise FieldError(problem, f"use at most {max(1, self.latent_dim - 1)}", field="motion_dim")
        return self
