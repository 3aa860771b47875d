"""A headless Chromium without network but loopback, driven by its DevTools protocol: what a page looks like, holds and complains about."""

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-port=0"]
FLAGS += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
HEIGHT = 900
LOOK = """(() => {
  const marks = (chart) => [...chart.querySelectorAll(".main-svg .trace path, .main-svg .point path")].filter((mark) => {
    const { width, height } = mark.getBoundingClientRect();
    return width + height > 0;
  });
  return {
    marks: Object.fromEntries([...document.querySelectorAll(".chart")].map((chart) => [chart.id, marks(chart).length])),
    overflow: document.documentElement.scrollWidth - innerWidth,
    widths: [...document.querySelectorAll(".chart")].map((chart) => [chart.querySelector("svg").clientWidth, chart.clientWidth]),
    images: [...document.querySelectorAll("img")].map((image) => image.naturalWidth),
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
  };
})()"""  # what a page of plotly's charts shows


@dataclass
class View:
    """What a browser made of a page: a script's result, errors of the console, addresses that it asked for, a screenshot as PNG."""

    result: Any = None
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    screenshot: bytes = b""


@dataclass(frozen=True)
class Browser:
    """A running browser's DevTools port."""

    port: int

    def visit(self, url: str, script: str, *, width: int, dark: bool = False) -> View:
        """Return a view of a page in a window of that width, after it has loaded and the expression `script` is resolved."""
        return asyncio.run(_visit(self.port, url, script, width, dark))


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Give a browser with a new profile, and end it afterwards; skip the test where none is installed."""
    binary = shutil.which("chromium")
    if binary is None:
        pytest.skip("chromium is not installed, so that no page can be looked at")
    command = [binary, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield Browser(_port(profile / "DevToolsActivePort"))
    finally:
        process.terminate()
        process.wait(timeout=30)


def _port(file: Path, patience: float = 60.0) -> int:
    """Return the port that the browser has written down, once it has."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError, IndexError):
            return int(file.read_text().splitlines()[0])
        time.sleep(0.05)
    raise TimeoutError("chromium opened no DevTools port")


async def _visit(port: int, url: str, script: str, width: int, dark: bool) -> View:
    view = View()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
        async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
            target = await answer.json()
        async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            page = _Page(socket, view)
            for domain in ("Page", "Runtime", "Log", "Network"):
                await page.send(f"{domain}.enable")
            await page.send("Emulation.setDeviceMetricsOverride", width=width, height=HEIGHT, deviceScaleFactor=1, mobile=width < 600)
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            await page.send("Emulation.setEmulatedMedia", features=[scheme])
            await page.send("Page.navigate", url=url)
            await page.until("Page.loadEventFired")
            evaluated = await page.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
            assert "exceptionDetails" not in evaluated, evaluated["exceptionDetails"]
            view.result = evaluated["result"].get("value")
            shot = await page.send("Page.captureScreenshot", captureBeyondViewport=True)
            view.screenshot = base64.b64decode(shot["data"])
            await page.send("Page.close")
    return view


class _Page:
    """One tab's connection: commands with their answers, events noted in a view as they pass."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, view: View) -> None:
        self.socket, self.view = socket, view
        self.sent, self.passed = 0, set[str]()

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Return a command's answer."""
        self.sent += 1
        await self.socket.send_json({"id": self.sent, "method": method, "params": params})
        while (message := await self._next()).get("id") != self.sent:
            pass
        assert "error" not in message, message
        return message["result"]

    async def until(self, event: str) -> None:
        """Wait for an event, unless it has passed."""
        while event not in self.passed:
            await self._next()

    async def _next(self) -> dict[str, Any]:
        message = json.loads((await self.socket.receive()).data)
        method, params = message.get("method", ""), message.get("params", {})
        self.passed.add(method)
        if method == "Runtime.exceptionThrown":
            self.view.errors.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.view.errors.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.view.errors.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.view.requests.append(params["request"]["url"])
        return message
