"""The `data.modality` section: which kind of sample the data is; a file a kind."""

from typing import Annotated

from ganray.config.fields import kind_or
from ganray.config.modalities.image import ImageModality

__all__ = ["ImageModality", "Modality"]

Modality = Annotated[ImageModality, kind_or("image")]
