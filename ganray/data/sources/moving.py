"""Moving Fashion-MNIST: garments that move over a black square and bounce off its sides, of known direction and speed."""

from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from ganray.config import FashionMnistSource, MovingSource
from ganray.data.sources.fashion_mnist import SIDE, list_fashion_mnist
from ganray.data.sources.rows import Listing, Rows

VERSION = 1  # raised whenever the same garment would move otherwise
FRAMES, CANVAS, GARMENT = 32, 32, 16  # of a clip; pixels
MIN_SPEED, MAX_SPEED = 1.0, 2.0  # pixels a frame
BATCH_ROWS = 64


def list_moving(source: MovingSource) -> Listing:
    """List a split, whose clips are a function of its garments and their numbers."""
    garments = list_fashion_mnist(_garments(source))
    facts = {"count": garments.count, "classes": garments.classes, "is_labelled": True}
    return Listing("moving-fashion-mnist", [VERSION, *garments.identity], partial(_open, source), **facts)  # type: ignore[arg-type]


def path_of(number: int) -> NDArray[np.float64]:
    """Return the places [FRAMES, 2] (down, right) of the top left corner of a clip's garment, in pixels."""
    words = np.random.Philox(key=number).random_raw(4) / 2.0**64
    angle, speed = 2 * np.pi * words[2], MIN_SPEED + (MAX_SPEED - MIN_SPEED) * words[3]
    free = CANVAS - GARMENT
    straight = words[:2] * free + np.arange(FRAMES)[:, None] * speed * np.array([np.cos(angle), np.sin(angle)])
    places: NDArray[np.float64] = free - np.abs(free - np.mod(straight, 2 * free))  # a triangle wave: it bounces
    return places


def make_clip(garment: bytes, number: int) -> bytes:
    """Return the frames uint8 [FRAMES, CANVAS, CANVAS, 1] of a garment's SIDE x SIDE pixels, as bytes."""
    image = Image.fromarray(np.frombuffer(garment, np.uint8).reshape(SIDE, SIDE))
    small = np.asarray(image.resize((GARMENT, GARMENT), Image.Resampling.LANCZOS))
    frames = np.zeros((FRAMES, CANVAS, CANVAS, 1), np.uint8)
    for frame, (top, left) in zip(frames, path_of(number).round().astype(int), strict=True):
        frame[top : top + GARMENT, left : left + GARMENT, 0] = small
    return frames.tobytes()


def _garments(source: MovingSource) -> FashionMnistSource:
    return FashionMnistSource(split=source.split, path=source.path)


def _open(source: MovingSource) -> Rows:
    rows = list_fashion_mnist(_garments(source)).open()
    moving = rows.dataset.map_batches(_move, batch_size=BATCH_ROWS, batch_format="pyarrow")
    return Rows(moving, rows.count, raw_shape=(FRAMES, CANVAS, CANVAS, 1), classes=rows.classes, licence=rows.licence)


def _move(batch: pa.Table) -> pa.Table:
    """Replace the garments in a batch, which are named by their numbers, by clips."""
    numbers = (int(name.rpartition("/")[2]) for name in batch["name"].to_pylist())
    clips = [make_clip(garment, number) for garment, number in zip(batch["data"].to_pylist(), numbers, strict=True)]
    return batch.set_column(batch.schema.get_field_index("data"), "data", pa.array(clips, pa.large_binary()))
