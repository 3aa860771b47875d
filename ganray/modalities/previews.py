"""What people look at and listen to: an image of samples of every kind, and what else a kind has, by its name."""

from collections.abc import Mapping

from ganray.modalities.codec import Codec, Preview, Samples
from ganray.modalities.sound import preview as sound
from ganray.modalities.video import preview as video

PREVIEWS: Mapping[str, Mapping[str, Preview]] = {"sound": sound.PREVIEWS, "video": video.PREVIEWS}  # beside an image


def previews(codec: Codec, samples: Samples) -> dict[str, bytes]:
    """Return files by their suffixes that show samples [N, ...], N > 0."""
    others = PREVIEWS.get(codec.kind, {})
    return {".png": codec.preview(samples), **{suffix: show(codec, samples) for suffix, show in others.items()}}
