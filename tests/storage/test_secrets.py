"""No secret in anything that ganray writes or prints: logs, errors, job dumps, cards, manifests, aliases, images."""

import logging
import pickle
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from ganray.cli import group
from ganray.config import check_job
from ganray.config.reading.places import JOBS
from ganray.errors import GanrayError
from ganray.generation.batch import generate
from ganray.registry.cache import pull
from ganray.registry.deletion import delete_version
from ganray.registry.manifest import CARD
from ganray.registry.model_card import model_card
from ganray.registry.promotion import promote
from ganray.registry.registry import Registry
from ganray.registry.signing import PASSPHRASE
from ganray.storage import open_store
from tests.helpers.artifacts import artifact, make_keys, publish
from tests.helpers.s3_server import WRITER
from tests.registry.test_model_card import DATASET, LINEAGE, PROTOCOL, SCORES

PHRASE = "passphrase-of-nobody-else"
TOKEN = "session-token-of-nobody-else"
SESSION = "aws-session-token-of-nobody-else"
IN_A_URI = "secret-in-a-uri"
URIS = [
    *(f"{scheme}://user:{IN_A_URI}@host/p" for scheme in ("s3", "file", "https", "gs", "ray", "http")),
    *(f"s3://{IN_A_URI}@bucket/p", f"s3:/user:{IN_A_URI}@bucket/p", f"s3://user:p@ss{IN_A_URI}@bucket/p", f"s3://u%3A{IN_A_URI}@bucket/p"),
    *(f"s3://bucket/p?endpoint_url={server}" for server in (f"http://u:{IN_A_URI}@127.0.0.1:1", f"http%3A%2F%2Fu:{IN_A_URI}%40h")),
    *(f"s3://bucket/p?{setting}={IN_A_URI}" for setting in ("secret_key", "aws_secret_access_key", "region=x&session_token", "password")),
]
COMMANDS = [
    *(
        "models list --storage URI",
        "models show m --storage URI",
        "models push URI/models/m/0001 n --storage store",
        "models pull m --storage URI",
    ),
    *("models verify m --storage URI", "runs list --storage URI", "runs show r --storage URI", "publish r --storage URI"),
    *("generate URI --out x.png --local", "report s --storage URI", "provenance URI", "provenance grid.png --storage URI"),
    *(
        "config jobs/quickstart.yaml storage=URI",
        "train jobs/quickstart.yaml storage=URI --dry-run",
        "train jobs/quickstart.yaml storage=URI",
    ),
    *(
        "train jobs/quickstart.yaml storage=[URI]",
        "train jobs/folder.yaml data.source.path=URI --dry-run",
        "train jobs/folder.yaml path=URI",
    ),
    *(
        "train URI",
        "train jobs/quickstart.yaml URI",
        "prepare jobs/quickstart.yaml storage=URI",
        "train jobs/quickstart.yaml --address URI",
    ),
    *("sweep jobs/fashion-mnist-sweep.yaml storage=URI --dry-run", "train jobs/quickstart.yaml publish.signing_key=URI --dry-run"),
]


@pytest.fixture
def secrets(s3_server: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Secrets that this process knows, none of which may be seen anywhere."""
    private, _ = make_keys(tmp_path)
    monkeypatch.setenv("GANRAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    body = private.read_text().splitlines()[1]
    return [WRITER.secret_key, PHRASE, TOKEN, SESSION, body]


def test_what_is_published_and_said_holds_no_secret(
    bucket: str, secrets: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, logger="ganray")
    registry, key = Registry(open_store(bucket)), tmp_path / "signing.pem"
    job = check_job({"name": "r", "storage": bucket, "publish": {"signing_key": str(key), "licence": "mit"}})
    card = model_card(job, scores=SCORES, protocol=PROTOCOL, dataset=DATASET, lineage=LINEAGE)
    files = {**artifact(), CARD: card.encode()}
    registry.publish("m", files, {**LINEAGE, "job": job.model_dump(mode="json")}, key="first", signing_key=key)
    publish(registry, 2.0, 1.0, 5.0, signing_key=key)
    promote(registry, "m", "0004", why="x")
    delete_version(registry, "m", "0001", why="y", pinned_too=True)
    generate(registry.model("m").uri, num=2, seed=0, out=tmp_path / "made", local=True)
    pull(registry.model("m").child("0003"))
    said = [caplog.text, repr(registry), repr(job), str(job.model_dump())]
    for arguments in (["list"], ["show", "m"], ["verify", "m"], ["best", "m"], ["gc", "--days", "0"], ["show", "m", "0009"]):
        for as_json in ([], ["--json"]):
            done = CliRunner().invoke(group, ["models", *arguments, "--storage", bucket, *as_json])
            said += [done.output, repr(done.exception)]
    monkeypatch.setenv(PASSPHRASE, PHRASE)
    with pytest.raises(GanrayError) as caught:
        registry.publish("m", files, {}, key="second", signing_key=key)
    said.append(str(caught.value))
    written = [registry.storage.read(info.key) for info in registry.storage.list()]
    written += [path.read_bytes() for folder in ("made", "cache") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert len(written) > 25
    seen = b"\n".join([*written, *(text.encode() for text in said)])
    assert not [secret for secret in secrets if secret.encode() in seen]


def test_the_log_of_a_bad_night_holds_no_secret(
    bucket: str, secrets: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_SESSION_TOKEN", SESSION)  # which the server does not know
    caplog.set_level(logging.DEBUG, logger="ganray")
    said = []
    for uri in (bucket, f"s3://no-such-bucket-{bucket[-3:].strip('/')}x/p", f"{bucket}?endpoint_url=http://127.0.0.1:1"):
        with pytest.raises(GanrayError) as caught:
            open_store(uri).check_writable()
        said += [str(caught.value), repr(caught.value)]
    assert not [secret for secret in secrets if secret in "\n".join([caplog.text, *said])]


@pytest.mark.parametrize("command", COMMANDS)
def test_credentials_in_a_uri_are_never_repeated(
    command: str, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "jobs").symlink_to(JOBS)
    Image.new("L", (4, 4)).save(tmp_path / "grid.png")
    monkeypatch.chdir(tmp_path)
    for uri in URIS:
        done = CliRunner().invoke(group, command.replace("URI", uri).split())
        assert done.exception, uri
        assert isinstance(done.exception, GanrayError), repr(done.exception)
        said = "\n".join([done.output, str(done.exception), repr(done.exception), caplog.text])
        assert IN_A_URI not in said, said
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and IN_A_URI.encode() in path.read_bytes()]


def test_an_error_keeps_what_is_no_secret_of_a_uri() -> None:
    error = GanrayError("storage", "s3://bucket/a@b?region=x&kms_key=k is gone", "mail me@example.com, or see https://example.com/a@b")
    assert str(error) == "storage: s3://bucket/a@b?region=x&kms_key=k is gone; mail me@example.com, or see https://example.com/a@b"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert "s3://...@bucket/x" in str(GanrayError("x", f"cannot read s3://key:{IN_A_URI}@bucket/x", "y"))
