"""The job file: models of its sections, and reading it with overrides. Knows neither torch nor ray."""

from ganray.config.data import CsvSource, Data, FashionMnistSource, FolderSource, LinesSource, MovingSource, ParquetSource, Source
from ganray.config.evaluate import AutoExtractor, ClassifierExtractor, Evaluate, Extractor, RotationExtractor
from ganray.config.job import Job, Resources
from ganray.config.load import apply_overrides, check_job, load_job, parse_overrides
from ganray.config.modalities import ImageModality, Modality, SoundModality, TableModality, TextModality, VideoModality
from ganray.config.networks import (
    DcganNetworks,
    MotionNetworks,
    Networks,
    R3ganNetworks,
    TableNetworks,
    TextConvNetworks,
    WaveganNetworks,
)
from ganray.config.objectives import (
    Augment,
    DiffAugment,
    HingeLoss,
    LeastSquaresLoss,
    Loss,
    NoAugment,
    NonSaturatingLoss,
    Penalties,
    RelativisticLoss,
    SaturatingLoss,
    WassersteinLoss,
)
from ganray.config.publish import Publish
from ganray.config.schedules import Cosine, CosineCount, CosineDecay, CosineProbability, CosineRate, CosineWeight
from ganray.config.sweep import Sweep
from ganray.config.training import Adam, Divergence, Optimizer, Train

__all__ = [
    "Adam",
    "Augment",
    "AutoExtractor",
    "ClassifierExtractor",
    "Cosine",
    "CosineCount",
    "CosineDecay",
    "CosineProbability",
    "CosineRate",
    "CosineWeight",
    "CsvSource",
    "Data",
    "DcganNetworks",
    "DiffAugment",
    "Divergence",
    "Evaluate",
    "Extractor",
    "FashionMnistSource",
    "FolderSource",
    "HingeLoss",
    "ImageModality",
    "Job",
    "LeastSquaresLoss",
    "LinesSource",
    "Loss",
    "Modality",
    "MotionNetworks",
    "MovingSource",
    "Networks",
    "NoAugment",
    "NonSaturatingLoss",
    "Optimizer",
    "ParquetSource",
    "Penalties",
    "Publish",
    "R3ganNetworks",
    "RelativisticLoss",
    "Resources",
    "RotationExtractor",
    "SaturatingLoss",
    "SoundModality",
    "Source",
    "Sweep",
    "TableModality",
    "TableNetworks",
    "TextConvNetworks",
    "TextModality",
    "Train",
    "VideoModality",
    "WassersteinLoss",
    "WaveganNetworks",
    "apply_overrides",
    "check_job",
    "load_job",
    "parse_overrides",
]
