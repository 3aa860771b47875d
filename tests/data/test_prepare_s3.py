"""Preparing from and to a real S3 server."""

import hashlib
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ganray.config import Data, FolderSource, ParquetSource, Source
from ganray.data.dataset import PreparedDataset
from ganray.errors import GanrayError
from ganray.storage import open_store
from tests.helpers.prepared import prepare

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("s3_server", "ray_address")]  # workers know the server


@pytest.fixture
def greys(bucket: str) -> str:
    """An s3:// prefix with forty images of the grey values 0 to 39, as files of two classes and as a Parquet file."""
    store, images = open_store(bucket), []
    for index in range(40):
        buffer = BytesIO()
        Image.new("L", (12, 10), index).save(buffer, "PNG")
        images.append(buffer.getvalue())
        store.write(f"images/{index // 20}/{index:02d}.png", images[-1])
    buffer = BytesIO()
    pq.write_table(pa.table({"image": images, "label": [index // 20 for index in range(40)]}), buffer, row_group_size=7)
    store.write("tables/greys.parquet", buffer.getvalue())
    return bucket


def first_pixels(prepared: PreparedDataset) -> list[int]:
    tables = [pq.read_table(BytesIO(prepared.storage.read(key))) for key in prepared.shard_keys()]
    return [image[0] for table in tables for image in table["image"].to_pylist()]


def sources(prefix: str) -> dict[str, Source]:
    return {
        "folder": FolderSource(path=f"{prefix}/images"),
        "tables": ParquetSource(path=f"{prefix}/tables", label_column="label"),
        "table": ParquetSource(path=f"{prefix}/tables/greys.parquet", label_column="label"),
    }


@pytest.mark.parametrize("kind", ["folder", "tables", "table"])
def test_sources_and_datasets_on_s3(kind: str, greys: str) -> None:
    storage = open_store(f"{greys}/store")
    data = Data(source=sources(greys)[kind], resolution=512)  # 21 rows a shard
    prepared = prepare(data, storage)
    card = prepared.card
    assert first_pixels(prepared) == list(range(40))
    assert (card.classes, card.class_counts, [shard.rows for shard in card.shards]) == (["0", "1"], [20, 20], [21, 19])
    hashes = [hashlib.sha256(storage.read(key)).hexdigest() for key in prepared.shard_keys()]
    assert hashes == [shard.sha256 for shard in card.shards]
    before = storage.list()
    assert prepare(data, storage) == prepared
    assert storage.list() == before


def test_local_and_s3_give_the_same_fingerprint(greys: str, tmp_path: Path) -> None:
    data = Data(source=sources(greys)["folder"], resolution=8)
    assert prepare(data, open_store(f"{greys}/store")).card.fingerprint == prepare(data, open_store(tmp_path)).card.fingerprint


@pytest.mark.parametrize("kind", ["folder", "tables", "table"])
def test_a_missing_prefix_or_bucket_is_an_error(kind: str, bucket: str) -> None:
    for prefix in (f"{bucket}/nothing", "s3://no-such-bucket-here/x"):
        with pytest.raises(GanrayError) as error:
            prepare(Data(source=sources(prefix)[kind]), open_store(bucket))
        assert error.value.field == "data.source.path"
