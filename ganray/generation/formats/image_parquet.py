"""Generated samples as a Parquet file: PNG images in the column that the Hub shows and a source of kind parquet reads."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ganray.generation.record import KEY, Record
from ganray.modalities.image import Pixels, encode_png

SCHEMA = pa.schema([("index", pa.int64()), ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
HUB = "huggingface"  # key of the Hub's features in a schema's metadata, as JSON
FEATURES = {"info": {"features": {"index": {"dtype": "int64", "_type": "Value"}, "image": {"_type": "Image"}}}}


def write_parquet(file: BinaryIO, chunks: Iterable[Pixels], record: Record) -> None:
    """Write chunks of samples [N, C, H, W] as row groups of `index` and `image`, with the record in the schema's metadata."""
    schema = SCHEMA.with_metadata({HUB: json.dumps(FEATURES), KEY: record.to_json()})
    index = 0
    with pq.ParquetWriter(file, schema, compression={"index": "zstd"}) as writer, ThreadPoolExecutor() as threads:
        for chunk in chunks:
            images = [{"bytes": data, "path": None} for data in threads.map(encode_png, chunk)]
            writer.write_table(pa.table([list(range(index, index + len(chunk))), images], schema=schema))
            index += len(chunk)
