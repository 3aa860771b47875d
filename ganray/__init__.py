"""GAN training on Ray: prepare data, train on many workers, search hyperparameters, publish generators, load them and generate.

`load_job` reads a job file, `run_training` and `run_sweep` run it, `prepare` and `fit_extractor` do its first steps alone, `publish`
publishes a run's best generator, `Registry` lists what is published, `load_generator` loads it, `export_generator`
writes it as ONNX or for torch.export, `generate` writes samples, and `score_folder` scores any files as generators are scored.
Every error that is not a defect of ganray is a `GanrayError`.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from ganray.config import Job, load_job
from ganray.errors import (
    ArtifactError,
    ClusterError,
    ConfigError,
    DataError,
    GanrayError,
    RunLocked,
    StorageError,
    TrackerError,
    TrainingDiverged,
)

if TYPE_CHECKING:
    from ganray.export.export import export_generator
    from ganray.generation.batch import generate
    from ganray.registry.artifact import load_generator
    from ganray.registry.registry import Registry
    from ganray.sweep.sweep import run_sweep
    from ganray.train.publish import publish_run as publish
    from ganray.train.score_folder import score_folder
    from ganray.train.train import fit_extractor, run_training
    from ganray.train.train import prepare_data as prepare

    __version__: str
else:  # unknown to type checkers, for which a name that is not there is an error

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return _version()
        if name not in _LAZY:
            raise AttributeError(f"module 'ganray' has no attribute {name!r}")
        module, attribute = _LAZY[name]
        return getattr(import_module(module), attribute)


__all__ = [
    "ArtifactError",
    "ClusterError",
    "ConfigError",
    "DataError",
    "GanrayError",
    "Job",
    "Registry",
    "RunLocked",
    "StorageError",
    "TrackerError",
    "TrainingDiverged",
    "__version__",
    "export_generator",
    "fit_extractor",
    "generate",
    "load_generator",
    "load_job",
    "prepare",
    "publish",
    "run_sweep",
    "run_training",
    "score_folder",
]

_LAZY = {  # what needs torch or Ray, imported when it is first used: module, and name there
    "Registry": ("ganray.registry.registry", "Registry"),
    "export_generator": ("ganray.export.export", "export_generator"),
    "fit_extractor": ("ganray.train.train", "fit_extractor"),
    "generate": ("ganray.generation.batch", "generate"),
    "load_generator": ("ganray.registry.artifact", "load_generator"),
    "prepare": ("ganray.train.train", "prepare_data"),
    "publish": ("ganray.train.publish", "publish_run"),
    "run_sweep": ("ganray.sweep.sweep", "run_sweep"),
    "run_training": ("ganray.train.train", "run_training"),
    "score_folder": ("ganray.train.score_folder", "score_folder"),
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    """Return the version of the installed package; a folder that Ray copied to a node is none."""
    try:
        return version("ganray")
    except PackageNotFoundError:
        return "0+unknown"
