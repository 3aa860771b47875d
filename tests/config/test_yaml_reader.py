"""The safe reader of job files: what is beyond its subset of YAML, or its bounds, costs one line, in bounded time and memory."""

import os
import time
from pathlib import Path

import pytest
import yaml

from ganray.config import load_job
from ganray.config.reading.yaml_reader import parse, plain
from ganray.errors import ConfigError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
REFUSED = {
    "train: {}\nname: x\ntrain: {}\n": "line 3: key 'train' is repeated; write each key once",
    "train: {batch_size: 64, batch_size: 32}": "line 1: key 'batch_size' is repeated",
    "'name': x\nname: y": "key 'name' is repeated",
    BOMB: "more than 20,000 values, aliases expanded",
    "a: &a [*a]": "line 1: alias *a refers to nothing above it",
    "a: &a {b: *a}": "alias *a refers to nothing above it",
    "a: *nobody": "alias *nobody refers to nothing above it",
    "name: !!python/object:os.system x": "line 1: tags are not allowed; leave out what begins with !, or quote the value",
    "name: !x y": "tags are not allowed",
    "name: !!str 1": "tags are not allowed",
    "name: !!binary x": "tags are not allowed",
    "train: !!set {a}": "tags are not allowed",
    "seed: !!timestamp 2024-13-45": "tags are not allowed",
    "? [a, b]\n: c": "a key is not text",
    "<<: x": "`<<` merges no section",
    "<<: [1]": "`<<` merges no section",
    "name: x\n---\nname: y": "a second document begins",
    "a: " + "[" * 100000: "more than 32 levels",
    "a: " + "{b: " * 1000: "more than 32 levels",
    "\n".join(f"a{number}: 1" for number in range(20000)): "more than 20,000 values",
    "a: [": "is not valid YAML (line 1",
    "a: b: c": "is not valid YAML (line 1, column 5: mapping values are not allowed here)",
    "a: \t@": "is not valid YAML",
    "a: \x07": "is not valid YAML",
    'a: "\\UFFFFFFFF"': "is not valid YAML",
    "%YAML 9.9\n---\na: b": "is not valid YAML",
    f"%YAML 1.{'9' * 5000}\n---\na: b": "is not valid YAML",
    "seed: 1" + " " * 1_000_000: "is larger than 1 MB",
    "- a": "is not a job file; write `key: value` lines, as the files in ",
    "just words": "is not a job file",
}


@pytest.mark.parametrize(("content", "says"), REFUSED.items(), ids=lambda text: text[:30])
def test_a_file_beyond_the_subset_costs_one_line(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(content)
    start = time.process_time()
    with pytest.raises(ConfigError) as raised:
        load_job(path)
    assert raised.value.field == str(path)
    assert says in str(raised.value)
    assert len(str(raised.value)) < 500
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "value", ["2024-13-45", "2024-01-01", "2024-99-99 99:99:99", "0x_", "0b_", "._", "=", "1:30", "12:99", "<<", "0o9", "+.e1"]
)
def test_a_value_that_only_looks_like_a_type_is_text(tmp_path: Path, value: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(f"seed: {value}\n")
    with pytest.raises(ConfigError, match="seed: expected an integer, got '"):
        load_job(path)
    with pytest.raises(ConfigError, match="seed: expected an integer, got '"):
        load_job(path, [f"seed={value}"])


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no such job file; see "),
        (Path.mkdir, "is not a regular file"),
        (make_pipe, "is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (lambda path: path.symlink_to(path), "cannot be read (Too many levels of symbolic links)"),
        (lambda path: path.write_bytes(bytes(2_000_000)), "is larger than 1 MB"),
        (lambda path: path.write_bytes(b"name: \xff"), "cannot be read (invalid start byte at byte 6); save it as UTF-8"),
        (lambda path: path.write_bytes(b"name: \0"), "is not valid YAML"),
    ],
    ids=["missing", "folder", "pipe", "device", "loop", "large", "latin-1", "nul"],
)
def test_what_is_no_job_file_costs_one_line(tmp_path: Path, make: object, says: str) -> None:
    path = tmp_path / "job.yaml"
    make(path)
    with pytest.raises(ConfigError) as raised:
        load_job(path)
    assert says in str(raised.value)


@pytest.mark.parametrize(("name", "says"), [("a\0b", "has a NUL character"), ("x" * 5000, "cannot be read (File name too long)")])
def test_a_name_that_no_file_can_have_costs_one_line(name: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_job(name)
    assert says in str(raised.value)
    assert len(str(raised.value)) < 600


def test_the_jobs_to_which_errors_point_are_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_job(tmp_path / "missing.yaml")
    folder = Path(raised.value.remedy.removeprefix("see ").removesuffix(" for some that work as they are"))
    assert load_job(folder / "quickstart.yaml").name == "quickstart"


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n", "~", "null", "{}"])
def test_an_empty_file_is_a_job_of_defaults(tmp_path: Path, content: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(content)
    assert load_job(path).name == "ganray"


@pytest.mark.parametrize(
    "text",
    [
        "a: {b: [1, -2, 0x1F, 1_000], c: 1.5, d: .5e-3, e: .inf, f: -.Inf, g: [~, null, Null, ''], h: [yes, No, TRUE, off]}",
        "base: &base {x: 1, y: 2}\nmore: &more {y: 3, z: 4}\na: {<<: *base, y: 5}\nb: {<<: [*base, *more]}\nc: *base",
        "a: |\n  two\n  lines\nb: >\n  folded\n  text\nc: 'it''s'\nd: \"\\u00e9\\n\"\ne: plain words, here\n",
        "? a\n: b\nc: [1e6, 1.e5, 12.]\n",
    ],
)
def test_within_the_subset_values_are_yamls(text: str) -> None:
    assert plain(parse(text), None) == yaml.safe_load(text)
