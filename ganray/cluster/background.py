"""Calls in daemon threads: one whose error is kept for the thread that waits for it, and imports."""

import contextlib
import importlib
import threading
from collections.abc import Callable
from typing import Any


class BackgroundCall(threading.Thread):
    """Calls a function in a thread that ends with the process. Once it is not alive, `error` is what it raised, or None."""

    def __init__(self, function: Callable[[], Any], *, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.function = function
        self.error: BaseException | None = None

    def run(self) -> None:
        """Call the function."""
        try:
            self.function()
        except BaseException as error:
            self.error = error


def import_in_background(name: str) -> None:
    """Import a module while this thread waits for something else, before it imports it itself; what goes wrong is met there."""

    def run() -> None:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)

    threading.Thread(target=run, name=f"import-{name}", daemon=True).start()
