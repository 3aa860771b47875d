"""`cluster.yaml` is a cluster that Ray's launcher takes and that EC2 would start. Offline: no AWS, no credentials."""

import copy
import inspect
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import botocore.session
import jsonschema
import pytest
import ray
import yaml
from botocore.model import ListShape, Shape, StructureShape
from botocore.validate import ParamValidator
from packaging.requirements import Requirement
from ray._raylet import Config
from ray.autoscaler._private.providers import _get_node_provider_cls
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.instance_manager.subscribers.cloud_resource_monitor import CloudResourceMonitor
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.schema import AutoscalerInstance
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.autoscaler_pb2 import NodeState, NodeStatus
from ray.core.generated.instance_manager_pb2 import Instance, InstanceUpdateEvent, NodeKind

from ganray.cluster.autoscaling.spot_fallback import SpotFallbackNodeProvider

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "cluster.yaml").read_text()
GPU = "gpu"
SECRETS = re.compile(r"(AKIA|ASIA)[A-Z0-9]{16}|aws_credentials|(access|secret)_?key|session_?token", re.IGNORECASE)


@pytest.fixture
def cluster() -> dict[str, Any]:
    """Return the file as Ray's launcher sees it: merged with Ray's defaults for AWS."""
    return prepare_config(yaml.safe_load(TEXT))


def node_config(cluster: dict[str, Any], node_type: str) -> dict[str, Any]:
    return cluster["available_node_types"][node_type]["node_config"]


def ec2_problems(config: dict[str, Any]) -> list[str]:
    """Return what EC2's RunInstances would not take in a node_config: keys, types and enumerated values, at any depth."""
    request = botocore.session.get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    report = ParamValidator().validate({"MinCount": 1, "MaxCount": 1, **config}, request)
    return [report.generate_report()] if report.has_errors() else unknown_values(config, request)


def unknown_values(value: Any, shape: Shape) -> list[str]:
    """Return the strings in `value` that are none of those which `shape` enumerates."""
    if isinstance(shape, StructureShape):
        return [problem for key, item in value.items() for problem in unknown_values(item, shape.members[key])]
    if isinstance(shape, ListShape):
        return [problem for item in value for problem in unknown_values(item, shape.member)]
    enumerated = getattr(shape, "enum", [])
    return [f"{value} is no {shape.name}"] if enumerated and value not in enumerated else []


def launches(cluster: dict[str, Any], demand: dict[str, float], *, count: int) -> dict[str, int]:
    """Return the workers of each type that Ray's autoscaler would start beside a head whose CPUs are all free."""
    cluster = copy.deepcopy(cluster)
    cluster["available_node_types"][GPU]["resources"] = {"CPU": 4, "GPU": 1}  # what `ray up` would ask AWS
    config = AutoscalingConfig(cluster, skip_content_hash=True)
    reply = ResourceDemandScheduler(None).schedule(
        SchedulingRequest(
            disable_launch_config_check=True,
            node_type_configs=config.get_node_type_configs(),
            max_num_nodes=config.get_max_num_nodes(),
            current_instances=[running_head(cluster)],
            resource_requests=ResourceRequestUtil.group_by_count([ResourceRequestUtil.make(demand, []) for _ in range(count)]),
        )
    )
    return {launch.instance_type: launch.count for launch in reply.to_launch}


def running_head(cluster: dict[str, Any]) -> AutoscalerInstance:
    resources = cluster["available_node_types"]["head"]["resources"]
    node = NodeState(node_id=b"\x01", ray_node_type_name="head", instance_id="i-head", status=NodeStatus.RUNNING)
    node.total_resources.update(resources)
    node.available_resources.update(resources)
    instance = Instance(instance_id="head", instance_type="head", status=Instance.RAY_RUNNING, node_kind=NodeKind.HEAD, node_id="01")
    return AutoscalerInstance(im_instance=instance, ray_node=node, cloud_instance_id="i-head")


def test_ray_accepts_the_file(cluster: dict[str, Any]) -> None:
    validate_config(cluster)


def test_ray_rejects_an_unknown_key(cluster: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError, match="idle_timeout_minute"):
        validate_config(cluster | {"idle_timeout_minute": 1})


@pytest.mark.parametrize("node_type", ["head", GPU])
def test_ec2_accepts_every_node_config(cluster: dict[str, Any], node_type: str) -> None:
    assert ec2_problems(node_config(cluster, node_type)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["ImageID"], "ami-1"),
        (["InstanceType"], "g6.xlrage"),
        (["IamInstanceProfile", "name"], "ganray"),
        (["MetadataOptions", "HttpToken"], "required"),
        (["MetadataOptions", "HttpTokens"], "require"),
        (["MetadataOptions", "HttpPutResponseHopLimit"], "one"),
        (["InstanceMarketOptions", "MarketTyp"], "spot"),
        (["BlockDeviceMappings", 0, "Ebs", "VolumSize"], 100),
        (["BlockDeviceMappings", 0, "Ebs", "VolumeType"], "gp33"),
        (["TagSpecifications", 0, "Tags", 0, "Kye"], "project"),
    ],
)
def test_a_slip_in_a_node_config_passes_ray_but_not_this_check(cluster: dict[str, Any], path: list[Any], value: Any) -> None:
    target = node_config(cluster, GPU)
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    validate_config(cluster)
    assert ec2_problems(node_config(cluster, GPU))


@pytest.mark.parametrize("node_type", ["head", GPU])
def test_every_node_is_hardened_and_tagged(cluster: dict[str, Any], node_type: str) -> None:
    config = node_config(cluster, node_type)
    assert config["MetadataOptions"] == {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    assert "image" not in cluster["docker"], "a container needs a second hop to the metadata service"
    (disk,) = config["BlockDeviceMappings"]
    assert disk["Ebs"]["VolumeType"] == "gp3"
    assert disk["Ebs"]["Encrypted"] is True
    assert disk["Ebs"]["VolumeSize"] >= 100
    assert {tags["ResourceType"] for tags in config["TagSpecifications"]} == {"instance", "volume"}
    assert config["IamInstanceProfile"]["Name"]


def test_workers_do_not_hold_the_profile_that_starts_machines(cluster: dict[str, Any]) -> None:
    head = node_config(cluster, "head")["IamInstanceProfile"]
    assert node_config(cluster, GPU)["IamInstanceProfile"] != head


def test_there_are_no_keys_in_the_file() -> None:
    assert not SECRETS.search(TEXT)
    slips = ["AKIA" + 16 * "X", "aws_secret_access_key: x", "AWS_ACCESS_KEY_ID=x", "aws_credentials:", "AWS_SESSION_TOKEN=x"]
    assert all(SECRETS.search(slip) for slip in slips)


def test_every_node_installs_the_ray_that_this_package_wants(cluster: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (wanted,) = (Requirement(line) for line in project["dependencies"] if Requirement(line).name == "ray")
    for commands in (cluster["head_setup_commands"], cluster["worker_setup_commands"]):
        assert re.findall(r"\bray\[[\w,]+\]==([\w.]+)", "\n".join(commands)) == [ray.__version__]
        assert not re.search(r"ray-wheels|\.whl|anaconda", "\n".join(commands)), "Ray's defaults install a nightly wheel"
    assert wanted.specifier.contains(ray.__version__)


def test_everything_that_is_mounted_exists(cluster: dict[str, Any]) -> None:
    assert [local for local in cluster["file_mounts"].values() if not (ROOT / local).exists()] == []


def test_what_an_installation_needs_is_mounted(cluster: dict[str, Any]) -> None:
    mounts = cluster["file_mounts"]
    assert all(remote == f"~/ganray/{local}" for remote, local in mounts.items())
    assert {"ganray", "pyproject.toml", "README.md", "constraints.txt"} <= set(mounts.values())
    install = cluster["setup_commands"][-1]
    assert "-c ~/ganray/constraints.txt" in install
    assert install.endswith(" ~/ganray")


def test_every_command_is_valid_shell(cluster: dict[str, Any]) -> None:
    lists = [value for key, value in cluster.items() if key.endswith("_commands")]
    script = "\n".join(command for commands in lists for command in commands)
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_ray_starts_with_autoscaling_and_a_dashboard_on_localhost(cluster: dict[str, Any]) -> None:
    head, worker = cluster["head_start_ray_commands"][-1], cluster["worker_start_ray_commands"][-1]
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in head
    assert "--dashboard-host=127.0.0.1" in head
    assert "--address=$RAY_HEAD_IP:6379" in worker
    assert "0.0.0.0" not in head + worker


def test_the_head_knows_of_a_frozen_node_within_ten_seconds(cluster: dict[str, Any]) -> None:
    settings = dict(re.findall(r"RAY_health_check_(\w+)=(\d+)", cluster["head_start_ray_commands"][-1]))
    assert int(settings["period_ms"]) * int(settings["failure_threshold"]) == 10_000
    assert all(hasattr(Config, f"health_check_{name}") for name in settings)


def test_one_region_is_named_throughout(cluster: dict[str, Any]) -> None:
    region = cluster["provider"]["region"]
    assert all(re.fullmatch(f"{region}[a-f]", zone) for zone in cluster["provider"]["availability_zone"].split(","))
    assert re.findall(r"AWS_DEFAULT_REGION=([\w-]+)", "\n".join(cluster["setup_commands"])) == [region]


def test_the_head_runs_drivers_but_no_gpu_training(cluster: dict[str, Any]) -> None:
    head = cluster["available_node_types"][cluster["head_node_type"]]
    assert head["max_workers"] == 0
    assert head["resources"]["GPU"] == 0
    assert launches(cluster, {"CPU": 1}, count=head["resources"]["CPU"]) == {}
    assert launches(cluster, {"CPU": 1}, count=head["resources"]["CPU"] + 1) == {GPU: 1}, "a comment on the head says so"


def test_workers_come_from_nothing_and_go_when_idle(cluster: dict[str, Any]) -> None:
    assert cluster["available_node_types"][GPU]["min_workers"] == 0
    assert 0 < cluster["idle_timeout_minutes"] <= 30
    assert cluster["provider"]["cache_stopped_nodes"] is False
    assert launches(cluster, {"GPU": 1}, count=0) == {}
    assert launches(cluster, {"GPU": 1}, count=99) == {GPU: cluster["max_workers"]}


def test_workers_are_spot_by_the_provider_that_falls_back_to_on_demand(cluster: dict[str, Any]) -> None:
    assert node_config(cluster, GPU)["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert _get_node_provider_cls(cluster["provider"]) is SpotFallbackNodeProvider
    assert Path(inspect.getfile(SpotFallbackNodeProvider)).is_relative_to(ROOT / cluster["file_mounts"]["~/ganray/ganray"])


def test_what_ray_fills_in_for_its_own_provider_is_there(cluster: dict[str, Any]) -> None:
    own = yaml.safe_load(TEXT)
    own["provider"] = {name: value for name, value in own["provider"].items() if name != "module"} | {"type": "aws"}
    theirs = prepare_config(own)
    assert {**cluster, "provider": {}} == {**theirs, "provider": {}}
    assert theirs["provider"].items() - {("type", "aws")} <= cluster["provider"].items()


def test_a_launch_that_aws_refuses_does_not_lower_a_type_as_the_file_says() -> None:
    """If this fails, Ray falls back by itself, and ganray's provider is not needed."""
    monitor = CloudResourceMonitor()
    monitor.notify([InstanceUpdateEvent(instance_type=GPU, new_instance_status=Instance.ALLOCATION_FAILED)])
    assert monitor.get_recoverable_resource_availabilities() == {}
    monitor.notify([InstanceUpdateEvent(instance_type=GPU, new_instance_status=Instance.ALLOCATION_TIMEOUT)])
    assert monitor.get_recoverable_resource_availabilities() == {GPU: 0.0}
