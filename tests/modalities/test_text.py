"""Texts: every character comes back, what is no line of text has a reason, and a codec from outside is bounded."""

import json
from collections.abc import Sequence
from typing import Any
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pytest

from ganray.config import TextModality
from ganray.errors import DataError
from ganray.modalities.codecs import codec_from_json
from ganray.modalities.image import pixels_of
from ganray.modalities.text import TextCodec, TextFitting

LINES = ["Köln", "Ar Rāshidīyah", "שָׁלוֹם", "日本橋", "👩‍👩‍👧‍👦 family", "e\u0301te\u0301", "ỗ-đ", "a\ttab", "x" * 40, " padded "]


def fitted(batches: Sequence[Sequence[str | bytes]], **settings: Any) -> TextCodec:
    """Return the codec that batches of texts give."""
    fitting = TextFitting(TextModality(**settings))
    return fitting.codec(fitting.observe(column(batch)) for batch in batches)


def column(texts: Sequence[str | bytes | None]) -> pa.Array:
    return pa.array([text.encode() if isinstance(text, str) else text for text in texts], pa.large_binary())


def samples_of(codec: TextCodec, texts: Sequence[str]) -> np.ndarray:
    """Return texts as the arrays that shards hold."""
    return np.stack([np.frombuffer(data or b"", codec.dtype) for data in codec.encode_batch(column(texts)).samples])


def test_any_character_comes_back_in_its_composed_form() -> None:
    codec = fitted([LINES[:4], LINES[4:]])
    samples = samples_of(codec, LINES)
    assert samples.shape == (len(LINES), *codec.shape)
    assert codec.decode(samples) == [normalize("NFC", line) for line in LINES]
    assert codec_from_json(json.loads(json.dumps(codec.to_json()))) == codec


def test_the_codec_is_the_same_however_the_texts_are_cut_into_batches() -> None:
    assert fitted([LINES]) == fitted([[line] for line in LINES]) == fitted([LINES[::-1]])


def test_more_than_255_characters_take_two_bytes_each() -> None:
    texts = [chr(0x4E00 + number) for number in range(300)]
    codec = fitted([texts])
    assert (codec.dtype, codec.num_tokens) == ("int16", 301)
    assert codec.decode(samples_of(codec, texts)) == texts


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        (b"", "is empty"),
        (b" \t ", "is empty"),
        (b"a\x00b", "control character"),
        (b"a\x1b[2J", "control character"),
        (b"too long", "has 8 characters, more than data.modality.length=4"),
        (b"q", "has 'q', which is not among the 2 most frequent characters; raise data.modality.max_vocabulary"),
        (b"a" * (1 << 21), "has 2,097,152 bytes"),
        (None, "there is nothing to read"),
    ],
)
def test_what_is_no_such_text_has_a_reason(text: bytes | None, reason: str) -> None:
    encoded = TextCodec(4, ("a", "b")).encode_batch(column(["ab", text]))
    assert encoded.samples[1] is None
    assert encoded.reasons[0] is None
    assert reason in str(encoded.reasons[1])


def test_the_length_found_leaves_out_one_text_in_a_thousand_and_rare_characters_go_first() -> None:
    texts = ["ab"] * 9_990 + ["abc"] * 9 + ["z" * 500]
    assert fitted([texts]).length == 2
    assert fitted([texts], length=3, max_vocabulary=2) == TextCodec(3, ("a", "b"))
    assert fitted([["ab", "xyz"]], length=2) == TextCodec(2, ("a", "b"))  # a longer text is left out, with its characters


@pytest.mark.parametrize("batch", [[], [b"\xff\xd8\xff\xe0"], [b"\x00\x01"]])
def test_data_without_texts_is_one_line(batch: list[bytes]) -> None:
    with pytest.raises(DataError, match=r"data\.source\.path: .*another data\.modality"):
        fitted([batch])


@pytest.mark.parametrize(
    "change",
    [
        *({"length": length} for length in (0, -1, 1 << 40, True, 2.0, "8", None, [8])),
        *({"vocabulary": vocabulary} for vocabulary in ("", "aa", "x" * 20_000, ["a"], None, 7)),
        *({"kind": kind} for kind in ("image", "pickle", None, {}, [])),
    ],
)
def test_a_codec_from_outside_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        codec_from_json({**TextCodec(8, ("a", "b")).to_json(), **change})


def test_a_preview_has_all_lines_even_empty_ones() -> None:
    codec = fitted([LINES])
    few, many = (pixels_of(codec.preview(samples_of(codec, LINES * times))) for times in (1, 8))
    assert few.min() == 0
    assert many.size > few.size
    assert pixels_of(codec.preview(np.zeros((1, codec.length), np.uint8))).min() == 0
