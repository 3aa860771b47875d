"""`ganray serve` on a real Ray Serve: many clients and a promotion among them, the page in a browser, and an orderly end."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganray.registry.promotion import promote
from ganray.registry.registry import Registry
from ganray.serve.connections import HAPROXY
from ganray.storage import open_store
from tests.helpers.artifacts import publish
from tests.helpers.browser import chromium
from tests.helpers.runs import descendants, listening
from tests.helpers.serving import generated

pytestmark = pytest.mark.e2e
CLIENTS, SEEDS, NUM, START = 16, 4, 3, 62  # whose samples lie in two chunks
SCRIPT = """ready.then(() => ({tiles: document.querySelectorAll(".tile").length, wide: document.documentElement.scrollWidth - innerWidth,
    ways: way.items.length, link: location.search, title: document.querySelector("h1").innerText}))"""


def get(url: str) -> tuple[int, bytes, str]:
    """Return status, content and version of an answer."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.status, answer.read(), answer.headers.get("x-ganray-version", "")


def ask_until(url: str, done: threading.Event, client: int) -> list[tuple[int, int, bytes, str]]:
    """Return the answers to one client's requests: seed, status, samples and version."""
    answers = []
    while not done.is_set() or len(answers) < 2:
        seed = (client + len(answers)) % SEEDS
        status, content, version = get(f"{url}samples?seed={seed}&start={START}&num={NUM}&format=npy")
        answers.append((seed, status, np.load(io.BytesIO(content)).tobytes(), version))
    return answers


@pytest.mark.parametrize("variables", [{}, {HAPROXY: "1"}], ids=["Ray's proxy", "HAProxy"])
def test_a_promotion_under_load_drops_nothing_and_the_page_shows_samples(variables: dict[str, str], tmp_path: Path) -> None:
    registry, storage = Registry(open_store(tmp_path / "store")), tmp_path / "store"
    publish(registry, 2.0, 1.0)
    command = [sys.executable, "-m", "ganray", "serve", str(storage / "models/m"), "--port", "0", "--follow", "0.5", "--rate", "0"]
    settings = {"cwd": tmp_path, "env": os.environ | variables}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings) as process:
        try:
            assert process.stdout
            url = re.fullmatch(r"serving  (http://127\.0\.0\.1:\d+/)\n", process.stdout.readline())[1]  # type: ignore[index]
            assert variables or all(address.is_loopback for address in listening([process.pid, *descendants(process.pid)]))
            check_promotion(url, registry, generated(storage / "models/m", ("0001", "0002"), seeds=SEEDS, start=START, num=NUM))
            check_page(url, tmp_path)
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.strip()) == (130, "interrupted")


def check_promotion(url: str, registry: Registry, samples: dict[tuple[str, int], bytes]) -> None:
    """Promote a version while clients ask: every answer is whole and of the version that it names, first one, then the other."""
    done = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as clients:
        futures = [clients.submit(ask_until, url, done, client) for client in range(CLIENTS)]
        try:
            done.wait(1.0)
            promote(registry, "m", "0001", why="to see it served")
            while get(f"{url}samples?num=1&format=npy")[2] != "0001":
                assert not done.wait(0.1)
            done.wait(1.0)
        finally:
            done.set()
        answers = [answer for future in futures for answer in future.result()]
    versions = Counter(version for _, _, _, version in answers)
    assert set(versions) == {"0001", "0002"}
    assert all(status == 200 and content == samples[version, seed] for seed, status, content, version in answers)
    assert b"ganray_samples_total" in get(f"{url}metrics")[1]


def check_page(url: str, folder: Path) -> None:
    """Open the page as phones and desktops show it: no complaints, nothing loaded from elsewhere, nothing wider than the window."""
    with chromium(folder / "profile") as browser:
        for width, dark in ((390, True), (1600, False)):
            view = browser.visit(f"{url}?num=16&seed=3&sample=5", SCRIPT, width=width, dark=dark)
            assert view.errors == []
            assert [asked for asked in view.requests if not asked.startswith((url, "data:"))] == []
            assert (view.result["tiles"], view.result["wide"], view.result["ways"]) == (16, 0, 16)
            assert view.result["link"] == "?version=0001&seed=3&start=0&num=16&sample=5"
            assert "version 0001, the best" in view.result["title"].replace("\n", " ")
            with Image.open(io.BytesIO(view.screenshot)) as shot:
                assert len(np.unique(np.asarray(shot.convert("L")))) > 100, "samples are drawn"
