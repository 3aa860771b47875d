"""No secret in anything that ganray writes or prints: logs, errors, job dumps, cards, manifests, aliases, images."""

import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganray.cli import group
from ganray.config import check_job
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


@pytest.fixture
def secrets(s3_server: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Secrets that this process knows, none of which may be seen anywhere."""
    private, _ = make_keys(tmp_path)
    monkeypatch.setenv("GANRAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    body = private.read_text().splitlines()[1]
    return [WRITER.secret_key, PHRASE, TOKEN, body]


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
    caplog.set_level(logging.DEBUG, logger="ganray")
    said = []
    for uri in (f"s3://no-such-bucket-{bucket[-3:].strip('/')}x/p", f"{bucket}?endpoint_url=http://127.0.0.1:1"):
        with pytest.raises(GanrayError) as caught:
            open_store(uri).check_writable()
        said += [str(caught.value), repr(caught.value)]
    assert not [secret for secret in secrets if secret in "\n".join([caplog.text, *said])]
