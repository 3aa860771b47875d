"""The manifests for Kubernetes: as KubeRay's published schemas and its operator want them, and filled in with what is the job's."""

import copy
import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from click.testing import CliRunner
from ray.serve.schema import ServeDeploySchema

from ganray.cli import group
from ganray.config import load_job
from ganray.errors import ConfigError, GanrayError
from ganray.serve.settings import Settings
from ganray.submission.kubernetes import kubernetes_name, render
from tests.helpers.kuberay import operator_problems, problems
from tests.helpers.runs import REPOSITORY

FILES = sorted((REPOSITORY / "jobs/kubernetes").glob("*.yaml"))
TRAIN, SWEEP = REPOSITORY / "jobs/fashion-mnist.yaml", REPOSITORY / "jobs/fashion-mnist-sweep.yaml"
SECRETS = re.compile(r"(AKIA|ASIA)[A-Z0-9]{16}|auth_token: ")


def rendered(*overrides: str, job: Path = TRAIN, variables: dict[str, str] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the ConfigMap and the RayJob of a job."""
    values = ["storage=s3://bucket/prefix", *overrides]
    text = render(job, load_job(job, values), values, image="mine:1", variables=variables or {})
    config_map, ray_job = yaml.safe_load_all(text)
    return config_map, ray_job


def pods(ray_job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the containers of the head and of the workers."""
    cluster = ray_job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"]["containers"][0] for group in groups]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_kuberay_accepts_the_files(path: Path) -> None:
    objects = [found for found in yaml.safe_load_all(path.read_text()) if found["apiVersion"] == "ray.io/v1"]
    assert objects
    for found in objects:
        assert problems(found) == []
        assert operator_problems(found) == []
    assert not SECRETS.search(path.read_text())


@pytest.mark.parametrize("job", [TRAIN, SWEEP], ids=lambda path: path.stem)
@pytest.mark.parametrize("use_gpu", ["auto", "true", "false"])
def test_kuberay_accepts_what_is_rendered(job: Path, use_gpu: str) -> None:
    _, ray_job = rendered(f"use_gpu={use_gpu}", job=job, variables={"AWS_REGION": "eu-west-1"})
    assert problems(ray_job) == []
    assert operator_problems(ray_job) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["spec", "backofLimit"], 3),
        (["spec", "backoffLimit"], "3"),
        (["spec", "rayClusterSpec", "authOptions", "mode"], "tokens"),
        (["spec", "rayClusterSpec", "headGroupSpec", "template", "spec", "containers", 0, "imag"], "x"),
        (["spec", "rayClusterSpec", "workerGroupSpecs", 0, "maxReplica"], 3),
        (["spec", "rayClusterSpec", "workerGroupSpecs", 0, "template", "spec", "containers", 0, "resources", "limits", "cpu"], [1]),
        (["spec", "rayClusterSpec", "autoscalerOptions", "version"], "v3"),
    ],
)
def test_a_slip_is_found_by_the_schema(path: list[Any], value: Any) -> None:
    _, ray_job = rendered()
    target = ray_job
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    assert problems(ray_job)


def test_a_rayservice_serves_an_application_that_there_is() -> None:
    service = yaml.safe_load((REPOSITORY / "jobs/kubernetes/rayservice.yaml").read_text())
    (application,) = ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"])).applications
    module, _, name = application.import_path.partition(":")
    assert hasattr(import_module(module), name)
    settings = Settings.model_validate(application.args)
    workers = service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    assert settings.max_replicas == workers["maxReplicas"]
    assert settings.use_gpu == ("nvidia.com/gpu" in workers["template"]["spec"]["containers"][0]["resources"]["limits"])


def test_a_slip_is_found_that_only_the_operator_would_find() -> None:
    _, ray_job = rendered()
    slips: list[tuple[list[str], Any]] = [(["metadata", "name"], "9.a"), (["spec", "shutdownAfterJobFinishes"], False)]
    for path, value in slips:
        broken = copy.deepcopy(ray_job)
        broken[path[0]][path[1]] = value
        assert problems(broken) == []
        assert operator_problems(broken)


def test_a_rendered_job_runs_the_same_command_on_the_job_file_that_it_mounts() -> None:
    config_map, ray_job = rendered("train.batch_size=128", "workers={min: 1, max: 3}")
    assert config_map["data"] == {"job.yaml": TRAIN.read_text()}
    *command, path = shlex.split(ray_job["spec"]["entrypoint"])[:5]
    assert command == ["python", "-m", "ganray", "train"]
    assert path == "/etc/ganray/job.yaml"
    overrides = shlex.split(ray_job["spec"]["entrypoint"])[5:]
    assert overrides == ["storage=s3://bucket/prefix", "train.batch_size=128", "workers={min: 1, max: 3}", "use_gpu=true"]
    load_job(TRAIN, overrides)
    head = ray_job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert {"name": "job", "configMap": {"name": config_map["metadata"]["name"]}} in head["volumes"]
    assert ray_job["spec"]["metadata"]["ganray run"] == "s3://bucket/prefix/runs/fashion-mnist"


def test_workers_are_those_of_the_job() -> None:
    _, ray_job = rendered("workers={min: 1, max: 3}", "train.batch_size=96", "resources={cpus_per_worker: 6, gpus_per_worker: 2}")
    (group,) = ray_job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert (group["minReplicas"], group["maxReplicas"]) == (0, 3)
    head, worker = pods(ray_job)
    assert worker["resources"]["limits"] == {"cpu": "6", "memory": "12Gi", "nvidia.com/gpu": "2"}
    assert "nvidia.com/gpu" not in head["resources"]["limits"]
    _, on_cpus = rendered("use_gpu=false")
    assert "nvidia.com/gpu" not in pods(on_cpus)[1]["resources"]["limits"]
    assert "use_gpu=true" not in on_cpus["spec"]["entrypoint"]
    assert "ganray sweep" in rendered(job=SWEEP)[1]["spec"]["entrypoint"]


def test_pods_have_the_image_the_settings_and_the_secret() -> None:
    _, ray_job = rendered(variables={"AWS_REGION": "eu-west-1"})
    for container in pods(ray_job):
        assert container["image"] == "mine:1"
        assert {"name": "AWS_REGION", "value": "eu-west-1"} in container["env"]
        assert container["envFrom"] == [{"secretRef": {"name": "ganray-storage", "optional": True}}]


def test_the_files_are_for_the_ray_that_this_package_wants() -> None:
    for path in FILES:
        assert set(re.findall(r"\d+\.\d+\.\d+(?=-py|$)|(?<=rayVersion: )[\d.]+", path.read_text(), re.MULTILINE)) >= {ray.__version__}


@pytest.mark.parametrize(
    ("name", "expected"), [("birds", "birds"), ("9.b_c", "run-9-b-c"), ("a" * 64, "a" * 47), ("a" * 46 + "-b", "a" * 46), ("b.", "b")]
)
def test_names_are_kubernetes_own(name: str, expected: str) -> None:
    assert kubernetes_name(name) == expected


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["storage=/shared/store"], "storage: '/shared/store' is a folder, which pods do not share"),
        (["data.source.kind=folder", "data.source.path=images"], "data.source.path: 'images' is a path of this machine"),
        (["publish.signing_key=signing.pem"], "publish.signing_key: 'signing.pem' is a path of this machine"),
    ],
)
def test_places_that_pods_do_not_have_are_refused(overrides: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        rendered(*overrides)


def test_the_command_prints_manifests_and_applies_none() -> None:
    command = ["submit", str(TRAIN), "storage=s3://bucket/prefix", "--kubernetes"]
    done = CliRunner().invoke(group, [*command, "--dry-run"], env={"AWS_REGION": "eu-west-1", "AWS_SECRET_ACCESS_KEY": "hidden"})
    assert done.exit_code == 0, done.output
    assert [found["kind"] for found in yaml.safe_load_all(done.stdout)] == ["ConfigMap", "RayJob"]
    assert "eu-west-1" in done.stdout
    assert "hidden" not in done.stdout
    for options in ([], ["--dry-run", "--env", "A"], ["--dry-run", "--include", "a"]):
        assert isinstance(CliRunner().invoke(group, [*command, *options]).exception, GanrayError)
