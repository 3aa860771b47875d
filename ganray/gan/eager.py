"""Adam and DDP without torch's compiler: both import it, which takes two to three seconds of each process, to compile nothing.

Where it is loaded, as it is once a network was compiled, nothing is changed.
"""

import contextlib
import inspect
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ganray.gan.stats import gradient_norm

COMPILER = "torch._dynamo"


def spare_compiler(kind: type) -> None:
    """Let methods of a class that are not to be compiled be called as they are, without asking the compiler for a function that is.

    `torch._compile._disable_dynamo`, which decorates them, keeps under this name what it calls in their place.
    """
    if COMPILER in sys.modules:
        return
    for method in vars(kind).values():
        plain = getattr(method, "__wrapped__", None)
        while plain is not None:
            plain.__dynamo_disable = plain
            plain = getattr(plain, "__wrapped__", None)


class EagerAdam(torch.optim.Adam):
    """Adam, whose step is taken without asking the compiler to leave it alone."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        spare_compiler(torch.optim.Optimizer)
        super().__init__(*arguments, **settings)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Change the weights by their gradients."""
        return inspect.unwrap(torch.optim.Adam.step)(self, closure)

    def load_state_dict(self, state_dict: Any) -> None:
        """Load a state, by the very names that a step gives to its parts: so a file of it has the bytes of one that was never loaded."""
        super().load_state_dict(state_dict)
        for weight, state in self.state.items():
            self.state[weight] = {sys.intern(name): value for name, value in state.items()}


@contextlib.contextmanager
def ddp_without_compiler() -> Iterator[None]:
    """Answer, while DDP wraps a network, the one question that it has for the compiler: whether it reduces gradients in compiled code."""
    if COMPILER in sys.modules:
        yield
        return
    module: Any = torch
    module._dynamo = SimpleNamespace(utils=SimpleNamespace(get_optimize_ddp_mode=lambda: "ddp_optimizer"))
    try:
        yield
    finally:
        del module._dynamo


def optimizer_step(optimizer: torch.optim.Optimizer) -> Tensor:
    """Update the weights, unless a gradient is not finite, and return the gradients' norm.

    Gradients are averaged over the ranks by now, so all ranks skip or none; `found_inf` lets the device decide, as GradScaler does.
    """
    norm = gradient_norm(optimizer)
    setattr(optimizer, "found_inf", (~norm.isfinite()).float())  # noqa: B010 (an attribute that torch does not declare)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm
