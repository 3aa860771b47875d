"""Texts: lines of characters as token ids, the vocabulary that is fitted to them, and an image of lines."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ganray.config.modalities.text import MAX_LENGTH, MAX_VOCABULARY, TextModality
from ganray.errors import DataError
from ganray.modalities.codec import Encoded, Samples, UnreadableSample, encode_each
from ganray.modalities.text_image import draw_lines

END = 0  # the token after a text's last character, repeated to the full length
KEPT = 0.999  # share of the texts that a length found by itself holds
MAX_BYTES = 1 << 20  # of a text, beyond which it is no line


@dataclass(frozen=True)
class TextCodec:
    """Token ids [length]: 1 + its number in `vocabulary` for each character, then `END`. Texts are in Unicode's form NFC."""

    length: int
    vocabulary: tuple[str, ...]

    kind = "text"

    @property
    def shape(self) -> tuple[int]:
        """(length,)."""
        return (self.length,)

    @property
    def dtype(self) -> str:
        """The smallest type that holds all tokens."""
        return "uint8" if self.num_tokens <= 256 else "int16"

    @property
    def num_tokens(self) -> int:
        """Tokens that differ, `END` among them."""
        return len(self.vocabulary) + 1

    @property
    def noun(self) -> str:
        """Length and vocabulary."""
        return f"texts of up to {self.length} characters, {len(self.vocabulary)} of which differ"

    def encode_batch(self, data: Any) -> Encoded:
        """Encode UTF-8."""
        return encode_each(self.encode, data.to_pylist())

    def encode(self, raw: bytes) -> NDArray[Any]:
        """Return the tokens of a text in UTF-8. Raises `UnreadableSample` for one that is too long, empty, or has other characters."""
        text = read_text(raw)
        if len(text) > self.length:
            raise UnreadableSample(f"has {len(text)} characters, more than data.modality.length={self.length}")
        tokens = np.zeros(self.length, self.dtype)
        try:
            tokens[: len(text)] = [self._numbers[character] for character in text]
        except KeyError as error:
            problem = f"has {str(error.args[0])!r}, which is not among the {len(self.vocabulary)} most frequent characters"
            raise UnreadableSample(f"{problem}; raise data.modality.max_vocabulary") from None
        return tokens

    def decode(self, tokens: Samples) -> list[str]:
        """Return samples [N, length] as texts, each up to its first `END`."""
        characters = np.array(["", *self.vocabulary])
        ends = np.where((tokens == END).any(1), (tokens == END).argmax(1), self.length)
        return ["".join(characters[row[:end]]) for row, end in zip(tokens, ends, strict=True)]

    def preview(self, samples: Samples, texts: Mapping[str, str] | None = None) -> bytes:
        """Return an image of the lines."""
        return draw_lines(self.decode(samples), texts)

    def to_json(self) -> dict[str, Any]:
        """Return the length, and the vocabulary as one string."""
        return {"kind": self.kind, "length": self.length, "vocabulary": "".join(self.vocabulary)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the codec that `to_json` described. Raises `ValueError` for anything else, which may come from outside."""
        length, vocabulary = data.get("length"), data.get("vocabulary")
        if type(length) is not int or not 1 <= length <= MAX_LENGTH:
            raise ValueError(f"the length of a text is 1 to {MAX_LENGTH}")
        if not isinstance(vocabulary, str) or not 1 <= len(vocabulary) <= MAX_VOCABULARY or len(set(vocabulary)) < len(vocabulary):
            raise ValueError(f"a vocabulary is 1 to {MAX_VOCABULARY} characters that differ")
        return cls(length, tuple(vocabulary))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {character: number for number, character in enumerate(self.vocabulary, start=1)}


@dataclass(frozen=True)
class TextSummary:
    """Frequencies of characters and lengths in a batch of texts, and how many are none."""

    characters: Counter[str]
    lengths: Counter[int]
    num_unreadable: int
    reason: str | None


@dataclass(frozen=True)
class TextFitting:
    """Finds the vocabulary, the most frequent characters first, and the length that nearly all texts keep to."""

    modality: TextModality

    def observe(self, data: Any) -> TextSummary:
        """Count a batch's characters, but for texts that are longer than the job allows, and its lengths."""
        characters, lengths = Counter[str](), Counter[int]()
        reasons = []
        for raw in data.to_pylist():
            try:
                text = read_text(raw)
            except UnreadableSample as error:
                reasons.append(str(error))
                continue
            if self.modality.length == "auto" or len(text) <= self.modality.length:  # else it is left out
                characters.update(text)
            lengths[len(text)] += 1
        return TextSummary(characters, lengths, len(reasons), reasons[0] if reasons else None)

    def codec(self, summaries: Iterable[TextSummary]) -> TextCodec:
        """Return the codec of all texts. Raises `DataError` if there are none."""
        characters, lengths, reason = Counter[str](), Counter[int](), None
        for summary in summaries:
            characters.update(summary.characters)
            lengths.update(summary.lengths)
            reason = reason or summary.reason
        if not lengths:
            problem = f"none of its samples is text ({reason})" if reason else "it has no samples"
            raise DataError("data.source.path", problem, "name a source of texts, or another data.modality")
        ranked = sorted(characters, key=lambda character: (-characters[character], character))
        return TextCodec(self._length(lengths), tuple(ranked[: self.modality.max_vocabulary]))

    def _length(self, lengths: Counter[int]) -> int:
        if self.modality.length != "auto":
            return self.modality.length
        wanted, seen = KEPT * lengths.total(), 0
        for length in sorted(lengths):
            seen += lengths[length]
            if seen >= wanted:
                return min(length, MAX_LENGTH)
        raise AssertionError("the longest text holds all")


def read_text(raw: bytes) -> str:
    """Return a text in UTF-8 in Unicode's form NFC. Raises `UnreadableSample` for what is none, or empty."""
    if len(raw) > MAX_BYTES:
        raise UnreadableSample(f"has {len(raw):,} bytes in a line")
    try:
        text = unicodedata.normalize("NFC", raw.decode())
    except UnicodeDecodeError as error:
        raise UnreadableSample(f"is not UTF-8 ({error.reason} at byte {error.start})") from None
    if control := next((character for character in text if unicodedata.category(character) == "Cc" and character != "\t"), None):
        raise UnreadableSample(f"has the control character {control!r}")
    if not text.strip():
        raise UnreadableSample("is empty")
    return text
