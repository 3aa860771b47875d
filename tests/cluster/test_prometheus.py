"""Metrics for Prometheus: a node's agent exports them, and the dashboard shows each of them and nothing else."""

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.dashboard.modules.metrics.grafana_dashboard_factory import generate_train_grafana_dashboard

from ganray.cluster import prometheus
from ganray.cluster.private_ray import private_ray
from ganray.cluster.prometheus import RunMetrics, SweepMetrics, names

DASHBOARD: dict[str, Any] = json.loads(Path(prometheus.__file__).with_name("grafana.json").read_text())
METRICS = {"images_seen": 640, "time/images_per_s": 123.5, "time/data_wait_share": 0.25, "time/trained_s": 5.0, "time/checkpoint_s": 0.1}
METRICS |= {"time/upload_s": 0.2, "loss/generator": 1.5, "gradient/generator": 2.5, "metric/frechet": 7.5}


def exported() -> dict[str, float]:
    """Return the samples of ganray's that this machine's agents export, by name and tags of ours."""
    found = {}
    for node in ray.nodes():
        address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=10) as answer:
            text = answer.read().decode()
        for name, tags, value in re.findall(r"^(ray_ganray_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
            ours = re.findall(r'\b(network|metric|status)="([^"]*)"', tags)
            found[" ".join([name, *(value for _, value in ours)])] = float(value)
    return found


@pytest.fixture
def _agent(tmp_path: Path) -> Iterator[None]:
    """A local Ray whose node has an agent, to which this process is connected."""
    often = {"metrics_report_interval_ms": 500}
    with private_ray(tmp_path, dashboard=True):
        ray.init(address="local", num_cpus=1, include_dashboard=True, log_to_driver=False, _system_config=often)
        yield
        ray.shutdown()


@pytest.mark.cluster
@pytest.mark.usefixtures("_agent")
def test_a_node_s_agent_exports_what_a_driver_records() -> None:
    run = RunMetrics("r")
    run.update({**METRICS, "nodes": ["a"], "stage": "evaluating"}, workers=2)
    run.recover(12.5, 64)
    run.recover(None, 0)
    sweep = SweepMetrics("s")
    sweep.update(["running", "running", "paused"])
    sweep.update(["running", "paused", "paused"])
    until = time.monotonic() + 60
    while len(found := exported()) < len(names()) + 1:
        assert time.monotonic() < until, found
        time.sleep(0.5)
    assert {key.split()[0] for key in found} == set(names())
    assert (found["ray_ganray_images_per_second"], found["ray_ganray_workers"]) == (123.5, 2)
    assert (found["ray_ganray_loss generator"], found["ray_ganray_score frechet"]) == (1.5, 7.5)
    assert (found["ray_ganray_recoveries_total"], found["ray_ganray_images_trained_again_total"]) == (2, 64)
    assert (found["ray_ganray_trials running"], found["ray_ganray_trials paused"]) == (1, 2)


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    shown = [name for panel in DASHBOARD["panels"] for target in panel["targets"] for name in re.findall(r"ray_\w+", target["expr"])]
    assert sorted(shown) == sorted(names())


def test_the_dashboard_is_of_the_form_of_ray_s_own() -> None:
    theirs = json.loads(generate_train_grafana_dashboard()[0])
    by_name = {variable["name"]: variable for variable in theirs["templating"]["list"]}
    datasource, run = DASHBOARD["templating"]["list"]
    assert (datasource["type"], datasource["query"]) == (by_name["datasource"]["type"], by_name["datasource"]["query"])
    assert run["query"].keys() <= by_name["SessionName"]["query"].keys()
    assert {"title", "uid", "panels", "templating", "time", "schemaVersion"} <= DASHBOARD.keys()
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in DASHBOARD["panels"])
