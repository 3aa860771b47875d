"""Ray's token and interfaces: what a local command starts is its user's alone and leaves no trace; a cluster's token is asked for."""

import contextlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import psutil  # Ray brings it along
import pytest
import ray
from ray._private import services
from ray._raylet import AuthenticationMode, get_authentication_mode
from ray.core.generated.gcs_service_pb2 import GetClusterIdReply

from ganray.cluster.private_ray import MODE, TOKEN, TOKEN_FILE, TOKEN_PATH, private_ray, reload_authentication
from ganray.cluster.session import ray_session
from ganray.errors import ClusterError
from tests.helpers.runs import listening


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    """A home without a token, and an environment that names none, as Ray sees them."""
    with pytest.MonkeyPatch.context() as environment:
        for name in {MODE, *(name for name in os.environ if name.startswith("RAY_AUTH_"))}:
            environment.setenv(name, "")  # so that it is put back, too, where there was none and Ray sets one
            environment.delenv(name)
        environment.setenv("HOME", str(tmp_path))
        reload_authentication()
        yield tmp_path
    reload_authentication()


def test_a_private_ray_has_a_token_of_its_own_and_leaves_the_environment_as_it_was(home: Path) -> None:
    before, address = dict(os.environ), services.get_node_ip_address()
    with private_ray(home):
        assert ip_address(services.get_node_ip_address()).is_loopback
        assert get_authentication_mode() == AuthenticationMode.TOKEN
        token = home / TOKEN_FILE
        assert os.environ[TOKEN_PATH] == str(token)
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert len(token.read_text()) == 64
    assert dict(os.environ) == before
    assert services.get_node_ip_address() == address
    assert get_authentication_mode() != AuthenticationMode.TOKEN
    assert not (home / ".ray").exists()


@pytest.mark.parametrize("chosen", [{MODE: "disabled"}, {TOKEN: "a" * 64}, {TOKEN_PATH: "/some/file"}, {MODE: "token", TOKEN: "a" * 64}])
def test_what_the_environment_says_of_tokens_stays(chosen: dict[str, str], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    with private_ray(home):
        assert {name: os.environ[name] for name in (MODE, TOKEN, TOKEN_PATH) if name in os.environ} == chosen
        assert ip_address(services.get_node_ip_address()).is_loopback
    assert not (home / TOKEN_FILE).exists()


@pytest.mark.cluster
def test_a_local_ray_listens_on_loopback_alone_and_leaves_nothing_in_the_home(home: Path) -> None:
    before = dict(os.environ)
    with ray_session("local"):
        session = ray._private.worker._global_node.get_session_dir_path()
        every = {process: " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])}  # None: one that ends
        ours = [process for process, command in every.items() if session in command]
        commands = " ".join(every[process] for process in ours)
        assert "gcs_server" in commands
        assert not [name for name in ("monitor.py", "log_monitor.py", "dashboard/dashboard.py") if name in commands]
        addresses = listening([*(process.pid for process in ours), os.getpid()])
        assert len(addresses) > 3
        assert all(address.is_loopback for address in addresses)
    assert {name: os.environ.get(name) for name in before} == before
    assert not {MODE, TOKEN, TOKEN_PATH} & set(os.environ)
    assert list(home.iterdir()) == []


@pytest.fixture(params=["", "a" * 64], ids=["no authentication", "token"])
def cluster(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The address of a server that answers as a cluster does to who asks whether it is there, and the token that it wants."""

    def get_cluster_id(_: bytes, context: Any) -> bytes:
        if request.param and dict(context.invocation_metadata()).get("authorization") != f"Bearer {request.param}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken: Authentication token is missing or incorrect")
        return GetClusterIdReply().SerializeToString()

    class Handler(grpc.GenericRpcHandler):
        def service(self, _: object) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(get_cluster_id)

    server = grpc.server(ThreadPoolExecutor(1), handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", request.param
    server.stop(None)


@pytest.mark.parametrize("found", [{}, {TOKEN: "a" * 64}, {TOKEN: "b" * 64}, {MODE: "token"}], ids=["none", "right", "wrong", "mode"])
def test_a_cluster_that_wants_a_token_is_said_in_a_line_and_at_once(
    cluster: tuple[str, str], found: dict[str, str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, wanted = cluster
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    reload_authentication()
    connected: list[str] = []
    monkeypatch.setattr(ray, "init", lambda address, **_: connected.append(address))
    monkeypatch.setattr("ganray.cluster.session.watched_head", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(gcs_address=address))
    if found.get(TOKEN) == wanted if wanted else MODE not in found:
        with ray_session(address):
            assert connected == [address]
            assert (get_authentication_mode() == AuthenticationMode.TOKEN) == bool(wanted)  # with one, others' workers could not call
        return
    with pytest.raises(ClusterError, match="wants its token, and this process has none or another; set RAY_AUTH_MODE"):
        ray_session(address).__enter__()
    assert connected == []
