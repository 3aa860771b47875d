"""Small tables, and what is made of them without Ray."""

from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ganray.config.modalities.table import TableModality
from ganray.config.networks import TableNetworks
from ganray.gan.layouts.table import TableLayout
from ganray.gan.state import GanState, create_state
from ganray.modalities.table.codec import TableCodec
from ganray.modalities.table.encoding import encoding_of
from ganray.modalities.table.fitting import TableFitting

NETWORKS = TableNetworks(width=16, depth=1, discriminator_width=16, latent_dim=8, given=0.5)


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


def new_state(codec: TableCodec, networks: TableNetworks = NETWORKS, *, seed: int = 3) -> GanState:
    """Return a small initial state for a table's rows."""
    layout = TableLayout(encoding_of(codec.columns))
    return create_state(networks, layout.shape, seed=seed, device=torch.device("cpu"), encoding=layout.encoding)
