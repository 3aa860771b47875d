"""The job file: overrides, defaults, and one line for every mistake."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ganray.config import CosineRate, FolderSource, Job, apply_overrides, check_job, load_job
from ganray.config.describe import describe_fields
from ganray.config.schedules import decide_schedules
from ganray.errors import ConfigError

JOBS = sorted((Path(__file__).parents[2] / "jobs").glob("*.yaml"))


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_every_job_file_in_the_tree_loads(path: Path) -> None:
    job = load_job(path)
    assert check_job(yaml.safe_load(yaml.safe_dump(job.model_dump(mode="json")))) == job


def test_every_field_has_a_default_that_works() -> None:
    assert Job().train.batch_size == 64


def test_overrides_reach_any_depth_and_read_as_yaml(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("train: {batch_size: 128}\n")
    job = load_job(path, ["optimizer.generator.lr=1e-4", "data.resolution=[32, 64]", "train.total_images=1e6", "use_gpu=false"])
    assert job.optimizer.generator.lr == 1e-4
    assert job.data.shape == (3, 32, 64)
    assert job.train.total_images == 1_000_000
    assert (job.use_gpu, job.train.batch_size) == (False, 128)


def test_a_new_kind_discards_the_fields_of_the_old_one() -> None:
    changed = apply_overrides(
        {"data": {"source": {"kind": "fashion-mnist", "split": "test"}}}, {"data.source.kind": "folder", "data.source.path": "x"}
    )
    assert check_job(changed).data.source == FolderSource(path="x")


@pytest.mark.parametrize(
    ("overrides", "kind", "mirror"),
    [
        ([], "none", False),
        (["augment.mirror=true"], "none", True),
        (["augment={mirror: true}"], "none", True),
        (["augment={p: 0.5}"], "diff-augment", False),
        (["augment={}"], "diff-augment", False),
        (["augment={p: 0.5, mirror: true}"], "diff-augment", True),
        (["augment={kind: none, mirror: true}", "augment.kind=diff-augment"], "diff-augment", True),
        (["augment={kind: diff-augment, p: 0.5}", "augment.mirror=true", "augment.kind=none"], "none", True),
    ],
)
def test_mirroring_goes_with_any_augmentation(tmp_path: Path, overrides: list[str], kind: str, mirror: bool) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("seed: 1\n")
    job = load_job(path, overrides)
    assert (job.augment.kind, job.augment.mirror) == (kind, mirror)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.generator.lrr=1", "optimizer.generator.lrr: there is no such field; did you mean lr?"),
        ("data.source.pth=x", "data.source.pth: there is no such field; did you mean path?"),
        ("train.batch_size=many", "train.batch_size: expected an integer, got 'many'; the default is 64"),
        ("seed=-1", "seed: expected a number of at least 0, got -1; the default is 0"),
        ("data.source.kind=folder", "data.source.path: is missing; add it, as in data.source.path=..."),
        ("data.resolution=21", "data.resolution: expected sides of 16 to 256 pixels, each a multiple of 4 here, got 21; use 20"),
        ("workers=4", "use 128, or networks.ghost_batch=16"),
        ("workers=3", "train.batch_size: 64 does not split over 3 workers into whole groups of networks.ghost_batch=32; use 96"),
        ("networks.ghost_bach=4", "networks.ghost_bach: there is no such field; did you mean ghost_batch?"),
        ("optimizer.generator.lr={start: 1e-3, stop: 1e-4}", "optimizer.generator.lr.end: is missing"),
        ("optimizer.generator.lr={start: 1e-3, end: 7}", "optimizer.generator.lr.end: expected a number of at most 1, got 7"),
        (
            "networks={kind: r3gan, ghost_batch: 8}",
            "networks.ghost_batch: there is no such field; kinds dcgan and motion take it, kind r3gan does not",
        ),
        ("augment={kind: none, p: 0.5}", "augment.p: there is no such field; kind diff-augment takes it, kind none does not"),
        ("networks={kind: r3gan, width: 100}", "networks.group_width: 16 does not divide 200 = expansion * width"),
        (
            "train.accumulate=3",
            "over 1 worker with train.accumulate=3 into whole groups of networks.ghost_batch=32; use 96",
        ),
        ("nonsense", "nonsense: is not an override; write it as key=value"),
        ("train.batch_size.x=1", "train.batch_size: expected an integer, got {'x': 1}; the default is 64"),
        ("use_gpu=maybe", "use_gpu: expected 'auto' or true or false, got 'maybe'; the default is auto"),
        ("data.resolution=[32, x]", "data.resolution: expected an integer, got 'x'; the default is 32"),
        (
            "networks.kind=stylegan",
            "networks.kind: expected 'dcgan' or 'r3gan' or 'wavegan' or 'text-conv' or 'text-recurrent' or 'motion' or 'table', "
            "got 'stylegan'",
        ),
        ("loss=hing", "loss.kind: expected 'non-saturating' or 'saturating' or "),
        ("loss=[hinge]", "loss: expected a section of `key: value` lines, got ['hinge']"),
        ("name=Mine", "name: expected 1 to 64 lower-case letters, digits, dots, hyphens and underscores, got 'Mine'"),
        ("sweep.space.seed={uniform: [3, 1]}", "[3, 1] is an empty range; write the lower end first"),
    ],
)
def test_a_mistake_costs_one_line_that_names_field_and_remedy(tmp_path: Path, override: str, message: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("name: x\n")
    with pytest.raises(ConfigError) as raised:
        load_job(path, [override])
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "there is no such job file"), ("a: [", "is not valid YAML"), ("- a", "is not a job file")]
)
def test_a_file_that_is_not_a_job_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "job.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_job(path)


def test_sizes_that_an_error_suggests_do_work() -> None:
    check_job({"workers": 3, "train": {"batch_size": 96}})
    check_job({"workers": 4, "networks": {"ghost_batch": 16}})


def test_every_field_is_described() -> None:
    rows = describe_fields()
    assert {"optimizer.generator.lr", "train.max_seconds", "data.source[folder].path"} <= {row["field"] for row in rows}
    assert all(len(row["meaning"]) > 5 for row in rows)


def test_a_field_shows_its_narrowest_bounds_once() -> None:
    types = {row["field"]: row["type"] for row in describe_fields()}
    assert types["data.modality[sound].rate"] == "integer, >= 1000, <= 192000"
    assert types["seed"] == "integer, >= 0, < 2^63"
    doubled = [name for name, text in types.items() for kind in text.split(" or ") if kind.count("<") > 1 or kind.count(">") > 1]
    assert not doubled
    assert not [name for name, text in types.items() if ">= -2^63" in text and "<" in text.replace("< 2^63", "")]


@pytest.mark.parametrize("arguments", [["--help"], ["config", "jobs/quickstart.yaml"], ["train", "jobs/quickstart.yaml", "--dry-run"]])
def test_light_commands_import_neither_torch_nor_ray(arguments: list[str]) -> None:
    code = """import sys
from ganray.cli import group
group.main(sys.argv[1:], standalone_mode=False)
print([module for module in ("torch", "ray", "boto3") if module in sys.modules])"""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=JOBS[0].parents[1])
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_discriminator_is_compiled_only_without_gradient_penalties() -> None:
    check_job({"train": {"compile": ["generator", "discriminator"]}})
    check_job({"train": {"compile": ["generator"]}, "penalties": {"r1_gamma": 1.0}})
    with pytest.raises(ConfigError, match=r"train.compile: gradient penalties .* torch.compile cannot; use \[generator\]"):
        check_job({"train": {"compile": ["discriminator"]}, "penalties": {"r1_gamma": {"start": 1.0, "end": 0.0}}})


def test_a_value_is_a_number_or_a_schedule() -> None:
    job = check_job({"optimizer": {"generator": {"lr": {"start": "2e-4", "end": 5e-5}}}, "train": {"ema_half_life": "1e5"}})
    assert job.optimizer.generator.lr == CosineRate(start=2e-4, end=5e-5, images="auto")
    assert job.train.ema_half_life == 100_000
    decided = check_job(decide_schedules(job.model_dump(mode="json"), 5000))
    assert decided.optimizer.generator.lr.images == 5000
    assert decided.optimizer.discriminator == job.optimizer.discriminator
