"""Generated rows: columns that are given, rules, CSV and Parquet files with their records, and one line for each mistake."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch

from ganray.config.networks import TableNetworks
from ganray.errors import ConfigError
from ganray.gan.prior import Prior
from ganray.generation.batch import generate
from ganray.generation.provenance import provenance
from ganray.generation.record import KEY, parse_record
from ganray.generation.rows import UniqueRows
from ganray.metrics.score import Protocol
from ganray.modalities.table.codec import TableCodec
from ganray.registry.generator_config import InvalidConfig, check_weights, generator_config, parse_config
from ganray.registry.manifest import CONFIG, GENERATOR, METRICS, to_json
from ganray.registry.registry import Registry
from ganray.storage import open_store
from tests.helpers.tables import NETWORKS, fit, new_state, people

RULES = ["started <= left", "unique age, city"]


def files(codec: TableCodec, networks: TableNetworks = NETWORKS) -> dict[str, bytes]:
    """Return the files of a generator of rows that nobody trained."""
    generator = new_state(codec, networks).generator
    return {
        GENERATOR: safetensors.torch.save(dict(generator.state_dict())),
        CONFIG: to_json(generator_config(networks, codec, Prior(networks.latent_dim), None)),
        METRICS: to_json({"scores": {}, "protocol": Protocol(metric="metric/quality", mode="max").dump()}),
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URI of a published version whose rows keep rules."""
    store = tmp_path_factory.mktemp("store")
    number = Registry(open_store(str(store))).publish("people", files(fit(people(), rules=RULES)), {"images_seen": 1}, key="k")
    return f"{store}/models/people/{number}"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_have_the_data_s_names_and_keep_its_rules(model: str, tmp_path: Path) -> None:
    out = generate(model, num=500, seed=0, out=tmp_path / "rows.csv", local=True)
    rows = rows_of(out)
    assert list(rows[0]) == people(1).column_names
    assert len(rows) == 500
    assert all(not row["left"] or row["started"] <= row["left"] for row in rows)
    assert len({(row["age"], row["city"]) for row in rows}) == 500
    known = people()
    assert {row["city"] for row in rows} <= set(known["city"].to_pylist())
    assert all(17 < int(row["age"]) < 91 for row in rows)
    assert all(len(row["wage"].partition(".")[2]) == 2 for row in rows)
    record = parse_record({KEY: (tmp_path / "rows.csv.provenance.json").read_text()})
    assert record is not None
    assert (record.num, record.seed, record.model) == (500, 0, "people")
    assert (tmp_path / "rows.csv").read_bytes() == generate(model, num=500, seed=0, out=tmp_path / "b.csv", local=True).read_bytes()


def test_a_parquet_file_has_types_and_the_record(model: str, tmp_path: Path) -> None:
    found = pq.read_table(generate(model, num=70, seed=1, out=tmp_path / "rows.parquet", local=True))
    assert found.num_rows == 70
    kinds = [pa.int64(), pa.string(), pa.date32(), pa.date32(), pa.string(), pa.float64(), pa.string()]
    assert found.schema.types == kinds  # hours holds a word
    assert json.loads(found.schema.metadata[KEY.encode()])["num"] == 70


def test_columns_are_as_they_are_given_in_every_row(model: str, tmp_path: Path) -> None:
    where = {"income": ">50K", "hours": "unknown", "left": "", "wage": "20.5"}
    rows = rows_of(generate(model, num=60, seed=0, out=tmp_path / "rows.csv", where=where, local=True))
    assert {(row["income"], row["hours"], row["left"]) for row in rows} == {(">50K", "unknown", "")}
    assert all(abs(float(row["wage"]) - 20.5) < 0.1 for row in rows)
    assert len({row["city"] for row in rows}) > 5
    png = generate(model, num=60, seed=0, out=tmp_path / "rows.png", where=where, local=True)
    assert provenance(png, storage=model)["where"] == where


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ({"incme": "1"}, r"--where: there is no column 'incme'; use one of age, city"),
        ({"income": "rich"}, r"--where: income is never 'rich'; use one of <=50K, >50K"),
        ({"age": "120"}, r"--where: age is never '120'; use 18 to 89"),
        ({"age": "old"}, r"--where: age is never 'old'"),
        ({"started": "1999-01-01"}, r"--where: started is never '1999-01-01'; use 2020-01-01 to 2021-"),
        ({"started": "yesterday"}, r"--where: started is never 'yesterday'; use 2020-01-01 to 2021-"),
        ({"started": "2020-05-01"}, r"--where: started is in the rule started <= left, which may change what is given; give other"),
        ({"left": "2022-01-02", "started": "2020-05-01"}, r"--where: left is in the rule started <= left"),
        ({"age": "inf"}, r"--where: age is never 'inf'; use 18 to 89"),
        ({"age": "1e400"}, r"--where: age is never '1e400'; use 18 to 89"),
        ({"age": ""}, r"--where: age is never ''; use 18 to 89"),
        ({"": "1"}, r"--where: there is no column ''"),
    ],
)
def test_a_value_that_is_not_there_is_one_line(model: str, where: dict[str, str], problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=problem):
        generate(model, num=5, seed=0, out=tmp_path / "rows.csv", where=where, local=True)
    assert not (tmp_path / "rows.csv").exists()


def test_what_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    codec = fit(people().select(["income"]).append_column("k", [["a", "b"] * 500]), rules=["unique income, k"])
    registry = Registry(open_store(str(tmp_path / "store")))
    number = registry.publish("m", files(codec, NETWORKS.model_copy(update={"given": 0.0})), {"images_seen": 1}, key="k")
    model = f"{tmp_path}/store/models/m/{number}"
    with pytest.raises(ConfigError, match=r"--num: only [1-4] rows? were found that keep the rule unique income, k"):
        generate(model, num=50, seed=0, out=tmp_path / "rows.csv", local=True)
    with pytest.raises(ConfigError, match="has not learned to complete rows"):
        generate(model, num=1, seed=0, out=tmp_path / "rows.csv", where={"k": "a"}, local=True)
    with pytest.raises(ConfigError, match=r"rows are not written as a folder; name a \.csv file"):
        generate(model, num=1, seed=0, out=tmp_path / "folder", local=True)


def test_unique_rows_are_told_over_chunks() -> None:
    table = people(200)
    codec = fit(table, rules=["unique age, city"])
    unique = UniqueRows.of(codec)
    assert unique is not None
    codes = codec.encode(table)
    first = unique.select(codes)
    assert unique.select(codes) == []
    seen = [codec.texts(codes[row : row + 1]).select(["age", "city"]).to_pylist()[0] for row in first]
    assert len({tuple(row.values()) for row in seen}) == len(first)
    assert UniqueRows.of(fit(table)) is None


def test_a_config_that_does_not_fit_its_weights_is_refused_before_memory_is_taken() -> None:
    codec = fit(people())
    made = files(codec)
    check_weights(parse_config(made[CONFIG]), made[GENERATOR])
    content = json.loads(made[CONFIG])
    content["networks"]["width"] = 17
    with pytest.raises(InvalidConfig, match="in the weights"):
        check_weights(parse_config(json.dumps(content).encode()), made[GENERATOR])
    content["modality"]["columns"] = content["modality"]["columns"][:2]
    with pytest.raises(InvalidConfig, match="shape"):
        parse_config(json.dumps(content).encode())
