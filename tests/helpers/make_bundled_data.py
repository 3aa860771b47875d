"""Makes the Parquet file of Fashion-MNIST's test split that ships with ganray: `python -m tests.helpers.make_bundled_data IDX_FOLDER`."""

import sys
from pathlib import Path

import pyarrow.parquet as pq

from ganray.data.sources.fashion_mnist import BUNDLED, read_idx
from ganray.data.sources.rows import open_folder


def bundle(folder: str, path: Path) -> None:
    """Write the test split in `folder` as zstd Parquet to `path`, in one row group."""
    table = read_idx(open_folder(folder), "test")
    pq.write_table(table, path, compression="zstd", compression_level=19, use_dictionary=["label"], row_group_size=table.num_rows)


if __name__ == "__main__":
    bundle(sys.argv[1], Path(__file__).parents[2] / "ganray/data" / BUNDLED)
