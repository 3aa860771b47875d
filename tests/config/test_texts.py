"""What a text is taken for: fields that are text as they were typed, places, kinds alone, and overrides as values."""

from pathlib import Path
from typing import Any

import pytest

import ganray
from ganray.config import Adam, CosineRate, DiffAugment, FolderSource, HingeLoss, Job, NoAugment, load_job
from ganray.config.compatibility import KINDS
from ganray.config.fields import Section, is_text, kind_of, sections_in
from ganray.errors import ConfigError
from ganray.sweep.plan import check_space

AS_TYPED = ["007", "20240101", "1_1_1", "2024-01-01", "1e6", "0x10", "1.5", "true", "no", "on", "1-2-3", "0o7"]


def all_sections(section: type[Section] = Job) -> set[type[Section]]:
    """Return a section and all below it."""
    below = {found for field in section.model_fields.values() for found in sections_in(field.annotation)}
    return {section}.union(*(all_sections(found) for found in below))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text("name: x\ndata: {source: {kind: folder, path: y}}\n")
    return path


def value_at(job: Job, field: str) -> Any:
    value: Any = job
    for part in field.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("text", AS_TYPED)
def test_a_name_is_taken_as_typed(path: Path, text: str) -> None:
    assert load_job(path, [f"name={text}"]).name == text
    path.write_text(f"name: {text}\n")
    assert load_job(path).name == text


@pytest.mark.parametrize("field", ["storage", "data.source.path", "publish.licence", "evaluate.extractor.weights"])
@pytest.mark.parametrize(
    "text",
    [*AS_TYPED, "set #1", "a: b", "[a", "{b}", "- c", "&d", "*e", "!f", "100%", "@g", "`h", "x=y", " i", "'j", "k'", "'l' #m'", "~/n"],
)
def test_text_is_taken_as_typed(path: Path, field: str, text: str) -> None:
    job = load_job(path, ["evaluate.extractor.kind=rotation", f"{field}={text}"])
    assert value_at(job, field) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'set #1'", "set #1"),
        ('"007"', "007"),
        ("'it''s'", "it's"),
        ('"null"', "null"),
        ('"\\x41"', "A"),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_quotes_around_the_whole_and_null_are_yamls(path: Path, text: str, value: str | None) -> None:
    assert load_job(path, [f"publish.licence={text}"]).publish.licence == value


def test_every_field_that_may_hold_any_text_takes_it_as_typed_and_refuses_nul(path: Path) -> None:
    fields = [(section, name, field) for section in all_sections() for name, field in section.model_fields.items()]
    texts = [(section, name) for section, name, field in fields if is_text(field.annotation)]
    assert len(texts) > 15
    for section, name in texts:
        with pytest.raises(ConfigError) as raised:
            section(**{name: "a\0b"})
        assert "\0" not in str(raised.value)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("gs://bucket/x", "unsupported scheme gs://; name a folder or s3://bucket/prefix"),
        ("S3://bucket/x", "unsupported scheme S3://"),
        ("s3:/bucket", "'s3:' begins neither a path nor a URI; write s3://bucket/prefix"),
        ("s3:bucket", "'s3:' begins neither a path nor a URI"),
        ("file:folder", "'file:' begins neither"),
        ("hdfs:/folder", "'hdfs:/' begins neither"),
        ("C:/folder", "'C:/' begins neither"),
        ("file://host/p", "a file:// URI names another machine; write file:///folder"),
        ("file:///p#1", "a file:// URI has ? or # in it"),
        ("x" * 300, "the path, of 300 characters, is too long"),
        ("x/" * 3000, "the path, of 6,000 characters, is too long"),
        ("a\0b", "has a NUL character"),
        ("\ud800", "expected text in UTF-8"),
    ],
)
@pytest.mark.parametrize("field", ["storage", "data.source.path", "publish.signing_key"])
def test_what_is_neither_path_nor_uri_is_refused(path: Path, field: str, place: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_job(path, [f"{field}={place}"])
    assert str(raised.value).startswith(f"{field}: ")
    assert says in str(raised.value)


@pytest.mark.parametrize(
    "place", ["s3://bucket", "s3://bucket/a?region=x", "file:///a%23b", "file://localhost/a", "a:b", "./s3:/x", "a b:/c", "é" * 120]
)
def test_paths_and_uris_are_taken(path: Path, place: str) -> None:
    assert load_job(path, [f"storage={place}"]).storage == place


def kinds() -> list[tuple[str, str]]:
    """Return the dotted path and kind of every section of a union."""
    found = []
    for parent in ["", "data.", "evaluate.", "sweep."]:
        section = sections_in(Job.model_fields[parent[:-1]].annotation)[0] if parent else Job
        for name, field in section.model_fields.items():
            below = sections_in(field.annotation)
            found += [(f"{parent}{name}", kind) for each in below if name != "space" and (kind := kind_of(each))]
    return found


def companions(field: str, kind: str) -> dict[str, str]:
    """Return what a job needs beside a kind of sample, or a network family, that does not go with the defaults."""
    going = {"data.modality": "", "networks": "families", "data.source": "sources"}.get(field)
    if going is None:
        return {}
    sample = next(name for name, rules in KINDS.items() if kind in getattr(rules, going)) if going else kind
    if field == "data.source" or sample == "image":
        return {} if sample == "image" else {"data.modality": sample}
    return {"data.modality": sample, "data.source.kind": KINDS[sample].sources[0], "data.source.path": "y"}


@pytest.mark.parametrize(("field", "kind"), kinds())
def test_a_kind_alone_is_the_section_of_that_kind(path: Path, field: str, kind: str) -> None:
    needed = {"sweep.space": {"seed": {"randint": [0, 9]}}, "sweep.scheduler": "hyperband" if kind == "bohb" else "none"}
    path.write_text("name: x\n")
    more = {f"{field}.path": "y"} if kind in ("folder", "parquet", "lines", "csv") else companions(field, kind)
    more |= {"data.modality": {"lines": "text", "csv": "table"}[kind]} if kind in ("lines", "csv") else {}
    found = value_at(load_job(path, {**needed, field: kind, **more}), field)
    assert (found[0] if isinstance(found, list) else found).kind == kind  # of trackers there may be several


def test_overrides_go_on_below_a_kind_alone_and_below_null(path: Path) -> None:
    path.write_text("augment: diff-augment\ndata:\n")
    job = load_job(path, ["augment.p=0.5", "data.resolution=64"])
    assert (job.augment, job.data.height) == (DiffAugment(p=0.5), 64)
    assert load_job(path, ["augment.kind=none", "data.channels=1"]).augment == NoAugment()


def test_overrides_may_be_values_by_dotted_path(path: Path, tmp_path: Path) -> None:
    source = {"kind": "folder", "path": "y"}
    overrides = {
        "train.batch_size": 128,
        "data.resolution": (32, 64),
        "storage": tmp_path,
        "data.source": source,
        "data.source.labels": "none",
    }
    job = load_job(path, overrides)
    assert (job.train.batch_size, job.data.shape, job.storage) == (128, (3, 32, 64), str(tmp_path))
    assert job.data.source == FolderSource(path="y", labels="none")
    assert source == {"kind": "folder", "path": "y"}
    assert load_job(path, {"loss": HingeLoss()}).loss == HingeLoss()
    with pytest.raises(ConfigError, match="name: expected text, got 7"):
        load_job(path, {"name": 7})
    with pytest.raises(ConfigError, match="7: is not the dotted path of a field"):
        load_job(path, {7: "name"})


@pytest.mark.parametrize("field", ["loss", "loss.kind"])
def test_a_sweep_may_choose_among_kinds(path: Path, field: str) -> None:
    job = load_job(path, [f"sweep.space.{field}={{choice: [hinge, wasserstein]}}"])
    assert job.required_sweep.space[field].values == ["hinge", "wasserstein"]
    check_space(job)


def test_a_dimension_that_stands_twice_is_refused(path: Path) -> None:
    twice = "{train.batch_size: {choice: [64]}, train: {batch_size: {choice: [32]}}}"
    with pytest.raises(ConfigError, match=r"sweep.space: train.batch_size is there twice"):
        load_job(path, [f"sweep.space={twice}"])


def test_one_override_need_not_be_in_a_list(path: Path) -> None:
    assert load_job(path, "train.batch_size=128").train.batch_size == 128


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ganray.Job(nme="x"), "nme: there is no such field; did you mean name?"),
        (lambda: ganray.Job(train={"batch_size": "many"}), "train.batch_size: expected an integer, got 'many'; the default is 64"),
        (lambda: ganray.Job(workers=3), "train.batch_size: 64 does not split over 3 workers"),
        (lambda: Adam(lr=-1), "lr: expected a number greater than 0, got -1; the default is 0.0002"),
        (lambda: Adam(lr={"start": 1, "end": 2}), "lr.end: expected a number of at most 1, got 2"),
        (lambda: CosineRate(start=1e-3), "end: is missing"),
        (lambda: FolderSource(), "path: is missing"),
    ],
)
def test_sections_made_in_python_raise_ganrays_errors(make: Any, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        make()
    assert says in str(raised.value)
