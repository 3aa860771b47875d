"""Facts and tables as text."""

import pytest
from click.testing import CliRunner

from ganray.cli.listing import aligned, print_rows, print_table


def test_no_name_runs_into_its_value() -> None:
    facts = {"metric/class_coverage": 0.8966, "uri": "x", "parent": ""}
    assert aligned(facts) == ["metric/class_coverage  0.8966", f"uri{' ' * 20}x", "parent"]


def test_groups_stand_below_their_name(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows({"a long name of a fact": 1, "group": {"x": 2, "long": 3}, "none": {}}, as_json=False)
    assert capsys.readouterr().out == "a long name of a fact  1\ngroup\n  x     2\n  long  3\nnone\n"


def test_headers_are_bold_on_a_terminal_alone(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a", "1"), ("longer", "22")]
    print_table(("run", "score"), rows)
    assert capsys.readouterr().out == "run     score\na       1\nlonger  22\n"
    with CliRunner().isolation(color=True) as (out, *_):
        print_table(("run", "score"), rows)
        assert out.getvalue() == b"\x1b[1mrun     score\x1b[0m\na       1\nlonger  22\n"
