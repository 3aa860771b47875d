"""The `data.modality` section: which kind of sample the data is; a file a kind."""

from typing import Annotated

from pydantic import Field

from ganray.config.fields import kind_or
from ganray.config.modalities.image import ImageModality
from ganray.config.modalities.sound import SoundModality
from ganray.config.modalities.table import TableModality
from ganray.config.modalities.text import TextModality
from ganray.config.modalities.video import VideoModality

__all__ = ["ImageModality", "Modality", "SoundModality", "TableModality", "TextModality", "VideoModality"]

Modality = Annotated[
    ImageModality | SoundModality | TextModality | VideoModality | TableModality, Field(discriminator="kind"), kind_or("image")
]
