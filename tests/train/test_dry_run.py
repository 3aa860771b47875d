"""`--dry-run` says what the job would run, or what its sweep would search, and starts and writes nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganray.cli import group
from ganray.cli.listing import aligned
from ganray.config import load_job
from ganray.sweep.plan import plan_sweep
from ganray.train.dry_run import plan

JOBS = Path(__file__).parents[2] / "jobs"
QUICKSTART = JOBS / "quickstart.yaml"


@pytest.fixture(autouse=True)
def _no_cluster_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_a_plan_says_all_that_the_job_decides(tmp_path: Path) -> None:
    overrides = ["name=r", f"storage={tmp_path}", "train.total_images=1000", "train.batch_size=128", "train.checkpoint_every=300"]
    rows = plan(load_job(QUICKSTART, [*overrides, "train.max_seconds=null", "use_gpu=false", "publish.model=m"]))
    assert rows == {
        "run": "r",
        "cluster": "a local Ray of its own",
        "workers": "2, with 1 CPU and no GPU",
        "batch": "128, 64 a worker, normalised in groups of 32",
        "precision": "auto",
        "data": "fashion-mnist test as 1 x 32 x 32, auto",
        "networks": "conditional dcgan, width 24, latent_dim 64",
        "loss": "hinge, with R1",
        "images": "1,000, 8 steps",
        "checkpoints": f"every 300, about 3, in {tmp_path}/runs/r/checkpoints",
        "evaluations": "every 40,000 images on 5,000 samples",
        "samples": f"every 20,000 images, in {tmp_path}/runs/r/samples",
        "dataset": f"{tmp_path}/datasets",
        "publishes": f"{tmp_path}/models/m",
    }


@pytest.mark.parametrize(
    ("override", "row", "says"),
    [
        ("networks.conditional=false", "networks", "dcgan, width 24, latent_dim 64"),
        ("storage=s3://bucket/x", "dataset", "s3://bucket/x/datasets"),
        ("train.max_seconds=90", "images", "200,000, or 90 s, 3,125 steps"),
        ("use_gpu=true", "workers", "2, with 1 CPU and 1 GPU each"),
        ("use_gpu=auto", "workers", "2, with 1 CPU and a GPU each, if the cluster has as many"),
        ("resources.cpus_per_worker=0.5", "workers", "2, with 0.5 CPU and a GPU each, if the cluster has as many"),
        ("data.source={kind: folder, path: /my/images}", "data", "folder /my/images as 1 x 32 x 32, auto"),
        ("data.resolution=[32, 64]", "data", "fashion-mnist test as 1 x 32 x 64, auto"),
        ("augment.mirror=true", "loss", "hinge, reals mirrored, with R1"),
        ("augment={kind: diff-augment, mirror: true}", "loss", "hinge, augmented, reals mirrored, with R1"),
        ("train.start_from=s3://b/models/m", "starts from", "s3://b/models/m"),
        ("publish.auto=false", "publishes", "nothing until `ganray publish`"),
    ],
)
def test_a_plan_follows_the_job(override: str, row: str, says: str) -> None:
    assert plan(load_job(QUICKSTART, [override]))[row] == says


def test_a_plan_names_the_cluster_as_the_command_would_choose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    job = load_job(QUICKSTART)
    monkeypatch.setenv("RAY_ADDRESS", "around:6379")
    assert plan(job)["cluster"] == "around:6379"
    assert plan(job, address="asked:6379")["cluster"] == "asked:6379"


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", str(JOBS / "fashion-mnist.yaml"), "--dry-run"]
    done = subprocess.run([sys.executable, "-m", "ganray", *words], capture_output=True, text=True, check=True)
    rows = json.loads(run(*words, "--json"))
    assert done.stdout.splitlines() == aligned(rows)
    assert rows["publishes"] == f"{tmp_path.resolve()}/store/models/fashion-mnist"
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_s_dry_run_says_what_it_would_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job = str(JOBS / "fashion-mnist-sweep.yaml")
    rows = json.loads(run("sweep", job, "sweep.max_hours=2", "sweep.workers=2", "--json", "--dry-run"))
    assert rows["space"]["penalties.r1_gamma"] == "choice of 0.1, 0.3, 1.0, 3.0"
    assert rows["space"]["optimizer.generator.beta1"] == "uniform from 0 to 0.9"
    assert rows["scheduler"] == "asha, rungs at 40,000, 120,000, 360,000 images"
    assert rows["trials"] == "27, at most 360,000 images each and 9,720,000 in all"
    assert rows["limits"] == "2 hours"
    assert rows["workers"].startswith("a trial has 2, with 1 CPU and")
    assert rows["batch"] == "64, 32 a worker, normalised in groups of 32"
    assert rows["records"] == f"{tmp_path.resolve()}/store/sweeps/fashion-mnist-sweep"
    assert list(tmp_path.iterdir()) == []


def test_what_a_sweep_leaves_to_ganray_is_said_too() -> None:
    rows = plan_sweep(load_job(QUICKSTART, ["sweep.space={optimizer.generator.lr: {quniform: [1e-3, 3e-3, 1e-3]}}", "sweep.images=6400"]))
    assert rows["space"] == {"optimizer.generator.lr": "quniform from 0.001 to 0.003 by 0.001"}
    assert rows["scheduler"] == "none, rungs at 6,400 images"
    assert rows["finalists"] == "3, scored again on 10,000 samples"
    assert rows["limits"] == "none"


def run(*words: str) -> str:
    """Return what a command prints, in this process."""
    return CliRunner().invoke(group, words, catch_exceptions=False).stdout
