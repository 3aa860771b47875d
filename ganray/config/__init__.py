"""The job file: models of its sections, and reading it with overrides. Knows neither torch nor ray."""

from ganray.config.data import Data, FashionMnistSource, FolderSource, ParquetSource, Source
from ganray.config.errors import UserError
from ganray.config.job import Job, Resources
from ganray.config.load import apply_overrides, check_job, load_job, parse_overrides
from ganray.config.publish import Publish
from ganray.config.training import (
    Adam,
    AutoExtractor,
    ClassifierExtractor,
    DcganNetworks,
    Evaluate,
    Extractor,
    NonSaturatingLoss,
    Optimizer,
    Penalties,
    RotationExtractor,
    Train,
)

__all__ = [
    "Adam",
    "AutoExtractor",
    "ClassifierExtractor",
    "Data",
    "DcganNetworks",
    "Evaluate",
    "Extractor",
    "FashionMnistSource",
    "FolderSource",
    "Job",
    "NonSaturatingLoss",
    "Optimizer",
    "ParquetSource",
    "Penalties",
    "Publish",
    "Resources",
    "RotationExtractor",
    "Source",
    "Train",
    "UserError",
    "apply_overrides",
    "check_job",
    "load_job",
    "parse_overrides",
]
