"""Small tables, and what is made of them without Ray."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ganray.config import CsvSource, Data, ParquetSource
from ganray.config.modalities.table import TableModality
from ganray.config.networks import TableNetworks
from ganray.data.card import DatasetCard, Shard, Skipped
from ganray.data.dataset import CARD, PreparedDataset
from ganray.data.shard import LABEL, SAMPLE, encode_shard
from ganray.data.sources import list_source
from ganray.data.sources.rows import Listing
from ganray.gan.layouts.table import TableLayout
from ganray.gan.state import GanState, create_state
from ganray.modalities.table.codec import TableCodec
from ganray.modalities.table.encoding import encoding_of
from ganray.modalities.table.fitting import TableFitting
from ganray.storage import ObjectStore

FOLDER = "datasets/people"
NETWORKS = TableNetworks(width=16, depth=1, discriminator_width=16, latent_dim=8, given=0.5)


def listed(source: CsvSource | ParquetSource, holdout: float) -> Listing:
    """Return the listing of a source of rows."""
    return list_source(Data(source=source, modality=TableModality(holdout=holdout)))


def people(count: int = 1000, *, seed: int = 0) -> pa.Table:
    """Return a table as a CSV file holds it: texts of numbers, dates, categories, words among numbers, missing values."""
    random = np.random.default_rng(seed)
    age, start = random.integers(18, 90, count), random.integers(0, 700, count)
    hours = np.where(random.random(count) < 0.5, 40, random.integers(1, 80, count))
    income = np.where(age + hours + random.normal(0, 15, count) > 95, ">50K", "<=50K")
    return pa.table(
        {
            "age": [str(value) for value in age],
            "city": [f"city {value}" for value in random.integers(0, 120, count) ** 2 // 120],
            "started": [str(np.datetime64("2020-01-01") + int(day)) for day in start],
            "left": [str(np.datetime64("2022-01-01") + int(day)) if day % 3 else "" for day in start],
            "hours": ["unknown" if value == 7 else str(value) for value in hours],
            "wage": [f"{value:.2f}" for value in random.lognormal(3, 0.5, count)],
            "income": income.tolist(),
        }
    )


def fit(table: pa.Table, **settings: Any) -> TableCodec:
    """Return the codec fitted to a table's rows."""
    fitting = TableFitting(TableModality(**settings), table.num_rows)
    return fitting.codec([fitting.observe(table.to_struct_array().combine_chunks())])


def write_rows(storage: ObjectStore, table: pa.Table, held_out: int) -> PreparedDataset:
    """Write a dataset of a table's rows, of which the last are held out."""
    codec = fit(table)
    stored = pa.array([row.tobytes() for row in codec.encode(table)], pa.binary(2 * len(codec.columns)))
    data = encode_shard(pa.table([stored, pa.array(np.full(table.num_rows, -1), pa.int32())], [SAMPLE, LABEL]))
    storage.write(f"{FOLDER}/shard-00000.parquet", data)
    shard = Shard(file="shard-00000.parquet", rows=table.num_rows, sha256=hashlib.sha256(data).hexdigest())
    kind: dict[str, Any] = {"modality": codec.to_json(), "settings": {}, "held_out": held_out, "shards": [shard], "classes": None}
    facts: dict[str, Any] = {"count": table.num_rows - held_out, "rows_per_shard": table.num_rows, "source": {}, "skipped": Skipped()}
    card = DatasetCard(name="people", key="k", fingerprint="f", class_counts=None, licence=None, created_by={}, **kind, **facts)
    storage.write(f"{FOLDER}/{CARD}", card.model_dump_json().encode())
    return PreparedDataset(storage, FOLDER, card)


def new_state(codec: TableCodec, networks: TableNetworks = NETWORKS, *, seed: int = 3) -> GanState:
    """Return a small initial state for a table's rows."""
    layout = TableLayout(encoding_of(codec.columns))
    return create_state(networks, layout.shape, seed=seed, device=torch.device("cpu"), encoding=layout.encoding)
