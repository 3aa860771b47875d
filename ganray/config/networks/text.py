"""Network families for text of tokens."""

from typing import Literal

from pydantic import Field

from ganray.config.fields import PositiveCount
from ganray.config.networks.base import Conditional, LatentDim, Unnormalised


class TextConvNetworks(Unnormalised):
    """Convolutional softmax generator of short texts, and its discriminator: residual blocks along the text (Gulrajani et al. 2017)."""

    kind: Literal["text-conv"] = "text-conv"
    width: PositiveCount = Field(128, description="channels of each residual block")
    depth: PositiveCount = Field(5, description="residual blocks of each network")
    kernel: Literal[3, 5, 7, 9] = Field(5, description="tokens that a convolution spans")
    latent_dim: LatentDim = 128
    conditional: Conditional = False
