"""`serve.yaml` is a config file that Ray Serve takes, with every setting, and its application can be built."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from ray._common.utils import import_attr
from ray.serve.schema import ServeDeploySchema

from ganray.errors import ConfigError
from ganray.serve.application import application
from ganray.serve.connections import CALLBACK, VARIABLE
from ganray.serve.settings import Settings

CONFIG: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "serve.yaml").read_text())


def test_ray_serve_takes_the_file() -> None:
    (found,) = ServeDeploySchema.model_validate(CONFIG).applications
    assert import_attr(found.import_path) is application


def test_every_setting_stands_in_the_file_and_builds_an_application() -> None:
    arguments = CONFIG["applications"][0]["args"]
    assert {*arguments, "public_key"} == set(Settings.model_fields)
    bound = application(Settings(**arguments))
    assert bound._bound_deployment._deployment_config.autoscaling_config.max_replicas == arguments["max_replicas"]


def test_the_service_for_kubernetes_has_the_same_config() -> None:
    (service,) = yaml.safe_load_all((Path(__file__).parents[2] / "jobs/kubernetes/rayservice.yaml").read_text())
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    (found,) = ServeDeploySchema.model_validate(config).applications
    (stated,) = ServeDeploySchema.model_validate(CONFIG).applications
    assert (config["proxy_location"], config["http_options"]) == (CONFIG["proxy_location"], CONFIG["http_options"])
    assert (found.name, found.import_path, found.route_prefix) == (stated.name, stated.import_path, stated.route_prefix)
    assert Settings(**found.args).max_replicas == 4


def test_proxies_on_kubernetes_limit_connections_and_the_file_says_how_others_do() -> None:
    service = yaml.safe_load((Path(__file__).parents[2] / "jobs/kubernetes/rayservice.yaml").read_text())
    cluster = service["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        (container,) = group["template"]["spec"]["containers"]
        assert container["env"] == [{"name": VARIABLE, "value": CALLBACK}]
    assert f"{VARIABLE}={CALLBACK}" in (Path(__file__).parents[2] / "serve.yaml").read_text()


def test_a_mistake_in_the_settings_is_an_error(tmp_path: Path) -> None:
    for wrong in ({"max_nun": 3}, {"max_num": 0}, {"min_replicas": 3, "max_replicas": 2}, {"rate": -1}):
        with pytest.raises(ValidationError):
            Settings(artifact="models/m", **wrong)
    with pytest.raises(ConfigError, match="--public-key: cannot read"):
        application(Settings(artifact="models/m", public_key=tmp_path / "none.pem"))
