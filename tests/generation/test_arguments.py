"""What `ganray generate` is asked for: `--class`, a name before a number, in any Unicode form; `--num` and `--seed`."""

from unicodedata import normalize

import pytest

from ganray.errors import ConfigError
from ganray.generation.batch import check_numbers, find_class

CAFE = "caf\u00e9"


@pytest.mark.parametrize(
    ("label", "names", "number"),
    [
        ("bag", ["bag", "coat"], 0),
        ("1", ["bag", "coat"], 1),
        ("2", ["bag", "coat"], None),
        ("-1", ["bag", "coat"], None),
        ("1.0", ["bag", "coat"], None),
        ("hat", ["bag", "coat"], None),
        ("", ["bag", "coat"], None),
        ("7", ["5", "7", "9"], 1),
        ("1", ["5", "7", "9"], None),
        ("1", ["0", "2", "1"], 2),
        ("07", ["7", "07"], 1),
        ("1", ["5", "bag"], None),
        (normalize("NFD", CAFE), ["bag", normalize("NFC", CAFE)], 1),
        (normalize("NFC", CAFE), ["bag", normalize("NFD", CAFE)], 1),
        (normalize("NFD", CAFE), [normalize("NFC", CAFE), normalize("NFD", CAFE)], 1),
        ("1", [], 1),
        ("3", [], None),
        ("9" * 5000, [], None),
        ("\u0661", [], 1),
    ],
)
def test_a_class_is_found_by_name_and_else_by_number(label: str, names: list[str], number: int | None) -> None:
    assert find_class(label, names, len(names) or 3) == number


@pytest.mark.parametrize(
    ("num", "seed", "field"), [(0, 0, "--num"), (-1, 0, "--num"), (1, -1, "--seed"), (1, 1 << 63, "--seed"), (1, 10**400, "--seed")]
)
def test_numbers_beyond_a_record_are_refused(num: int, seed: int, field: str) -> None:
    with pytest.raises(ConfigError, match=f"{field}: expected "):
        check_numbers(num, seed, None)
