"""Codecs by kind: made for a dataset, and read back from JSON, which is held against bounds before anything is made of it."""

from typing import Any

from ganray.modalities.codec import Codec
from ganray.modalities.image_codec import ImageCodec
from ganray.modalities.sound.codec import sound_codec_from_json
from ganray.modalities.text import TextCodec
from ganray.modalities.video.codec import video_codec_from_json


def codec_from_json(data: dict[str, Any]) -> Codec:
    """Return the codec that `Codec.to_json` described. Raises `ValueError` for anything else, which may come from outside."""
    match data.get("kind"):
        case "image":
            return ImageCodec.of_shape(_image_shape(data.get("shape")))
        case "sound":
            return sound_codec_from_json(data)
        case "text":
            return TextCodec.from_json(data)
        case "video":
            return video_codec_from_json(data)
        case "table":
            from ganray.modalities.table.codec import table_codec_from_json  # pyarrow takes a while to import

            return table_codec_from_json(data)
    raise ValueError(f"unknown kind of sample {str(data.get('kind'))[:40]!r}")


def _image_shape(shape: Any) -> tuple[int, int, int]:
    if not isinstance(shape, list) or len(shape) != 3 or not all(type(side) is int for side in shape):
        raise ValueError("the shape of an image is [channels, height, width]")
    return shape[0], shape[1], shape[2]
