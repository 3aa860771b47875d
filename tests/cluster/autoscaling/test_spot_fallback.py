"""Spot that AWS refuses is on-demand instead: Ray's own provider, against an EC2 that botocore's stubs answer for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.stub import Stubber
from ray.autoscaler._private.providers import _get_node_provider_cls
from ray.autoscaler.node_launch_exception import NodeLaunchException

from ganray.cluster.autoscaling.spot_fallback import PAUSE_S, SpotFallbackNodeProvider

ATTEMPTS = 5  # of Ray's provider, over the zones
CLUSTER = yaml.safe_load((Path(__file__).parents[3] / "cluster.yaml").read_text())
NODE = {**CLUSTER["available_node_types"]["gpu"]["node_config"], "SubnetIds": ["subnet-a", "subnet-b", "subnet-c"], "KeyName": "key"}
TAGS = {"ray-node-type": "worker", "ray-user-node-type": "gpu", "ray-node-name": "ray-ganray-worker"}


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> SpotFallbackNodeProvider:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    named = _get_node_provider_cls(CLUSTER["provider"])  # as Ray finds it
    assert named is SpotFallbackNodeProvider
    return named(CLUSTER["provider"], "ganray")


@pytest.fixture
def ec2(provider: SpotFallbackNodeProvider) -> Iterator[Stubber]:
    with Stubber(provider.ec2_fail_fast.meta.client) as stub:
        yield stub


@pytest.fixture
def requests(provider: SpotFallbackNodeProvider) -> list[dict[str, Any]]:
    """What EC2 is asked for, in order."""
    asked: list[dict[str, Any]] = []
    events = provider.ec2_fail_fast.meta.client.meta.events
    events.register("provide-client-params.ec2.RunInstances", lambda params, **_: asked.append(dict(params)))
    return asked


def refuse(ec2: Stubber, code: str) -> None:
    for _ in range(ATTEMPTS):
        ec2.add_client_error("run_instances", code, "no", 500)


def grant(ec2: Stubber, *names: str) -> None:
    instances = [{"InstanceId": name, "State": {"Name": "pending", "Code": 0}} for name in names]
    ec2.add_response("run_instances", {"Instances": instances})


def markets(requests: list[dict[str, Any]]) -> list[str]:
    return [request.get("InstanceMarketOptions", {}).get("MarketType", "on-demand") for request in requests]


@pytest.mark.parametrize("code", ["InsufficientInstanceCapacity", "MaxSpotInstanceCountExceeded", "SpotMaxPriceTooLow"])
def test_spot_that_is_refused_in_every_zone_is_started_on_demand(
    provider: SpotFallbackNodeProvider, ec2: Stubber, requests: list[dict[str, Any]], code: str
) -> None:
    refuse(ec2, code)
    grant(ec2, "i-1", "i-2")
    assert set(provider.create_node(NODE, TAGS, 2)) == {"i-1", "i-2"}
    assert markets(requests) == ["spot"] * ATTEMPTS + ["on-demand"]
    assert {request["SubnetId"] for request in requests[:ATTEMPTS]} == {"subnet-a", "subnet-b", "subnet-c"}
    spot, on_demand = requests[0], requests[-1]
    assert {**spot, "SubnetId": ""} == {**on_demand, "SubnetId": "", "InstanceMarketOptions": {"MarketType": "spot"}}


def test_spot_is_asked_for_again_only_after_a_pause(
    provider: SpotFallbackNodeProvider, ec2: Stubber, requests: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("ganray.cluster.autoscaling.spot_fallback.time.monotonic", lambda: now)
    refuse(ec2, "UnfulfillableCapacity")
    grant(ec2, "i-1")
    provider.create_node(NODE, TAGS, 1)
    requests.clear()
    now += PAUSE_S - 1
    grant(ec2, "i-2")
    provider.create_node(NODE, TAGS, 1)
    now += 1
    grant(ec2, "i-3")
    provider.create_node(NODE, TAGS, 1)
    assert markets(requests) == ["on-demand", "spot"]


def test_another_error_is_not_answered_by_paying_more(
    provider: SpotFallbackNodeProvider, ec2: Stubber, requests: list[dict[str, Any]]
) -> None:
    refuse(ec2, "UnauthorizedOperation")
    with pytest.raises(NodeLaunchException, match="UnauthorizedOperation"):
        provider.create_node(NODE, TAGS, 1)
    assert markets(requests) == ["spot"] * ATTEMPTS


def test_on_demand_that_is_refused_as_well_is_an_error(provider: SpotFallbackNodeProvider, ec2: Stubber) -> None:
    refuse(ec2, "InsufficientInstanceCapacity")
    refuse(ec2, "InsufficientInstanceCapacity")
    with pytest.raises(NodeLaunchException, match="InsufficientInstanceCapacity"):
        provider.create_node(NODE, TAGS, 1)
