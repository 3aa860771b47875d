"""What people look at, and listen to, of generated samples: an image of every kind, and of sounds a wav file, too."""

from ganray.modalities.codec import Codec, Samples
from ganray.modalities.sound.codec import SpectrogramCodec, WaveCodec
from ganray.modalities.sound.files import encode_sound, sheet

NUM_HEARD = 16  # samples of a sheet


def previews(codec: Codec, samples: Samples) -> dict[str, bytes]:
    """Return files by their suffixes that show samples [N, ...], N > 0, the first of them in a wav file if they are sounds."""
    files = {".png": codec.preview(samples)}
    if isinstance(codec, SpectrogramCodec | WaveCodec):
        rate = codec.clip.rate
        files[".wav"] = encode_sound(sheet(codec.waves(samples[:NUM_HEARD]), rate), rate, "wav")
    return files
