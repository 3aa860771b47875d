"""Words and punctuation marks of a text, each with the space before it, so that they are the text again once joined, in any script.

A word is a run of letters and digits with what combines with them, and apostrophes and hyphens inside. Every other character is a token
of its own, with what combines with it: an emoji keeps its skin tone, and several that are joined into one stay one. So are ideographs and
kana, which no spaces set apart.
"""

import functools
import re
import unicodedata

MAX_WORD = 64  # characters of a word in a vocabulary
JOINER = "\u200d"  # of emoji that are shown as one
INSIDE_WORDS = "'’-\u2010\u2011"
SKIN_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
TOKEN = re.compile(  # in the classes of `_class_of`
    r"\ ?(?: w[wcj]* (?: i w[wcj]* )*"  # a word
    r"| [dio][cj]* (?: (?<=j) [^\ ][cj]* )*"  # a mark
    r"| [cj]+ )",  # what combines with nothing
    re.VERBOSE,
)


def split_words(text: str) -> list[str]:
    """Return the tokens of a text, whose runs of white space count as one space, and which none begins or ends.

    Every token holds the space before it; the first one has one, too, so that a word is the same token there as elsewhere.
    """
    spaced = "".join(f" {part}" for part in text.split())
    classes = "".join(map(_class_of, spaced))
    return [spaced[found.start() : found.end()] for found in TOKEN.finditer(classes)]


def join_words(tokens: list[str]) -> str:
    """Return the text of tokens, without the first one's space."""
    return "".join(tokens).removeprefix(" ")


@functools.cache
def _class_of(character: str) -> str:
    """Return w of letters and digits, d of ideographs and kana, c of what combines, j of the joiner, i of what words may hold, else o."""
    if character == " ":
        return character
    if character == JOINER:
        return "j"
    if character in INSIDE_WORDS:
        return "i"
    category = unicodedata.category(character)
    if category[0] == "M" or category == "Cf" or character in SKIN_TONES:
        return "c"
    if category[0] not in "LN" and character != "_":
        return "o"
    is_wide = unicodedata.east_asian_width(character) == "W" and "HANGUL" not in unicodedata.name(character, "")
    return "d" if is_wide else "w"
