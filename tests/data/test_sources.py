"""Sources: folders, Parquet and Fashion-MNIST's files, each read through Ray Data into a prepared dataset."""

import functools
import gzip
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ganray.cluster.errors import unwrapped_errors
from ganray.config import Data, FashionMnistSource, FolderSource, ParquetSource
from ganray.data.card import DatasetCard
from ganray.data.preparation.shards import encode_rows
from ganray.data.sources import list_source
from ganray.data.sources.fashion_mnist import FILES, download, read_bundled, read_idx
from ganray.data.sources.rows import Listing
from ganray.errors import GanrayError
from ganray.modalities.image import Target
from ganray.modalities.image_codec import ImageCodec
from ganray.storage import open_store
from tests.helpers.make_bundled_data import bundle
from tests.helpers.prepared import prepare

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("ray_address")]

GREYS = [10, 20, 30, 40, 50, 60]


@pytest.fixture(scope="module")
def idx_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test split's IDX files, one gzipped and one not, rebuilt from the bundled Parquet."""
    folder, table = tmp_path_factory.mktemp("idx"), read_bundled()
    header = b"".join(number.to_bytes(4, "big") for number in (0x803, 10_000, 28, 28))
    images, labels = FILES["test"]
    (folder / f"{images}.gz").write_bytes(gzip.compress(header + b"".join(table["image"].to_pylist()), 1))
    (folder / labels).write_bytes((0x801).to_bytes(4, "big") + (10_000).to_bytes(4, "big") + bytes(table["label"].to_pylist()))
    return folder


def listed(source: FashionMnistSource | FolderSource | ParquetSource) -> Listing:
    return list_source(Data(source=source))


def png(grey: int) -> bytes:
    buffer = BytesIO()
    Image.new("L", (12, 10), grey).save(buffer, "PNG")
    return buffer.getvalue()


def prepared_greys(source: FolderSource | ParquetSource, tmp_path: Path, **settings: object) -> tuple[list[int], list[int], DatasetCard]:
    """Prepare one-colour images; their first pixels, labels and card."""
    storage = open_store(str(tmp_path / "store"))
    prepared = prepare(Data(source=source, resolution=8, channels=1, **settings), storage)
    (key,) = prepared.shard_keys()
    table = pq.read_table(BytesIO(storage.read(key)))
    return [image[0] for image in table["image"].to_pylist()], table["label"].to_pylist(), prepared.card


def write_parquet(path: Path, images: pa.Array, labels: list | None = None, **options: object) -> ParquetSource:
    columns = {"image": images} if labels is None else {"image": images, "label": labels}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return ParquetSource(path=str(path), label_column=None if labels is None else "label")


def test_a_folder_of_every_format_and_mode(tmp_path: Path) -> None:
    folder = tmp_path / "Mixed Images"
    (folder / "deep" / "er").mkdir(parents=True)
    grey = Image.new("RGB", (40, 30), (100, 100, 100))
    for extension in ("png", "jpg", "gif", "webp", "bmp", "tiff"):
        grey.save(folder / f"a.{extension}")
    grey.convert("P").save(folder / "deep" / "palette.png")
    grey.convert("RGBA").save(folder / "deep" / "er" / "alpha.png")
    grey.convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(np.full((7, 9), 100 * 257, np.uint16)).save(folder / "sixteen.png")
    (folder / ".hidden.png").write_bytes(b"skipped")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_bytes(b"skipped")
    greys, labels, card = prepared_greys(FolderSource(path=str(folder)), tmp_path)
    np.testing.assert_allclose(greys, 100, atol=2)
    assert (card.count, card.skipped.count, card.name, card.classes) == (10, 0, "mixed-images", None)
    assert labels == [-1] * 10


@pytest.mark.parametrize("kind", ["binary", "large_binary", "struct"])
def test_parquet_of_encoded_images(kind: str, tmp_path: Path) -> None:
    data = [png(grey) for grey in GREYS]
    if kind == "struct":
        images = pa.array([{"bytes": value, "path": None} for value in data], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    else:
        images = pa.array(data, getattr(pa, kind)())
    source = write_parquet(tmp_path / "data" / "encoded.parquet", images, ["dog", "ant", "dog", "ant", None, "cow"], row_group_size=2)
    greys, labels, card = prepared_greys(source, tmp_path)
    assert (greys, labels) == (GREYS, [2, 0, 2, 0, -1, 1])
    assert (card.name, card.classes, card.class_counts) == ("encoded", ["ant", "cow", "dog"], [2, 1, 2])


@pytest.mark.parametrize("kind", ["binary", "fixed", "list", "fixed_list", "nested"])
def test_parquet_of_raw_pixels(kind: str, tmp_path: Path) -> None:
    pixels = [np.full((8, 8, 3), grey, np.uint8) for grey in GREYS]
    images = {
        "binary": lambda: pa.array([value.tobytes() for value in pixels], pa.binary()),
        "fixed": lambda: pa.array([value.tobytes() for value in pixels], pa.binary(192)),
        "list": lambda: pa.array([value.ravel() for value in pixels], pa.list_(pa.uint8())),
        "fixed_list": lambda: pa.array([value.ravel() for value in pixels], pa.list_(pa.uint8(), 192)),
        "nested": lambda: pa.array([value.tolist() for value in pixels], pa.list_(pa.list_(pa.list_(pa.uint8())))),
    }[kind]()
    source = write_parquet(tmp_path / "data" / "raw.parquet", images, [3, 1, 3, 1, 7, 7])
    greys, labels, card = prepared_greys(source.model_copy(update={"raw_shape": (8, 8, 3)}), tmp_path)
    assert (greys, labels, card.classes) == (GREYS, [1, 0, 1, 0, 2, 2], ["1", "3", "7"])


def test_parquet_folders_are_read_in_order_and_bad_rows_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data" / "b.parquet", pa.array([png(30), None, b"broken"]))
    write_parquet(tmp_path / "data" / "a.parquet", pa.array([png(10), png(20)]))
    (tmp_path / "data" / "README.md").write_text("not data")
    greys, labels, card = prepared_greys(ParquetSource(path=str(tmp_path / "data")), tmp_path, max_bad_fraction=0.5)
    assert (greys, labels) == ([10, 20, 30], [-1] * 3)
    assert [example.name for example in card.skipped.examples] == ["b.parquet#1", "b.parquet#2"]


def test_rows_that_cannot_be_read_are_counted_with_their_reasons(tmp_path: Path) -> None:
    images = [{"bytes": png(grey), "path": f"{grey}.png"} for grey in GREYS]
    images[4]["bytes"] = None
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    options = {"row_group_size": 2, "write_page_checksum": True, "use_dictionary": False, "write_statistics": False, "compression": "none"}
    source = write_parquet(tmp_path / "data" / "some.parquet", pa.array(images, struct), ["b", "c", "b", "a", "b", "b"], **options)
    content = bytearray(Path(source.path).read_bytes())
    content[content.index(images[3]["bytes"]) + 9] ^= 1
    Path(source.path).write_bytes(content)
    greys, labels, card = prepared_greys(source, tmp_path, max_bad_fraction=0.5)
    assert (greys, labels, card.classes) == ([GREYS[0], GREYS[1], GREYS[5]], [1, 2, 1], ["a", "b", "c"])
    skipped = {example.name: example.reason for example in card.skipped.examples}
    assert list(skipped) == ["some.parquet#2", "some.parquet#3", "some.parquet#4"]
    assert skipped["some.parquet#2"].startswith("the file is damaged: ")
    assert skipped["some.parquet#4"] == "the file holds the path '50.png' and no bytes"


def test_one_big_row_group_keeps_its_order(tmp_path: Path) -> None:
    greys = [index % 251 for index in range(5000)]
    source = write_parquet(tmp_path / "data" / "big.parquet", pa.array([bytes([grey]) * 64 for grey in greys]))
    found, _, _ = prepared_greys(source.model_copy(update={"raw_shape": (8, 8, 1)}), tmp_path)
    assert found == greys


def test_raw_pixels_of_another_size_are_unreadable(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "data" / "raw.parquet", pa.array([bytes(64)] * 3 + [bytes(63)]))
    _, _, card = prepared_greys(source.model_copy(update={"raw_shape": (8, 8, 1)}), tmp_path, max_bad_fraction=0.5)
    assert [example.reason for example in card.skipped.examples] == ["has 63 bytes instead of 64"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"column": "photo"}, "data.source.column"),
        ({"label_column": "class"}, "data.source.label_column"),
        ({"column": "label"}, "data.source.column"),
        ({"label_column": "score"}, "data.source.label_column"),
    ],
)
def test_parquet_columns_that_do_not_fit_are_errors(change: dict[str, str], field: str, tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [png(1)], "label": [1], "score": [0.5]}), tmp_path / "data.parquet")
    with pytest.raises(GanrayError) as error:
        listed(ParquetSource(path=str(tmp_path / "data.parquet")).model_copy(update=change)).open()
    assert error.value.field == field


def test_a_source_that_breaks_while_it_is_read_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    for index in range(20):
        (tmp_path / "cat" / f"{index}.png").write_bytes(png(index))
    rows = listed(FolderSource(path=str(tmp_path))).open()
    shutil.rmtree(tmp_path / "cat")
    (tmp_path / "cat").write_text("no longer a folder")
    with pytest.raises(GanrayError) as error, unwrapped_errors():
        list(encode_rows(rows, ImageCodec(Target((1, 8, 8), "box"))).iter_internal_ref_bundles())
    assert error.value.field == "data.source.path"
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["folder", "parquet"])
def test_missing_and_empty_folders_are_errors(kind: str, tmp_path: Path) -> None:
    model = FolderSource if kind == "folder" else ParquetSource
    (tmp_path / "empty").mkdir()
    for name, problem in (("missing", "does not exist"), ("empty", "there are no")):
        with pytest.raises(GanrayError, match=problem) as error:
            listed(model(path=str(tmp_path / name)))
        assert error.value.field == "data.source.path"
    assert not (tmp_path / "missing").exists()


def test_a_file_that_is_not_parquet_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("not Parquet at all")
    with pytest.raises(GanrayError, match="not a Parquet file"):
        listed(ParquetSource(path=str(tmp_path))).open()


def test_fashion_mnist_from_idx_files_equals_the_bundled_one(idx_files: Path, tmp_path: Path) -> None:
    assert read_idx(open_store(str(idx_files)), "test").equals(read_bundled())
    from_files = listed(FashionMnistSource(split="test", path=str(idx_files)))
    assert from_files.identity == listed(FashionMnistSource(split="test")).identity
    assert from_files.open().count == 10_000
    bundle(str(idx_files), tmp_path / "again.parquet")
    assert pq.read_table(tmp_path / "again.parquet").equals(read_bundled())


def test_idx_files_that_are_missing_or_changed_are_errors(idx_files: Path, tmp_path: Path) -> None:
    with pytest.raises(GanrayError, match="has no train-images-idx3-ubyte"):
        read_idx(open_store(str(idx_files)), "train")
    images, labels = FILES["test"]
    (tmp_path / f"{images}.gz").write_bytes((idx_files / f"{images}.gz").read_bytes())
    (tmp_path / labels).write_bytes((idx_files / labels).read_bytes()[:-1] + b"\x00")
    with pytest.raises(GanrayError, match="SHA-256"):
        read_idx(open_store(str(tmp_path)), "test")


def test_a_download_is_checked_kept_and_explained_when_it_fails(idx_files: Path, tmp_path: Path) -> None:
    labels = idx_files / FILES["test"][1]
    Path(f"{labels}.gz").write_bytes(gzip.compress(labels.read_bytes()))
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(idx_files))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    download(url, tmp_path / "cache", "test")
    with pytest.raises(GanrayError, match="dataset-fashion-mnist"):
        download(url, tmp_path / "cache", "train")
    server.shutdown()
    server.server_close()
    download(url, tmp_path / "cache", "test")  # nothing left to fetch
    assert read_idx(open_store(str(tmp_path / "cache")), "test").equals(read_bundled())
    assert {file.name for file in (tmp_path / "cache").iterdir()} == set(FILES["test"])
