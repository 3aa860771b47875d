"""Fashion-MNIST (Xiao et al. 2017, MIT licence): its IDX files wherever they are, and the test split that ships with ganray."""

import gzip
import hashlib
import logging
import os
import urllib.request
from functools import partial
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ganray.config import FashionMnistSource
from ganray.data.sources.rows import PATH_FIELD, Listing, Rows, cut_table, dataset_of, open_folder, piece_size, row_table, source_errors
from ganray.errors import DataError
from ganray.storage import MissingObject, ObjectStore
from ganray.storage.files import atomic_write, local_errors

logger = logging.getLogger(__name__)

NUM_IMAGES = {"train": 60_000, "test": 10_000}
CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
LICENCE = "MIT, Copyright (c) 2017 Zalando SE"
SIDE = 28  # pixels
DEBIAN_FOLDER = "/usr/share/datasets/fashion-mnist"
DOWNLOAD_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
DOWNLOAD_TIMEOUT_S = 60
BUNDLED = "bundled/fashion-mnist-test.parquet"
PIECE_ROWS = 4096
# (images, labels) of each split, and the SHA-256 of each file once it is unpacked.
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def list_fashion_mnist(source: FashionMnistSource) -> Listing:
    """List a split by its pinned hashes: it is the same dataset wherever its files are."""
    identity = [SHA256[name] for name in FILES[source.split]]
    return Listing("fashion-mnist", identity, partial(_open, source), count=NUM_IMAGES[source.split], classes=CLASSES, is_labelled=True)


def read_bundled() -> pa.Table:
    """Return the test split that ships with ganray: `image` of 784 bytes and `label`, 10,000 rows."""
    return pq.read_table(BytesIO(files("ganray.data").joinpath(BUNDLED).read_bytes()))


def read_idx(folder: ObjectStore, split: str) -> pa.Table:
    """Read a split's two IDX files, gzipped or not, as `image` of 784 bytes and `label`.

    Raises `DataError` if one is missing, damaged or not the published one.
    """
    images, labels = (_verified(name, _read_file(folder, name)) for name in FILES[split])
    num = len(labels) - 8  # bytes after the header: one a label
    pixels = pa.FixedSizeBinaryArray.from_buffers(pa.binary(SIDE * SIDE), num, [None, pa.py_buffer(images[16:])])
    return pa.table({"image": pixels, "label": np.frombuffer(labels, np.uint8, offset=8)})


def download(url: str, cache: Path, split: str) -> None:
    """Download a split's files from `url` into the folder `cache`, unpacked and verified; those already there are kept.

    Raises `DataError` if the network or the content fails.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for name in FILES[split]:
        if not (cache / name).exists():
            data = _verified(name, _fetch(f"{url}/{name}.gz"))
            with local_errors("write", cache, field=PATH_FIELD), atomic_write(cache / name) as file:
                file.write(data)


def _open(source: FashionMnistSource) -> Rows:
    table = read_bundled() if source.split == "test" and source.path is None else read_idx(find_folder(source), source.split)
    names = [f"{source.split}/{index:05d}" for index in range(table.num_rows)]
    rows = row_table(names, table["image"].combine_chunks().cast(pa.large_binary()), table["label"].combine_chunks().cast(pa.int32()))
    pieces = cut_table(rows, piece_size(len(names), minimum=1, maximum=PIECE_ROWS))
    return Rows(dataset_of(pieces), len(names), raw_shape=(SIDE, SIDE, 1), classes=CLASSES, licence=LICENCE)


def find_folder(source: FashionMnistSource) -> ObjectStore:
    """Return the folder that the job names, else the Debian package's, else the cache, filled by a download."""
    if source.path is not None:
        return open_folder(source.path)
    if Path(DEBIAN_FOLDER).is_dir():
        return open_folder(DEBIAN_FOLDER)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganray" / "fashion-mnist"
    download(DOWNLOAD_URL, cache, source.split)
    return open_folder(str(cache))


@source_errors()
def _read_file(folder: ObjectStore, name: str) -> bytes:
    for key in (name, f"{name}.gz"):
        try:
            return _unpacked(name, folder.read(key))
        except MissingObject:
            continue
    raise DataError(PATH_FIELD, f"{folder.uri} has no {name} or {name}.gz", "name the folder with Fashion-MNIST's IDX files")


def _unpacked(name: str, data: bytes) -> bytes:
    try:
        return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    except (OSError, EOFError) as error:
        raise DataError(PATH_FIELD, f"{name}.gz is damaged ({error})", "fetch it again") from error


def _verified(name: str, data: bytes) -> bytes:
    """Return a file's unpacked bytes; raise `DataError` if their hash is not the published one."""
    if hashlib.sha256(data).hexdigest() != SHA256[name]:
        raise DataError(PATH_FIELD, f"{name} is not Fashion-MNIST's (SHA-256 differs)", "fetch it again, or name another folder")
    return data


def _fetch(url: str) -> bytes:
    logger.info("downloading %s", url)
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_S) as response:
            return _unpacked(url.rsplit("/", 1)[-1].removesuffix(".gz"), response.read())
    except OSError as error:
        problem = f"Fashion-MNIST is not on this machine, and {url} could not be downloaded ({error})"
        remedy = "install Debian's package dataset-fashion-mnist, or set data.source.path to a folder with its IDX files"
        raise DataError(PATH_FIELD, problem, remedy) from error
