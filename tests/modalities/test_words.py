"""Words as tokens: joined they are the text again, in any script, and a vocabulary of them travels as JSON."""

import json
import random
import sys
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest

from ganray.config import TextModality
from ganray.modalities.codecs import codec_from_json
from ganray.modalities.text import TextCodec
from ganray.modalities.words import join_words, split_words
from tests.modalities.test_text import column, fitted, samples_of

WOMAN_SCIENTIST = "\U0001f469\U0001f3fd\u200d\U0001f52c"  # woman, skin tone, joiner, microscope
FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
SENTENCES = [
    "It's a well-known fact, isn't it?",
    'He said: "No (never)!" - and left.',
    "Prices rose 3.5% to $1,200 in 1999...",
    "« Où vas-tu ? » demanda-t-elle.",
    "שָׁלוֹם עֲלֵיכֶם, חֲבֵרִים!",
    "مرحبا بالعالم؟ می‌خواهم",
    "हिन्दी में लिखा हुआ।",
    "日本語の文、です。",
    "안녕하세요 세계!",
    f"a {WOMAN_SCIENTIST} and {FAMILY}{FAMILY} ❤️!",
    "a\u0335b\u0323\u0301 ỗ-đ",
]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It's a well-known fact, isn't it?", [" It's", " a", " well-known", " fact", ",", " isn't", " it", "?"]),
        ("(No) -- 3.5%", [" (", "No", ")", " -", "-", " 3", ".", "5", "%"]),
        ("שָׁלוֹם, a\u0335b!", [" שָׁלוֹם", ",", " a\u0335b", "!"]),
        (f"x{WOMAN_SCIENTIST}{FAMILY}❤️", [" x", WOMAN_SCIENTIST, FAMILY, "❤️"]),
        ("日本 안녕하세요", [" 日", "本", " 안녕하세요"]),
        ("می‌خواهم", [" می‌خواهم"]),  # with a zero-width non-joiner, which is part of the word
        (" \u0301 two\t\u00a0 spaces ", [" \u0301", " two", " spaces"]),
        ("", []),
    ],
)
def test_words_and_marks_are_tokens_with_the_space_before_them(text: str, tokens: list[str]) -> None:
    assert split_words(text) == tokens


def test_any_text_comes_back_from_its_words_but_for_runs_of_white_space() -> None:
    draw = random.Random(0)
    some = [chr(code) for code in (*range(32, 0x700), 0x200C, 0x200D, 0xFE0F, *range(0x1F3F0, 0x1F400), 0x3042, 0x65E5, 0xAC00)]
    texts = ["".join(draw.choices(some, k=30)) for _ in range(500)]
    texts += ["".join(chr(code) for code in range(start, start + 300)) for start in range(0x20, sys.maxunicode - 300, 30_011)]
    for text in texts:
        assert join_words(split_words(text)) == " ".join(text.split())


def test_sentences_of_many_scripts_come_back_through_samples_and_json() -> None:
    codec = fitted([SENTENCES], tokens="words")
    samples = samples_of(codec, SENTENCES)
    assert codec.decode(samples) == [normalize("NFC", sentence) for sentence in SENTENCES]
    assert codec_from_json(json.loads(json.dumps(codec.to_json()))) == codec
    assert codec.noun == f"texts of up to {codec.length} words, {len(codec.vocabulary)} of which differ"
    assert fitted([SENTENCES[:3], SENTENCES[3:]], tokens="words") == codec


def test_texts_with_rare_words_and_of_more_words_than_the_length_are_left_out() -> None:
    codec = fitted([["a b b.", "a b c.", "b"]], tokens="words", max_vocabulary=3)
    assert codec == TextCodec(4, (" b", " a", "."), "words")
    encoded = codec.encode_batch(column(["b a b.", "a c.", "a a a a a", "x" * 100]))
    assert encoded.samples[0] == bytes([1, 2, 1, 3])
    assert [str(reason).partition(";")[0] for reason in encoded.reasons[1:]] == [
        "has 'c', which is not among the 3 most frequent words",
        "has 5 words, more than data.modality.length=4",
        f"has '{'x' * 64}', which is not among the 3 most frequent words",
    ]


def test_generated_words_are_spaced_as_in_the_data_and_end_at_the_first_end() -> None:
    codec = TextCodec(5, (" b", " a", ".", "c"), "words")
    assert codec.decode(np.array([[1, 2, 3, 0, 0], [4, 2, 0, 3, 3], [0, 1, 1, 1, 1]], np.uint8)) == ["b a.", "c a", ""]


def test_a_vocabulary_of_words_is_larger_unless_the_job_says_how_large() -> None:
    assert TextModality().max_vocabulary == 1024
    assert TextModality(tokens="words").max_vocabulary == 8192
    assert TextModality(tokens="words", max_vocabulary=7).max_vocabulary == 7


@pytest.mark.parametrize(
    "change",
    [
        *({"vocabulary": vocabulary} for vocabulary in ([], ["a", "a"], "ab", [" a b"], ["a "], [""], ["x" * 65], [7], [["a"]], ["\n"])),
        *({"tokens": tokens} for tokens in ("bytes", "characters", None, [], {})),
    ],
)
def test_a_codec_of_words_from_outside_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        codec_from_json({**TextCodec(8, (" a", ","), "words").to_json(), **change})
