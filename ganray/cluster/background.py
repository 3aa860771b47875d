"""A call in a daemon thread, whose error is kept for the thread that waits for it."""

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
