"""Images, as samples: `data.resolution`, `channels`, `filter`, `background` and `bit_depth` say what they are made to."""

from typing import Literal

from ganray.config.fields import Section


class ImageModality(Section):
    """Images of one resolution, uint8 [C, H, W]."""

    kind: Literal["image"] = "image"
