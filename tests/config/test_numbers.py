"""Numbers of a job: finite, within 64 bits, and no booleans, in every field that takes numbers."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ganray.config import check_job, load_job
from ganray.config.fields import Section, types_in
from ganray.errors import ConfigError
from tests.config.test_texts import all_sections

NUMERIC = sorted(
    (
        (section, name)
        for section in all_sections()
        for name, field in section.model_fields.items()
        if types_in(field.annotation) & {int, float}
    ),
    key=str,
)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), "inf", "nan", "1e400", 1 << 63, 10**400, "9" * 5000])
@pytest.mark.parametrize(("section", "name"), NUMERIC, ids=lambda value: getattr(value, "__name__", str(value)))
def test_no_number_is_infinite_or_beyond_64_bits(section: type[Section], name: str, value: Any) -> None:
    if value == 1 << 63 and float in types_in(section.model_fields[name].annotation):
        return  # a float may be as large
    with pytest.raises(ValidationError) as raised:
        section.model_validate({name: value})
    assert name in [error["loc"][0] for error in raised.value.errors()]


@pytest.mark.parametrize(("section", "name"), NUMERIC, ids=lambda value: getattr(value, "__name__", str(value)))
def test_no_boolean_is_a_number(section: type[Section], name: str) -> None:
    if bool not in types_in(section.model_fields[name].annotation):
        with pytest.raises(ValidationError) as raised:
            section.model_validate({name: True})
        assert name in [error["loc"][0] for error in raised.value.errors()]


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("train.max_seconds=.inf", "train.max_seconds: expected a finite number, got inf; the default is null"),
        ("train.max_seconds=nan", "train.max_seconds: expected a finite number, got 'nan'"),
        ("train.max_seconds=1:30", "train.max_seconds: expected a number, got '1:30'"),
        ("optimizer.generator.lr=.nan", "optimizer.generator.lr: expected a finite number, got nan"),
        ("optimizer.generator.lr=true", "optimizer.generator.lr: expected a number, got true"),
        ("penalties.r1_gamma={start: .inf, end: 0}", "penalties.r1_gamma.start: expected a finite number, got inf"),
        ("seed=9223372036854775808", "seed: expected a number less than 2^63, got 9223372036854775808; the default is 0"),
        ("evaluate.seed=1e19", "evaluate.seed: expected a number less than 2^63"),
        ("seed=.inf", "seed: expected a finite number, got inf"),
        (f"seed={'9' * 5000}", "seed: expected an integer, got '9999"),
        ("workers=yes", "workers: expected an integer, got true; the default is 1"),
        ("data.resolution=[true, 32]", "data.resolution: expected an integer, got true"),
        ("train.total_images=1.5", "train.total_images: expected an integer, got 1.5"),
        ("sweep.space.seed={uniform: [0, .inf]}", "expected a finite number, got inf"),
        (
            "sweep.space.train.max_seconds={choice: [.inf]}",
            "sweep.space.train.max_seconds.choice: expected true or false or a finite",
        ),
        ("sweep.space.seed={quniform: [0, 1e18, 1]}", "has too many steps of 1; use 100,000 at most, or uniform"),
        ("sweep.space.seed={randint: [-9e18, 9e18]}", "has too many values; use fewer than 2^63"),
        (
            "sweep={space: {seed: {randint: [0, 1e18]}}, searcher: grid}",
            "sweep.space: a grid has 100,000 points at most; name fewer values",
        ),
        ("sweep.space.seed={randint: [0, 1e30]}", "expected a number less than 2^63"),
        ("sweep={space: {seed: {choice: [1]}}, max_hours: .inf}", "sweep.max_hours: expected a finite number, got inf"),
    ],
)
def test_a_number_that_is_none_costs_one_line(tmp_path: Path, override: str, says: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("name: x\n")
    with pytest.raises(ConfigError) as raised:
        load_job(path, [override])
    assert says in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("text", "number"), [("1_000", 1000), ("1e6", 10**6), ("0x10", 16), ("0b11", 3), ("010", 10), ("'64'", 64), (str(2**63 - 1), 2**63 - 1)]
)
def test_integers_may_be_written_as_people_do(tmp_path: Path, text: str, number: int) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(f"seed: {text}\n")
    assert load_job(path).seed == number
    assert load_job(path, [f"seed={text}"]).seed == number


def test_integers_in_quotes_lose_no_digit() -> None:
    assert check_job({"seed": "9007199254740993"}).seed == 9007199254740993
