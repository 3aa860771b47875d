"""A cluster at an address: its token is found, its dashboard's address is no head's, and when it dies its driver ends, in one line each.

A job that was submitted to it goes on at the next head.
"""

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.heads import Head, running_head
from tests.helpers.refusals import mistake
from tests.helpers.runs import REPOSITORY, TINY, checkpoints, descendants, ended, final_state, train, wait_until

pytestmark = pytest.mark.e2e

SECONDS_TO_SAY_SO = 20  # 15 on a quiet machine


def start(head: Head, home: Path, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    """Start a command of a user who has the token where Ray looks for it."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    return subprocess.Popen(
        [sys.executable, "-m", "ganray", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**inherited, "HOME": str(home), **variables},
    )


def finished(process: "subprocess.Popen[str]") -> "subprocess.CompletedProcess[str]":
    output, errors = process.communicate(timeout=SECONDS_TO_SAY_SO)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


@pytest.mark.slow
def test_a_driver_finds_the_token_is_told_a_wrong_port_and_ends_with_its_head(tmp_path: Path) -> None:
    token = tmp_path / ".ray/auth_token"
    token.parent.mkdir()
    token.write_text(secrets.token_hex(32))
    train = ["train", "jobs/quickstart.yaml", *TINY, f"storage={tmp_path / 'store'}"]
    with running_head(HOME=str(tmp_path), RAY_AUTH_MODE="token") as head:
        field, line = mistake(finished(start(head, tmp_path, *train, RAY_ADDRESS=head.address.removeprefix("http://"))), exit_code=3)
        assert field == "RAY_ADDRESS"
        assert "is not the port of a head" in line
        field, line = mistake(finished(start(head, tmp_path / "nobody", *train, "--address", head.gcs_address)), exit_code=3)
        assert "wants its token" in line

        driver = start(head, tmp_path, *train, "--address", head.gcs_address)
        try:
            wait_until(lambda: checkpoints(tmp_path / "store"), driver)
            head.kill()
            killed = time.monotonic()
            _, errors = driver.communicate(timeout=60)
            assert time.monotonic() - killed < SECONDS_TO_SAY_SO
            assert driver.returncode == 3, errors
            *_, line = errors.splitlines()
            assert line == (
                f"error: --address: the head of the Ray cluster at {head.gcs_address!r} died; start it again; the same command goes on"
            )
            assert "Traceback" not in errors
            assert "task_manager" not in errors
        finally:
            ended(driver, descendants(driver.pid))


@pytest.mark.slow
def test_a_submitted_job_goes_on_at_a_new_head_and_ends_as_if_nothing_had_died(tmp_path: Path) -> None:
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(whole).returncode == 0
    with running_head(**token) as head, head.started_ganray("submit", "jobs/quickstart.yaml", *TINY, f"storage={broken}") as following:
        wait_until(lambda: checkpoints(broken), following)
        head.kill()
        with running_head(head.ports, **token):
            output, _ = following.communicate(timeout=240)
    assert following.returncode == 0, output
    assert "the head of the cluster died; submitting the job once more, as tiny-" in output
    assert final_state(broken) == final_state(whole)
