"""GAN training on Ray: prepare data, train on many workers, publish the best generator, load it and generate."""

from typing import Any

from ganray.config import Job, load_job
from ganray.errors import GanrayError

__all__ = ["GanrayError", "Job", "load_generator", "load_job", "run_sweep", "run_training"]


def __getattr__(name: str) -> Any:
    """Import what needs torch or ray when it is first asked for."""
    if name == "run_training":
        from ganray.train.train import run_training

        return run_training
    if name == "run_sweep":
        from ganray.sweep.run import run_sweep

        return run_sweep
    if name == "load_generator":
        from ganray.registry.artifact import load_generator

        return load_generator
    raise AttributeError(f"module 'ganray' has no attribute {name!r}")
