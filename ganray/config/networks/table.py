"""Network families of tables."""

from typing import Literal

from pydantic import Field

from ganray.config.fields import PositiveCount, Real, Section


class TableNetworks(Section):
    """Residual perceptrons for tables, with Gumbel-softmax choices; any columns of a row may be given."""

    kind: Literal["table"] = "table"
    width: PositiveCount = Field(256, description="units of the generator's layers")
    depth: PositiveCount = Field(2, description="residual blocks of the generator")
    discriminator_width: PositiveCount = Field(256, description="units of the discriminator's layers")
    discriminator_depth: PositiveCount = Field(2, description="layers of the discriminator")
    latent_dim: PositiveCount = Field(128, description="size of a latent vector")
    temperature: Real = Field(0.2, gt=0, le=10, description="of the softmax over a column's choices (Jang et al. 2017)")
    given: Real = Field(
        0.5, ge=0, le=1, description="fraction of training rows of which some columns are given, for --where; 0: none can be"
    )

    @property
    def conditional(self) -> bool:
        """No: columns are given instead of classes."""
        return False

    @property
    def ghost_batch(self) -> int:
        """Nothing is normalised over samples, so that a local batch may have any size."""
        return 1
