"""Generated Parquet: an image column that the Hub shows, and that trains again without being told how pixels lie in it."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ganray.generation.formats.image_parquet import write_parquet
from ganray.generation.record import KEY, Record
from ganray.modalities.image import Target, decode
from tests.data.test_parquet import read

RECORD = Record(model="m", version="0001", artifact="/store/models/m/0001", manifest="0" * 64, seed=3, num=7)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_generated_parquet_is_read_back_as_it_was_made(channels: int, tmp_path: Path) -> None:
    samples = np.random.default_rng(1).integers(0, 256, (7, channels, 5, 9), dtype=np.uint8)
    if channels in (2, 4):
        samples[:, -1] |= 1  # a colour that nobody sees is not kept
    with (tmp_path / "made.parquet").open("wb") as file:
        write_parquet(file, [samples[:4], samples[4:]], RECORD)
    data, _, _, _ = read(tmp_path)
    np.testing.assert_array_equal([decode(png or b"", Target(samples.shape[1:], "lanczos"))[0] for png in data], samples)
    table = pq.read_table(tmp_path / "made.parquet")
    assert table["index"].to_pylist() == list(range(7))
    assert Record.model_validate_json(table.schema.metadata[KEY.encode()]) == RECORD
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert list(features) == table.column_names
