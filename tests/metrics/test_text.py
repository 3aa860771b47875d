"""Scores of texts: divergences by hand, and what copies, repeats and other texts score."""

import math

import pytest

from ganray.config.evaluate import SCORES
from ganray.metrics.text import compare_texts, count_ngrams, ngram_divergence

WORDS = [f"{start}{middle}{end}" for start in ("al", "be", "cor") for middle in ("in", "ang") for end in ("a", "ov", "um")]


def test_ngrams_know_where_a_text_begins_and_ends() -> None:
    assert count_ngrams(["ab", "b"], 2) == {"\0a": 1, "ab": 1, "b\0": 2, "\0b": 1}


def test_a_divergence_is_that_by_hand() -> None:
    left, right = [0.5, 0.5, 0.0], [0.5, 0.0, 0.5]  # the edges, "a" and "b"
    mean = [(a + b) / 2 for a, b in zip(left, right, strict=True)]
    expected = sum(p * math.log2(p / m) / 2 for side in (left, right) for p, m in zip(side, mean, strict=True) if p)
    assert ngram_divergence(["aa"], ["bb"], 1) == pytest.approx(expected)


def test_equal_texts_diverge_by_nothing_and_others_by_all() -> None:
    assert ngram_divergence(WORDS, WORDS[::-1], 4) == 0
    assert ngram_divergence(["abab"], ["xyxy"], 2) == pytest.approx(1)
    assert ngram_divergence(["a"], [], 1) == ngram_divergence(["a"], [""], 3) == 1


def test_copies_are_not_new_and_repeats_are_not_diverse() -> None:
    copies = compare_texts(WORDS, WORDS)
    assert (copies["metric/novelty"], copies["metric/uniqueness"], copies["metric/diversity"]) == (0, 1, 1)
    repeats = compare_texts(WORDS, ["new"] * 20)
    assert (repeats["metric/novelty"], repeats["metric/uniqueness"]) == (1, 0.05)
    assert repeats["metric/diversity"] < 0.1
    assert repeats["metric/ngram_4"] > copies["metric/ngram_4"]


def test_every_score_is_in_the_table_and_in_its_range() -> None:
    scores = compare_texts(WORDS, ["alina", "zzz", ""])
    assert {name for name, kind in SCORES.items() if "text" in kind.kinds} == scores.keys()
    assert all(SCORES[name].low <= value <= SCORES[name].high for name, value in scores.items())
