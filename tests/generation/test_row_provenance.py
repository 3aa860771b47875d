"""Rows in CSV and Parquet files are traced by generating them again: a changed cell is found, whole files pass, with rules and values."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ganray.cli import group
from ganray.errors import DataError
from ganray.gan.sampling import num_chunks
from ganray.generation.batch import Settings, first_samples, generate, in_process, num_tried
from ganray.generation.formats import FORMATS, read_texts
from ganray.generation.formats.base import beside
from ganray.generation.formats.row_difference import _beside
from ganray.generation.provenance import provenance, read_claim
from ganray.generation.record import KEY
from ganray.modalities.table.codec import TableCodec
from ganray.registry.artifact import build, read_artifact
from ganray.registry.registry import Registry
from ganray.storage import open_store
from tests.generation.test_rows import RULES, files
from tests.helpers.artifacts import publish
from tests.helpers.tables import fit, people

WHERE = {"income": ">50K", "hours": "unknown", "left": "", "wage": "20.5"}
AWKWARD = ['a "quoted" one', "two\nlines", "comma, and; more", " spaces ", "=1+1", "emoji 🙂", "carriage\rreturn", ""]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A storage with a version whose rows keep rules, model `people`, and one with awkward values, model `awkward`."""
    folder = str(tmp_path_factory.mktemp("store"))
    registry = Registry(open_store(folder))
    registry.publish("people", files(fit(people(), rules=RULES)), {"images_seen": 1}, key="k")
    table = people().append_column("note, or so", [[AWKWARD[row % len(AWKWARD)] for row in range(1000)]])
    typed = table.set_column(0, "age", table["age"].cast(pa.int16())).set_column(2, "started", table["started"].cast(pa.timestamp("s")))
    registry.publish("awkward", files(fit(typed)), {"images_seen": 1}, key="k")
    return folder


def made(store: str, out: Path, model: str = "people", **settings: object) -> Path:
    settings = {"num": 300, "seed": 4, **settings}
    return generate(f"{store}/models/{model}/0001", out=out, local=True, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["people", "awkward"])
@pytest.mark.parametrize("where", [None, WHERE])
@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.png"])
def test_a_whole_file_is_the_rows_in_its_record(store: str, tmp_path: Path, model: str, where: dict[str, str] | None, name: str) -> None:
    out = made(store, tmp_path / name, model, where=where, num=100)
    found = provenance(out, storage=store)
    assert (found["model"], found["num"], found["seed"], found["largest_difference"]) == (model, 100, 4, 0)
    assert found.get("where") == where


def test_rules_of_unique_rows_choose_the_same_rows_again(tmp_path: Path) -> None:
    table = people().select(["income", "hours"])
    registry = Registry(open_store(str(tmp_path / "store")))
    registry.publish("m", files(fit(table, rules=["unique income, hours"])), {"images_seen": 1}, key="k")
    for name in ("rows.csv", "rows.png"):
        out = made(str(tmp_path / "store"), tmp_path / name, "m", num=90)
        assert provenance(out, storage=str(tmp_path / "store"))["largest_difference"] == 0


def edit_csv(path: Path, change: Callable[[list[list[str]]], object], **dialect: str) -> None:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    change(rows)
    with path.open("w", newline="") as file:
        csv.writer(file, **dialect).writerows(rows)  # type: ignore[arg-type]


def cell(row: int, column: int, value: str) -> Callable[[list[list[str]]], object]:
    return lambda rows: rows[row].__setitem__(column, value)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (cell(17, 0, "17"), r"that has 1 other row: in row 17 'age' is '\d\d', not '17'; do not trust"),
        (cell(300, 5, "20.4"), r"1 other row: in row 300 'wage' is '\d+\.\d\d', not '20.4'"),
        (lambda rows: [rows[row].__setitem__(1, "x") for row in range(5, 15)], r"10 other rows: in row 5 'city' is .*; and so on; do not"),
        (lambda rows: rows.pop(), "that has 300 rows, not 299"),
        (lambda rows: rows.append(rows[1]), "that has 300 rows, not 301"),
        (lambda rows: rows.insert(1, rows.pop(2)), "2 other rows: in row 1 '"),
        (cell(0, 0, "Age"), r"that has the columns \['age', 'city'.*, not \['Age', 'city'"),
        (lambda rows: [row.pop() for row in rows], "that has the columns"),
        (lambda rows: rows[7].pop(), r"cannot be read \(CSV parse error"),
    ],
)
def test_a_changed_cell_is_found_and_named(store: str, tmp_path: Path, change: Callable[[list[list[str]]], object], problem: str) -> None:
    out = made(store, tmp_path / "rows.csv")
    edit_csv(out, change)
    with pytest.raises(DataError, match=problem):
        provenance(out, storage=store)


def test_a_file_that_was_written_with_other_quotes_and_line_ends_holds_the_same_cells(store: str, tmp_path: Path) -> None:
    out = made(store, tmp_path / "rows.csv", "awkward")
    edit_csv(out, lambda rows: None, lineterminator="\r\n", quoting=csv.QUOTE_ALL)  # type: ignore[arg-type]
    out.write_bytes(b"\xef\xbb\xbf" + out.read_bytes())
    assert provenance(out, storage=store)["largest_difference"] == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda rows: rows.set_column(0, "age", pc.add(rows["age"], pa.scalar(1, rows["age"].type))),
            r"(29\d|300) other rows: in row \d 'age' is ",
        ),
        (lambda rows: rows.set_column(0, "age", rows["age"].cast(pa.int64())), "that has 'age' of type int16, not int64"),
        (lambda rows: rows.slice(0, 299), "that has 300 rows, not 299"),
        (
            lambda rows: rows.set_column(4, "hours", pc.if_else(pc.equal(rows["hours"], "40"), None, rows["hours"])),
            "'hours' is '40', not None",
        ),
        (
            lambda rows: rows.set_column(2, "started", pc.add(rows["started"], pa.scalar(1, pa.duration("s")).cast(pa.duration("ms")))),
            r"'started' is '202\d-.*', not '202\d-",
        ),
    ],
)
def test_a_changed_value_of_a_parquet_file_is_found(
    store: str, tmp_path: Path, change: Callable[[pa.Table], pa.Table], problem: str
) -> None:
    out = made(store, tmp_path / "rows.parquet", "awkward")
    rows = pq.read_table(out)
    pq.write_table(change(rows).replace_schema_metadata(rows.schema.metadata), out)
    with pytest.raises(DataError, match=problem):
        provenance(out, storage=store)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("seed", 5, "other rows: in row 1"),
        ("where", {"income": "<=50K"}, "other rows: in row"),
        ("where", {"income": "rich"}, "claims what its version cannot have made: income is never 'rich'"),
        ("num", 3_000_000, "claims 3000000 samples, more than 1000000"),
        ("num", 299, "that has 299 rows, not 300"),
    ],
)
def test_a_record_beside_a_file_that_lies_is_found_out(store: str, tmp_path: Path, field: str, value: object, problem: str) -> None:
    out = made(store, tmp_path / "rows.csv")
    beside(out).write_text(json.dumps({**json.loads(beside(out).read_text()), field: value}))
    with pytest.raises(DataError, match=problem):
        provenance(out, storage=store)


def shifted(store: str, out: Path, step: int, rows: slice = slice(0, 40), model: str = "people") -> Path:
    """Write a file, some of whose rows are made of levels beside those that the version makes: as where a machine rounds otherwise."""
    made(store, out, model)
    _, loaded = read_artifact(open_store(f"{store}/models/{model}/0001"))
    codec = cast(TableCodec, build(loaded).codec)
    chunks = in_process(loaded, Settings(4), chunks=range(num_chunks(num_tried(codec, 300))))
    codes = np.concatenate(list(first_samples(chunks, 300, codec)))
    codes[rows] = _beside(codes[rows], codec, step)
    record = read_claim(out)
    FORMATS["table"][out.suffix].write(out, [codes], record, codec)
    return out


@pytest.mark.parametrize("model", ["people", "awkward"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_numbers_of_the_levels_beside_are_rounding_and_those_farther_are_not(store: str, tmp_path: Path, name: str, model: str) -> None:
    for step in (-1, 1):
        found = provenance(shifted(store, tmp_path / name, step, model=model), storage=store)
        assert 5 < found["largest_difference"] <= 40
        assert found["tolerance"].startswith("numbers of the levels beside theirs, of the 16,384")
    with pytest.raises(DataError, match=r"other rows: in row \d"):
        provenance(shifted(store, tmp_path / name, 40, model=model), storage=store)


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_numbers_that_the_column_does_not_write_are_no_rounding(store: str, tmp_path: Path, name: str) -> None:
    out = made(store, tmp_path / name, "awkward")
    if name == "rows.csv":
        edit_csv(out, lambda rows: [row.__setitem__(5, f"{row[5]}0") for row in rows[1:]])
        problem = r"300 other rows: in row 1 'wage' is '\d+\.\d\d', not '\d+\.\d\d0'"
    else:
        rows = pq.read_table(out)
        started = pc.add(rows["started"], pa.scalar(1, pa.duration("ms")))
        pq.write_table(rows.set_column(2, "started", started).replace_schema_metadata(rows.schema.metadata), out)
        problem = r"that has 'started' of type|300 other rows: in row 1 'started' is "
    with pytest.raises(DataError, match=problem):
        provenance(out, storage=store)


def test_files_that_are_none_of_rows_are_one_line(store: str, tmp_path: Path) -> None:
    out = made(store, tmp_path / "rows.csv")
    beside(out).unlink()
    with pytest.raises(DataError, match=r"cannot be read: there is no .*rows\.csv\.provenance\.json"):
        read_claim(out)
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot be read"):
        read_claim(tmp_path / "x.parquet")
    publish(Registry(open_store(store)), 1.0)
    images = generate(f"{store}/models/m/0001", num=2, seed=0, out=tmp_path / "images.parquet", local=True)
    assert provenance(images, storage=store)["num"] == 2
    generate(f"{store}/models/m/0001", num=2, seed=0, out=tmp_path / "image.png", local=True)
    rows = made(store, tmp_path / "other.csv")
    beside(rows).write_text(read_texts(tmp_path / "image.png")[KEY])
    with pytest.raises(DataError, match=r"is a \.csv file, and its generator makes .* images, which are not read from such files"):
        provenance(rows, storage=store)


def test_the_command_says_that_rows_are_equal(store: str, tmp_path: Path) -> None:
    out = made(store, tmp_path / "rows.csv")
    done = CliRunner().invoke(group, ["provenance", str(out), "--storage", store])
    assert (done.exit_code, "equal within 0 rows" in done.output) == (0, True)
