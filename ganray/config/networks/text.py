"""Network families for text of tokens."""

from typing import Literal

from pydantic import Field

from ganray.config.fields import Count, PositiveCount, Real
from ganray.config.networks.base import Conditional, LatentDim, Unnormalised


class TextConvNetworks(Unnormalised):
    """Convolutional softmax generator of short texts, and its discriminator: residual blocks along the text (Gulrajani et al. 2017)."""

    kind: Literal["text-conv"] = "text-conv"
    width: PositiveCount = Field(128, description="channels of each residual block")
    depth: PositiveCount = Field(5, description="residual blocks of each network")
    kernel: Literal[3, 5, 7, 9] = Field(5, description="tokens that a convolution spans")
    latent_dim: LatentDim = 128
    conditional: Conditional = False


class TextRecurrentNetworks(Unnormalised):
    """Gated recurrent generator of texts, token after token by straight-through Gumbel-softmax (Jang et al. 2017), as of RelGAN.

    It is trained for likelihood first, by itself, then against a discriminator of residual blocks along the text.
    """

    kind: Literal["text-recurrent"] = "text-recurrent"
    units: PositiveCount = Field(256, description="units of the generator's recurrent layer, and numbers by which it reads a token")
    temperature: Real = Field(1.0, gt=0, description="of the softmax that gradients pass through; lower: closer to the tokens, and noisier")
    pretrain_images: Count = Field(
        200_000, description="texts on which the generator is trained by maximum likelihood first; train.total_images or more: on all"
    )
    width: PositiveCount = Field(128, description="channels of the discriminator's residual blocks")
    blocks: PositiveCount = Field(3, description="residual blocks of the discriminator")
    kernel: Literal[3, 5, 7, 9] = Field(3, description="tokens that a convolution of the discriminator spans")
    latent_dim: LatentDim = 64
    conditional: Conditional = False

    @property
    def discriminator(self) -> TextConvNetworks:
        """The family that the discriminator is of."""
        return TextConvNetworks(width=self.width, depth=self.blocks, kernel=self.kernel, conditional=self.conditional)
