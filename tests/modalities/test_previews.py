"""What is shown of samples of each kind: an image, of sounds a wav file, of videos an animation."""

import io

import numpy as np
import pytest
import soundfile
from PIL import Image

from ganray.config.compatibility import KINDS
from ganray.modalities.codec import NUM_PREVIEWED, Codec
from ganray.modalities.image import Target
from ganray.modalities.image_codec import ImageCodec
from ganray.modalities.previews import PREVIEWS, previews
from ganray.modalities.sound.codec import WaveCodec
from ganray.modalities.sound.decoding import Clip
from ganray.modalities.video.codec import VideoCodec
from ganray.modalities.video.decoding import ClipTarget
from tests.helpers.texts import CODEC


@pytest.mark.parametrize(
    ("codec", "suffixes"),
    [
        (ImageCodec(Target((3, 8, 8), "box")), [".png"]),
        (CODEC, [".png"]),
        (WaveCodec(Clip(8000, 300)), [".png", ".wav"]),
        (WaveCodec(Clip(8000, 300, channels=2)), [".png", ".wav"]),
        (VideoCodec(ClipTarget(Target((1, 16, 16), "box"), 3)), [".png", ".webp"]),
    ],
)
def test_each_kind_has_the_previews_that_it_registers(codec: Codec, suffixes: list[str]) -> None:
    files = previews(codec, np.zeros((20, *codec.shape), codec.dtype))
    assert list(files) == suffixes
    assert set(PREVIEWS) <= set(KINDS)
    if ".wav" in files:
        assert soundfile.info(io.BytesIO(files[".wav"])).frames >= NUM_PREVIEWED * 300
    if ".webp" in files:
        assert getattr(Image.open(io.BytesIO(files[".webp"])), "n_frames", 1) in (1, 3)
