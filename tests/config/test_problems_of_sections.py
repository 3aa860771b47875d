"""The field of an error that a whole section has is the one that the user typed, without the kind that the section is of."""

import pytest

from ganray.config import check_job
from ganray.errors import ConfigError

CSV = {"kind": "csv", "path": "x.csv"}
TABLE = {"source": CSV, "modality": {"kind": "table"}}


@pytest.mark.parametrize(
    ("sections", "field"),
    [
        ({"data": {**TABLE, "source": {**CSV, "header": False}}, "networks": "table"}, "data.source.header"),
        ({"data": {**TABLE, "modality": {"kind": "table", "rules": ["a < b"]}}, "networks": "table"}, "data.modality.rules"),
        ({"data": {**TABLE, "modality": {"kind": "table", "rules": ["a <= b", "a <= c"]}}, "networks": "table"}, "data.modality.rules.1"),
        (
            {"data": {**TABLE, "modality": {"kind": "table", "columns": {"a": {"type": "integer", "format": "%Y"}}}}},
            "data.modality.columns.a",
        ),
        ({"workers": {"min": 2, "max": 1}}, "workers.min"),
        ({"track": ["mlflow", "mlflow"]}, "track"),
    ],
)
def test_the_field_is_as_it_was_typed(sections: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_job(sections)
    assert refused.value.field.startswith(field)


@pytest.mark.parametrize(
    ("track", "problem"),
    [
        ([{"kind": "mlflow", "uri": "host:5000"}], "track.0.uri: 'host:5000' has no scheme"),
        (
            ["tensorboard", {"kind": "wandb", "project": ""}],
            "track.1.project: expected at least 1 characters, got ''",
        ),
        ([{"kind": "mlflow", "url": "x"}], "track.0.url: there is no such field; did you mean uri?"),
        (["mlflow", {"kind": "wandb", "uri": "x"}], "track.1.uri: there is no such field; kind mlflow takes it, kind wandb does not"),
        (["tensorboard", "x"], "track.1.kind: expected 'tensorboard' or 'mlflow' or 'wandb', got 'x'"),
        ([3], "track.0: expected a section of `key: value` lines, got 3"),
        ({"kind": "mlflow", "uri": ""}, "track.uri: is empty"),
        ("x", "track.kind: expected"),
        (3, "track: expected a list, got 3"),
    ],
)
def test_a_section_in_a_list_has_its_index(track: object, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_job({"track": track})
    assert str(refused.value).startswith(problem)


def test_a_value_in_a_list_is_named_by_the_list() -> None:
    with pytest.raises(ConfigError) as refused:
        check_job({"data": {**TABLE, "source": {**CSV, "names": ["a", 3]}}, "networks": "table"})
    assert refused.value.field == "data.source.names"
