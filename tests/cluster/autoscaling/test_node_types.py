"""The autoscaler's node types, as its file has them."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ganray.cluster.autoscaling.node_types import Growth, NodeType, parse_growth, read_cluster_file
from tests.helpers.runs import REPOSITORY

HEAD = {"head_node_type": "head", "available_node_types": {"head": {"resources": {"CPU": 8}, "max_workers": 0}}}


def cluster(**types: dict) -> str:
    return yaml.safe_dump({**HEAD, "max_workers": 3, "available_node_types": {**HEAD["available_node_types"], **types}})


def test_types_have_their_own_limits_or_the_cluster_s() -> None:
    text = cluster(cpu={"resources": {"CPU": 4}, "max_workers": 2}, gpu={"resources": {"CPU": 4, "GPU": 1}})
    assert parse_growth(text) == Growth((NodeType("cpu", {"CPU": 4.0}, 2), NodeType("gpu", {"CPU": 4.0, "GPU": 1.0}, 3)), 3)


def test_the_repository_s_own_file_is_read() -> None:
    assert parse_growth((REPOSITORY / "cluster.yaml").read_text()) == Growth((NodeType("gpu", {}, 4),), 4)


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", "max_workers: 2", cluster(cpu={"resources": {"CPU": "many"}})])
def test_what_is_no_cluster_file_has_no_types(text: str) -> None:
    assert parse_growth(text) is None


@pytest.mark.parametrize("is_relative", [True, False])
def test_the_file_is_that_of_the_head_s_autoscaler(tmp_path: Path, is_relative: bool) -> None:
    (tmp_path / "cluster.yaml").write_text(cluster())
    script = tmp_path / "autoscaler/v2/monitor.py"
    script.parent.mkdir(parents=True)
    script.write_text("print(flush=True)\ninput()")
    file = "cluster.yaml" if is_relative else tmp_path / "cluster.yaml"
    command = [sys.executable, str(script), "--gcs-address=127.0.0.1:1", f"--autoscaling-config={file}"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as monitor:
        try:
            assert monitor.stdout is not None
            monitor.stdout.readline()  # a process that has only just been executed has an empty command line
            assert read_cluster_file("127.0.0.1:1") == cluster()
            assert read_cluster_file("127.0.0.1:2") is None
        finally:
            monitor.kill()
    assert read_cluster_file("127.0.0.1:1") is None
