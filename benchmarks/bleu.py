"""BLEU (Papineni et al. 2002) of many sentences against many references, and of each sentence against all others (Zhu et al. 2018).

Matches are summed over the sentences before the precisions are divided, as Papineni et al. do, so nothing needs smoothing. There is no
brevity penalty: of hundreds of references, one is as long as a sentence.
"""

import math
from collections import Counter
from collections.abc import Sequence

LONGEST = 4  # words of the n-grams that are compared

Sentence = Sequence[str]  # of words
Ngram = tuple[str, ...]


class NgramCounts:
    """How often each n-gram occurs in the sentence that has most of it: in all sentences, or in all but one of them."""

    def __init__(self, sentences: Sequence[Sentence]) -> None:
        self.first: dict[Ngram, tuple[int, int]] = {}  # the highest count, and the number of its sentence
        self.second: dict[Ngram, int] = {}  # the highest count among the others
        for number, sentence in enumerate(sentences):
            for ngram, count in count_ngrams(sentence).items():
                best, owner = self.first.get(ngram, (0, -1))
                self.second[ngram] = max(self.second.get(ngram, 0), min(best, count))
                self.first[ngram] = (count, number) if count > best else (best, owner)

    def highest(self, ngram: Ngram, *, without: int = -1) -> int:
        """Return how often an n-gram occurs in a sentence at most, one of them left out."""
        best, owner = self.first.get(ngram, (0, -1))
        return self.second[ngram] if best and owner == without else best


def bleu(sentences: Sequence[Sentence], references: NgramCounts) -> float:
    """Return BLEU-4 of sentences, each against all references, 0 to 1."""
    return _bleu(sentences, references, are_references=False)


def self_bleu(sentences: Sequence[Sentence]) -> float:
    """Return BLEU-4 of sentences, each against all others, 0 to 1."""
    return _bleu(sentences, NgramCounts(sentences), are_references=True)


def _bleu(sentences: Sequence[Sentence], references: NgramCounts, *, are_references: bool) -> float:
    matches, totals = Counter[int](), Counter[int]()
    for number, sentence in enumerate(sentences):
        for ngram, count in count_ngrams(sentence).items():
            totals[len(ngram)] += count
            matches[len(ngram)] += min(count, references.highest(ngram, without=number if are_references else -1))
    precisions = [matches[size] / max(totals[size], 1) for size in range(1, LONGEST + 1)]
    return math.exp(math.fsum(map(math.log, precisions)) / LONGEST) if all(precisions) else 0.0


def count_ngrams(sentence: Sentence) -> Counter[Ngram]:
    """Return how often each run of one to four words occurs."""
    return Counter(tuple(sentence[start : start + size]) for size in range(1, LONGEST + 1) for start in range(len(sentence) - size + 1))
