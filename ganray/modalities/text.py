"""Texts: lines of characters or words as token ids, the vocabulary that is fitted to them, and an image of lines."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray

from ganray.config.modalities.text import MAX_LENGTH, MAX_VOCABULARY, TextModality, TokenKind
from ganray.errors import DataError
from ganray.modalities.codec import Encoded, Samples, UnreadableSample, encode_each
from ganray.modalities.text_image import draw_lines
from ganray.modalities.words import MAX_WORD, join_words, split_words

END = 0  # the token after a text's last one, repeated to the full length
KEPT = 0.999  # share of the texts that a length found by itself holds
MAX_BYTES = 1 << 20  # of a text, beyond which it is no line
MAX_COUNTED = 1 << 20  # tokens whose frequencies are in memory: there is no end of rare words


@dataclass(frozen=True)
class TextCodec:
    """Token ids [length]: 1 + its number in `vocabulary` for each token, then `END`. Texts are in Unicode's form NFC."""

    length: int
    vocabulary: tuple[str, ...]
    tokens: TokenKind = "characters"

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
        return f"texts of up to {self.length} {self.tokens}, {len(self.vocabulary)} of which differ"

    def encode_batch(self, data: Any) -> Encoded:
        """Encode UTF-8."""
        return encode_each(self.encode, data.to_pylist())

    def encode(self, raw: bytes) -> NDArray[Any]:
        """Return the tokens of a text in UTF-8. Raises `UnreadableSample` for one that is too long, empty, or has other tokens."""
        parts = split_text(read_text(raw), self.tokens)
        if len(parts) > self.length:
            raise UnreadableSample(f"has {len(parts)} {self.tokens}, more than data.modality.length={self.length}")
        numbers = np.zeros(self.length, self.dtype)
        try:
            numbers[: len(parts)] = [self._numbers[part] for part in parts]
        except KeyError as error:
            token = str(error.args[0]) if self.tokens == "characters" else str(error.args[0]).strip()[:MAX_WORD]
            problem = f"has {token!r}, which is not among the {len(self.vocabulary)} most frequent {self.tokens}"
            raise UnreadableSample(f"{problem}; raise data.modality.max_vocabulary") from None
        return numbers

    def decode(self, samples: Samples) -> list[str]:
        """Return samples [N, length] as texts, each up to its first `END`."""
        known = np.array(["", *self.vocabulary])
        ends = np.where((samples == END).any(1), (samples == END).argmax(1), self.length)
        return [join_text(known[row[:end]].tolist(), self.tokens) for row, end in zip(samples, ends, strict=True)]

    def preview(self, samples: Samples, texts: Mapping[str, str] | None = None) -> bytes:
        """Return an image of the lines."""
        return draw_lines(self.decode(samples), texts)

    def to_json(self) -> dict[str, Any]:
        """Return the length, and the vocabulary: of characters as one string."""
        if self.tokens == "characters":
            return {"kind": self.kind, "length": self.length, "vocabulary": "".join(self.vocabulary)}
        return {"kind": self.kind, "tokens": self.tokens, "length": self.length, "vocabulary": list(self.vocabulary)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the codec that `to_json` described. Raises `ValueError` for anything else, which may come from outside."""
        length, vocabulary, tokens = data.get("length"), data.get("vocabulary"), data.get("tokens", "characters")
        if type(length) is not int or not 1 <= length <= MAX_LENGTH:
            raise ValueError(f"the length of a text is 1 to {MAX_LENGTH}")
        if tokens not in get_args(TokenKind):
            raise ValueError("the tokens of a text are characters or words")
        expected = str if tokens == "characters" else list
        if not isinstance(vocabulary, expected) or not 1 <= len(vocabulary) <= MAX_VOCABULARY:
            raise ValueError(f"a vocabulary is 1 to {MAX_VOCABULARY} {tokens}")
        if not all(is_token(token, tokens) for token in vocabulary) or len(set(vocabulary)) < len(vocabulary):
            raise ValueError(f"a vocabulary is {tokens} that differ")
        return cls(length, tuple(vocabulary), tokens)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.vocabulary, start=1)}


def split_text(text: str, tokens: TokenKind) -> list[str]:
    """Return the tokens of a text."""
    return list(text) if tokens == "characters" else split_words(text)


def join_text(parts: list[str], tokens: TokenKind) -> str:
    """Return the text that tokens make."""
    return "".join(parts) if tokens == "characters" else join_words(parts)


def is_token(token: object, tokens: TokenKind) -> bool:
    """Return whether a vocabulary may hold a token: of words, one that is a whole token of a text, and not too long."""
    if tokens == "characters":
        return True
    return isinstance(token, str) and len(token) <= MAX_WORD and split_words(token) in ([token], [f" {token}"])


@dataclass(frozen=True)
class TextSummary:
    """Frequencies of tokens and lengths in a batch of texts, and how many are none."""

    tokens: Counter[str]
    lengths: Counter[int]
    num_unreadable: int
    reason: str | None


@dataclass(frozen=True)
class TextFitting:
    """Finds the vocabulary, the most frequent tokens first, and the length that nearly all texts keep to."""

    modality: TextModality

    def observe(self, data: Any) -> TextSummary:
        """Count a batch's tokens, but for texts that are longer than the job allows, and its lengths."""
        tokens, lengths = Counter[str](), Counter[int]()
        reasons = []
        for raw in data.to_pylist():
            try:
                parts = split_text(read_text(raw), self.modality.tokens)
            except UnreadableSample as error:
                reasons.append(str(error))
                continue
            if self.modality.length == "auto" or len(parts) <= self.modality.length:  # else it is left out
                tokens.update(part for part in parts if len(part) <= MAX_WORD)
            lengths[len(parts)] += 1
        return TextSummary(tokens, lengths, len(reasons), reasons[0] if reasons else None)

    def codec(self, summaries: Iterable[TextSummary]) -> TextCodec:
        """Return the codec of all texts. Raises `DataError` if there are none."""
        tokens, lengths, reason = Counter[str](), Counter[int](), None
        for summary in summaries:
            tokens.update(summary.tokens)
            if len(tokens) > MAX_COUNTED:  # lossy counting
                tokens = Counter(dict(tokens.most_common(MAX_COUNTED // 2)))
            lengths.update(summary.lengths)
            reason = reason or summary.reason
        if not lengths:
            problem = f"none of its samples is text ({reason})" if reason else "it has no samples"
            raise DataError("data.source.path", problem, "name a source of texts, or another data.modality")
        ranked = sorted(tokens, key=lambda token: (-tokens[token], token))
        return TextCodec(self._length(lengths), tuple(ranked[: self.modality.max_vocabulary]), self.modality.tokens)

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
