"""What people look at and listen to: an image of samples of every kind, of sounds a wav file, and of videos an animation, too."""

from ganray.modalities.codec import Codec, Samples
from ganray.modalities.sound.codec import SpectrogramCodec, WaveCodec
from ganray.modalities.sound.files import encode_sound, sheet
from ganray.modalities.video.codec import VideoCodec, animation

NUM_HEARD = 16  # samples of a sheet or an animation


def previews(codec: Codec, samples: Samples) -> dict[str, bytes]:
    """Return files by their suffixes that show samples [N, ...], N > 0: the first sounds in a wav file, the first videos in a grid."""
    files = {".png": codec.preview(samples)}
    if isinstance(codec, SpectrogramCodec | WaveCodec):
        rate = codec.clip.rate
        files[".wav"] = encode_sound(sheet(codec.waves(samples[:NUM_HEARD]), rate), rate, "wav")
    if isinstance(codec, VideoCodec):
        files[".webp"] = animation(samples[:NUM_HEARD], "WEBP")
    return files
