"""Videos: decoding real and hostile files, Moving Fashion-MNIST, previews and animations."""

from io import BytesIO

import av
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image

from ganray.data.sources.moving import CANVAS, FRAMES, GARMENT, make_clip, path_of
from ganray.modalities.codec import UnreadableSample
from ganray.modalities.image import Target
from ganray.modalities.video.codec import VideoCodec, animation, read_webp, video_codec_from_json
from ganray.modalities.video.decoding import ClipTarget, decode
from ganray.modalities.video.formats import EXTENSIONS, starts_as_video

TARGET = ClipTarget(Target((3, 16, 16), "box"), frames=4)
GREYS = (0, 40, 80, 120, 160, 200)


def greys(number: int = 6) -> list[Image.Image]:
    """Return frames of one colour each, with a dot that keeps encoders from merging them."""
    return [Image.new("RGB", (32, 32), (grey, grey, grey)) for grey in GREYS[:number]]


def animated(format: str, frames: list[Image.Image], **options: object) -> bytes:
    """Return frames as an animated file."""
    buffer = BytesIO()
    frames[0].save(buffer, format, save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


def streamed(format: str, frames: list[Image.Image]) -> bytes:
    """Return frames as a file of a video stream."""
    buffer = BytesIO()
    with av.open(buffer, "w", format=format) as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
    return buffer.getvalue()


def levels(data: bytes, target: ClipTarget = TARGET) -> list[float]:
    """Return the mean of each frame of a file."""
    clip = decode(data, target)
    assert clip.shape == target.shape
    return clip.mean((1, 2, 3)).tolist()


@pytest.mark.parametrize(
    "data",
    [
        animated("GIF", greys()),
        animated("GIF", greys(), duration=[10, 500, 20, 900, 30, 40]),
        animated("WEBP", greys(), lossless=True),
        animated("PNG", greys()),
        streamed("mp4", greys()),
        streamed("avi", greys()),
    ],
    ids=["gif", "gif of a variable rate", "webp", "apng", "mp4", "avi"],
)
def test_the_first_frames_of_any_format_are_taken(data: bytes) -> None:
    np.testing.assert_allclose(levels(data), GREYS[:4], atol=4)


def test_every_nth_frame_is_taken() -> None:
    np.testing.assert_allclose(levels(animated("GIF", greys()), ClipTarget(TARGET.target, 3, every=2)), [0, 80, 160], atol=4)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (animated("GIF", greys(1)), "has 1 frame, fewer than 4"),
        (animated("GIF", greys())[:60], "truncated|fewer|cannot identify"),
        (streamed("mp4", greys())[:300], "Invalid data|no video|fewer"),
        (b"", "Invalid data|End of file"),
        (b"no video at all" * 40, "Invalid data"),
    ],
)
def test_what_is_no_video_is_unreadable_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableSample, match=reason):
        decode(data, TARGET)


def moving(number: int = 6) -> NDArray[np.uint8]:
    """Return clips of white squares [number, 8, 1, 32, 32] from the source's own frames."""
    codec = VideoCodec(ClipTarget(Target((1, 32, 32), "lanczos"), 8), (FRAMES, CANVAS, CANVAS, 1))
    encoded = codec.encode_batch(pa.array([*(make_clip(b"\xff" * 28 * 28, index) for index in range(number)), b"x", None]))
    assert encoded.reasons[number:] == [f"has 1 bytes instead of {FRAMES * CANVAS * CANVAS}", "there is nothing to read"]
    return np.stack([np.frombuffer(data, np.uint8).reshape(codec.shape) for data in encoded.samples[:number] if data])


def test_garments_move_as_their_path_says_and_stay_inside() -> None:
    for number, clip in enumerate(moving()):
        for frame, (top, left) in zip(clip[:, 0], path_of(number).round().astype(int), strict=False):
            rows, columns = np.nonzero(frame)
            assert (rows.min(), columns.min(), rows.max(), columns.max()) == (top, left, top + GARMENT - 1, left + GARMENT - 1)


def test_directions_and_speeds_are_uniform() -> None:
    steps = np.array([path_of(number)[1] - path_of(number)[0] for number in range(4000)])
    angles = np.bincount((np.arctan2(steps[:, 1], steps[:, 0]) % (2 * np.pi) / (np.pi / 4)).astype(int), minlength=8) / 4000
    assert angles.min() > 0.1
    assert angles.max() < 0.15
    assert 0.9 < np.quantile(np.hypot(*steps.T), 0.5) < 2.0


def test_an_animation_holds_the_clip_and_its_description() -> None:
    clips = moving()
    exif = Image.Exif()
    exif[0x010E] = '{"seed": 3}'
    frames, description = read_webp(animation(clips[:1], "WEBP", exif=exif.tobytes()))
    np.testing.assert_array_equal(frames[:, 0], clips[0, :, 0])
    assert description == '{"seed": 3}'
    assert len(read_webp(animation(clips, "WEBP"))[0]) == 8
    assert animation(clips, "GIF").startswith(b"GIF89a")
    with pytest.raises(UnreadableSample):
        read_webp(b"RIFF....WEBP")


def test_a_codec_survives_json_and_draws_film_strips() -> None:
    codec = VideoCodec(ClipTarget(Target((1, 32, 32), "lanczos"), 8))
    assert video_codec_from_json(codec.to_json()) == codec
    assert codec.preview(moving()).startswith(b"\x89PNG")
    for shape in (None, [8, 1, 32], [1, 1, 32, 32], [8, 9, 32, 32], [8, 1, 32, 10**9], [8, 1, 32, True]):
        with pytest.raises(ValueError, match="video"):
            video_codec_from_json({"kind": "video", "shape": shape})


def test_videos_are_known_by_extension_and_by_first_bytes() -> None:
    assert {".gif", ".webp", ".mp4", ".avi"} <= EXTENSIONS
    for data in (animated("GIF", greys()), animated("WEBP", greys()), streamed("mp4", greys()), streamed("avi", greys())):
        assert starts_as_video(data[:32])
    assert not any(starts_as_video(head) for head in (b"", b"RIFF....WAVEfmt ", b"\xff\xd8\xff", b"hello"))
