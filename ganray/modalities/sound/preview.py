"""Sounds as people listen to them: the first samples, one after the other, in a wav file."""

from collections.abc import Mapping
from typing import cast

from ganray.modalities.codec import NUM_PREVIEWED, Codec, Preview, Samples
from ganray.modalities.sound.codec import SoundCodec
from ganray.modalities.sound.files import encode_sound, sheet


def wav_sheet(codec: Codec, samples: Samples) -> bytes:
    """Return a wav file of the first samples [N, ...] of sounds, N > 0."""
    sounds = cast(SoundCodec, codec)
    rate = sounds.clip.rate
    return encode_sound(sheet(sounds.waves(samples[:NUM_PREVIEWED]), rate), rate, "wav")


PREVIEWS: Mapping[str, Preview] = {".wav": wav_sheet}
