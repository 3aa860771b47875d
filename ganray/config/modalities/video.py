"""Videos, as samples: clips of some frames; `data.resolution`, `channels`, `filter` and `background` say what frames are made to."""

from typing import Literal

from pydantic import Field

from ganray.config.fields import Integer, PositiveCount, Section


class VideoModality(Section):
    """Clips uint8 [frames, C, H, W]: the first frames of GIF, WebP, APNG, mp4, avi and other files. The latter need the extra `video`.

    In a folder or archive, a sub-folder of numbered images is a file, too.
    """

    kind: Literal["video"] = "video"
    frames: Integer = Field(8, ge=2, le=64, description="frames of a clip; files that have fewer are skipped")
    every: PositiveCount = Field(1, description="take every n-th frame of a file")
