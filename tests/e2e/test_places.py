"""The same job on S3, over two nodes, through `ganray submit`, and from a stream."""

import json
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import boto3
import pyarrow.parquet as pq
import pytest
import ray
import torch
from ray.cluster_utils import Cluster

import ganray
from tests.helpers.commands import succeed_here
from tests.helpers.fashion import few_images
from tests.helpers.heads import Head, driver_below, running_head
from tests.helpers.runs import (
    REPOSITORY,
    TINY,
    checkpoints,
    final_state,
    flip_last_byte,
    kill_driver,
    train,
    training,
    wait_until,
)
from tests.helpers.sweeps import SMALL

pytestmark = pytest.mark.e2e

SHORT = ["train.total_images=1280", "evaluate.every=1280", "train.samples_every=1280", "train.checkpoint_every=640"]
BUNDLED = REPOSITORY / "ganray/data/bundled/fashion-mnist-test.parquet"


@pytest.mark.usefixtures("ray_address")
def test_a_whole_run_lives_on_s3(bucket: str, tmp_path: Path) -> None:
    name, _, prefix = bucket.removeprefix("s3://").partition("/")
    few = tmp_path / "few.parquet"
    pq.write_table(pq.read_table(BUNDLED).slice(0, 2000), few)
    boto3.client("s3").upload_file(str(few), name, "raw/few.parquet")
    source = ["data.source.kind=parquet", f"data.source.path=s3://{name}/raw", "data.source.raw_shape=[28,28,1]"]
    source += ["data.source.label_column=label", "evaluate.extractor={kind: classifier, fit_images: 640}"]
    result = json.loads(succeed_here("train", "jobs/quickstart.yaml", *TINY, *SHORT, *source, f"storage={bucket}", "--json"))
    assert result["version"] == f"{bucket}/models/tiny/0001"
    keys = [item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket=name, Prefix=prefix)["Contents"]]
    for part in (
        "datasets/",
        "runs/tiny/checkpoints/",
        "runs/tiny/metrics.jsonl",
        "models/tiny/0001/generator.safetensors",
        "models/tiny/best.json",
    ):
        assert any(key.startswith(f"{prefix}/{part}") for key in keys), part
    generator = ganray.load_generator(f"{bucket}/models/tiny")
    assert generator(torch.randn(2, generator.latent_dim)).shape == (2, 1, 16, 16)
    (version,) = json.loads(succeed_here("models", "list", "tiny", "--storage", bucket, "--json"))
    assert version["is_best"]
    succeed_here("generate", f"{bucket}/models/tiny", "--num", "70", "--out", str(tmp_path / "many"), "--local")
    assert len(list((tmp_path / "many").glob("*.png"))) == 70


def test_workers_on_two_nodes_train_one_generator(tmp_path: Path) -> None:
    cluster = Cluster()
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        overrides = [*TINY, *SHORT, f"storage={tmp_path}"]  # two workers of one CPU each: one a node
        with few_images(1000):
            result = ganray.run_training(ganray.load_job(REPOSITORY / "jobs/quickstart.yaml", overrides), address=cluster.address)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert (result.ended, result.images_seen) == ("done", 1280)
    assert ganray.load_generator(result.version)(torch.randn(1, 64)).isfinite().all()


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with running_head(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32)) as started:
        yield started


@pytest.mark.slow
def test_a_submitted_job_goes_on_after_its_driver_was_killed_and_is_stopped_with_a_checkpoint(head: Head, tmp_path: Path) -> None:
    command = ["submit", "jobs/quickstart.yaml", *TINY, "train.total_images=1e6", "train.checkpoint_every=1280", f"storage={tmp_path}"]
    with head.started_ganray(*command) as following:
        wait_until(lambda: checkpoints(tmp_path), following)
        os.kill(driver_below(head.process.pid), signal.SIGKILL)
        before = len(checkpoints(tmp_path))
        wait_until(lambda: len(checkpoints(tmp_path)) > before + 2, following)
        failed, running = json.loads(head.ganray("jobs", "list", "--json").stdout)
        stopped = head.ganray("jobs", "stop", running["job"])
        output, _ = following.communicate(timeout=240)
    assert (failed["status"], running["status"]) == ("FAILED", "RUNNING")
    assert f"the driver died; submitting the job once more, as {failed['job']}-2" in output
    assert failed["record"] == running["record"] == f"{tmp_path}/runs/tiny"
    assert "/1,000,000 images" in running["message"]
    assert stopped.stdout == f"job {running['job']}: stopped\n", stopped.stderr
    assert "the same command goes on from there" in output
    assert following.returncode == 130
    assert "the same command goes on from there" in head.ganray("jobs", "logs", running["job"]).stdout


@pytest.mark.slow
def test_a_submitted_sweep_searches_and_publishes(head: Head, tmp_path: Path) -> None:
    small = [override for override in SMALL if not override.startswith(("sweep.space", "optimizer."))]
    small += ["data.source.split=test", "sweep.trials=3", "sweep.scheduler={kind: asha, min_images: 640, reduction: 2}"]
    done = head.ganray("submit", "jobs/fashion-mnist-sweep.yaml", *small, f"storage={tmp_path}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "models/tiny/0001/manifest.json").read_text())["lineage"]["sweep"]["name"] == "tiny"


@pytest.mark.slow
def test_a_streamed_run_goes_on_after_its_driver_was_killed_and_its_latest_checkpoint_damaged(tmp_path: Path) -> None:
    streaming = ["data.mode=streaming", "train.total_images=12800", "evaluate.every=12800"]
    whole = train(tmp_path / "whole", *streaming)
    assert whole.returncode == 0, whole.stderr
    with training(tmp_path / "broken", *streaming) as driver:
        wait_until(lambda: len(checkpoints(tmp_path / "broken")) >= 2, driver)
        kill_driver(driver)
    latest = checkpoints(tmp_path / "broken")[-1]
    flip_last_byte(latest / "state.pt")  # which a listing does not show: the stream was opened at a position that has no state
    again = train(tmp_path / "broken", *streaming)
    assert again.returncode == 0, again.stderr
    assert f"{latest.name}/state.pt is not what was saved; the checkpoint before it is used" in again.stderr
    assert final_state(tmp_path / "broken") == final_state(tmp_path / "whole")
