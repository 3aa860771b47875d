"""Scores of texts by their characters: divergence of n-grams, and how many texts are new and differ from one another."""

import math
from collections import Counter
from collections.abc import Sequence

LONGEST = 4  # characters of the n-grams that are compared
EDGE = "\0"  # before and after a text, so that n-grams know where it begins and ends; no text has it


def compare_texts(reals: Sequence[str], fakes: Sequence[str]) -> dict[str, float]:
    """Return the scores of generated texts against real ones: `metric/ngram_1` to `metric/ngram_4`, novelty, uniqueness and diversity.

    An n-gram score is the Jensen-Shannon divergence between the frequencies of n characters in a row, 0 to 1. Novelty is the share of
    fakes that are no real text, uniqueness that of fakes that differ from those before; diversity is the number of different fakes over
    that of as many reals, 1 at best.
    """
    divergences = {f"metric/ngram_{size}": ngram_divergence(reals, fakes, size) for size in range(1, LONGEST + 1)}
    known, different = set(reals), set(fakes)
    number = min(len(reals), len(fakes))
    return {
        **divergences,
        "metric/novelty": sum(text not in known for text in fakes) / len(fakes),
        "metric/uniqueness": len(different) / len(fakes),
        "metric/diversity": len(set(fakes[:number])) / len(set(reals[:number])),
    }


def ngram_divergence(left: Sequence[str], right: Sequence[str], size: int) -> float:
    """Return the Jensen-Shannon divergence in bits between the distributions of n-grams of two lists of texts, 0 to 1 (Lin 1991)."""
    first, second = count_ngrams(left, size), count_ngrams(right, size)
    totals = first.total(), second.total()
    if not all(totals):
        return 1.0
    terms = []
    for ngram in first.keys() | second.keys():  # in an order that each process has its own of, which an exact sum does not depend on
        shares = first[ngram] / totals[0], second[ngram] / totals[1]
        mean = sum(shares) / 2
        terms += [share * math.log2(share / mean) / 2 for share in shares if share]
    return min(1.0, math.fsum(terms))


def count_ngrams(texts: Sequence[str], size: int) -> Counter[str]:
    """Return how often each run of `size` characters occurs, the edges of texts among the characters."""
    counts = Counter[str]()
    for text in texts:
        framed = f"{EDGE}{text}{EDGE}"
        counts.update(framed[start : start + size] for start in range(len(framed) - size + 1))
    return counts
