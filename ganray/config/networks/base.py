"""What the sections of network families have in common."""

from typing import Annotated

from pydantic import Field

from ganray.config.fields import PositiveCount, Section

LatentDim = Annotated[PositiveCount, Field(description="size of a latent vector")]
Conditional = Annotated[bool, Field(description="generate by class: embedding in the generator, projection in the discriminator")]


class Unnormalised(Section):
    """A family whose networks normalise nothing over samples, so that a local batch may have any size."""

    @property
    def ghost_batch(self) -> int:
        """Samples that are normalised together."""
        return 1
