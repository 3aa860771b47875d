"""`ganray serve` as it is typed wrongly: one line, before Ray starts."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganray.cli import group
from ganray.errors import ArtifactError, ConfigError
from ganray.registry.registry import Registry
from ganray.storage import open_store
from tests.helpers.artifacts import make_keys, publish


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a model with a version that is not signed."""
    publish(Registry(open_store(tmp_path / "store")), 1.0)
    return tmp_path / "store/models/m"


def serve(*arguments: object) -> None:
    """Type the command; what it raises comes out."""
    CliRunner().invoke(group, ["serve", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)


def test_an_artifact_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no published generator"):
        serve(tmp_path / "models/none")


def test_a_version_that_is_not_signed_is_refused_with_a_key(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is not signed"):
        serve(model, "--public-key", make_keys(tmp_path)[1])


def test_a_port_that_is_taken_is_an_error(model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"--port: cannot listen at 127.0.0.1:{port}"):
            serve(model, "--port", port)


def test_a_missing_package_is_an_error_that_names_the_extra(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganray.cli.serving.find_spec", lambda name: None if name == "fastapi" else name)
    with pytest.raises(ConfigError, match=r"needs the package fastapi, .*; pip install 'ganray\[serve\]'"):
        serve(model)
