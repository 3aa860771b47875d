"""Videos as people watch them: the first clips side by side, in an animated grid."""

from collections.abc import Mapping

from ganray.modalities.codec import NUM_PREVIEWED, Codec, Preview, Samples
from ganray.modalities.video.codec import animation


def webp_grid(codec: Codec, samples: Samples) -> bytes:
    """Return an animated WebP file of the first clips of samples [N, T, C, H, W], N > 0."""
    return animation(samples[:NUM_PREVIEWED], "WEBP")


PREVIEWS: Mapping[str, Preview] = {".webp": webp_grid}
