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
        ({"track": [{"kind": "mlflow", "uri": "host:5000"}]}, "track"),
    ],
)
def test_the_field_is_as_it_was_typed(sections: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_job(sections)
    assert refused.value.field.startswith(field)
