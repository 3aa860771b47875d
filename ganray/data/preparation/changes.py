"""Whether a source is still what was prepared from it: a resume goes on with what was, a new run prepares it anew, and both say so."""

import logging
from typing import Any

from ganray.config import Data
from ganray.config.compatibility import KINDS
from ganray.config.renamed import modernise
from ganray.data.card import DatasetCard
from ganray.data.dataset import CARD, PreparedDataset, load_dataset
from ganray.data.preparation.key import dataset_key, sample_settings
from ganray.data.sources import list_source
from ganray.errors import GanrayError, plural
from ganray.storage import MissingObject, ObjectStore

logger = logging.getLogger(__name__)


def warn_of_change(data: Data, dataset: PreparedDataset) -> None:
    """Log a warning if a source is not any more what a run's dataset was prepared from; one that is not there is passed over."""
    try:
        listing = list_source(data, dataset.storage)
    except GanrayError:
        return
    if _is_alike(data, dataset.card) and dataset_key(data, listing) != dataset.card.key:
        place, count = _place(dataset.card.source), plural(dataset.card.count, KINDS[dataset.card.kind].noun)
        message = "%s has changed since %s was prepared: this goes on with the %s of then; a run of another name takes those of now"
        logger.warning(message, place, dataset.folder, count)


def warn_of_earlier(data: Data, folder: str, storage: ObjectStore) -> None:
    """Log a warning if a dataset is prepared anew, in a folder, whose source has changed since it was prepared in the same way."""
    infos = [info for info in storage.list(f"{folder.rpartition('-')[0]}-") if info.key.endswith(f"/{CARD}")]
    for info in sorted(infos, key=lambda info: info.modified, reverse=True):
        earlier = info.key.removesuffix(f"/{CARD}")
        card = _read_card(storage, earlier)
        if card and earlier != folder and _is_alike(data, card):
            place, count = _place(card.source), plural(card.count, KINDS[card.kind].noun)
            logger.warning("%s has changed since %s was prepared, of %s: it is prepared anew", place, earlier, count)
            return


def _read_card(storage: ObjectStore, folder: str) -> DatasetCard | None:
    """Return a dataset's card, None for one that another process has removed, or that is damaged."""
    try:
        return load_dataset(storage, folder).card
    except (MissingObject, ValueError):
        return None


def _is_alike(data: Data, card: DatasetCard) -> bool:
    """Return whether a dataset was prepared by the same settings; those that its version did not have are as they are by default."""
    source, earlier = data.source.model_dump(mode="json"), modernise({"data": {"source": card.source}})["data"]["source"]
    return _is_made_alike(data, card) and {**source, **earlier} == source


def _is_made_alike(data: Data, card: DatasetCard) -> bool:
    if data.modality.kind != "image" or card.kind != "image":
        return card.settings == sample_settings(data)
    settings = (data.shape, data.filter, data.background_rgb, data.bit_depth, data.has_alpha)
    return (card.shape, card.filter, card.background, card.bit_depth, card.premultiplied) == settings


def _place(source: dict[str, Any]) -> str:
    """Return the place of a source, without the settings of a URI."""
    return str(source.get("path") or source["kind"]).partition("?")[0]
