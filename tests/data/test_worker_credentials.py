"""Credentials that this process has and the cluster's workers do not: one line that says where to set them."""

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ganray.cluster.session import ray_session
from ganray.cluster.shared_storage import check_shared
from ganray.config import Data, FolderSource, ParquetSource
from ganray.errors import GanrayError, StorageError
from ganray.storage import open_store
from tests.helpers.prepared import prepare

pytestmark = pytest.mark.cluster

PROBLEM = "there are no credentials (on the workers); on every node of the cluster, set AWS_ACCESS_KEY_ID"


@pytest.fixture
def _without_on_workers(bucket: str) -> Iterator[None]:
    """Start a Ray whose workers lack the credentials that this process has."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    mine = {name: os.environ.pop(name) for name in names}
    try:
        with ray_session("local"):
            os.environ.update(mine)
            yield
    finally:
        os.environ.update(mine)


@pytest.mark.usefixtures("_without_on_workers")
def test_credentials_that_only_the_driver_has_are_asked_for_on_the_workers(
    bucket: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image, table = BytesIO(), BytesIO()
    Image.new("L", (12, 10), 7).save(image, "PNG")
    pq.write_table(pa.table({"image": [image.getvalue()] * 9}), table)
    store, local = open_store(bucket), open_store(tmp_path / "store")
    store.write("tables/a.parquet", table.getvalue())
    for number in range(9):
        store.write(f"images/{number}.png", image.getvalue())
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / f"{number}.png").write_bytes(image.getvalue())
    on_s3 = [FolderSource(path=f"{bucket}/images"), ParquetSource(path=f"{bucket}/tables")]
    capfd.readouterr()
    with pytest.raises(StorageError) as error:
        check_shared(store)
    assert PROBLEM in str(error.value)
    assert not [info for info in store.list() if info.key.startswith(".shared-check")]
    for source, storage in [(on_s3[0], local), (on_s3[1], local), (FolderSource(path=str(tmp_path / "images")), store)]:
        with pytest.raises(GanrayError) as error:
            prepare(Data(source=source, resolution=8), storage)
        assert PROBLEM in str(error.value)
    assert isinstance(error.value, StorageError)
    output = capfd.readouterr()
    assert output.out + output.err == ""
