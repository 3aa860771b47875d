"""Where a dataset's fitted extractors are kept, which can be asked without torch."""

import hashlib
import json

from ganray.config import ClassifierExtractor, RotationExtractor
from ganray.data.dataset import PreparedDataset

ResolvedExtractor = ClassifierExtractor | RotationExtractor

SHIPPED = "shipped:"  # before the name of an extractor that comes with ganray
SEED = 0


def extractor_key(extractor: ResolvedExtractor, dataset: PreparedDataset) -> str:
    """Return where a fitted extractor is kept: beside its dataset, by how it was fitted."""
    settings = json.dumps([extractor.kind, extractor.fit_images, SEED])
    return f"{dataset.folder}/extractors/{extractor.kind}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}.safetensors"
