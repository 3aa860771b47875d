"""A prepared dataset in a store: a folder of fixed-shape shards that its card commits."""

from dataclasses import dataclass

from ganray.data.card import DatasetCard
from ganray.errors import DataError
from ganray.storage import MissingObject, ObjectStore

CARD = "card.json"  # written last: a folder without it is no dataset


@dataclass(frozen=True)
class PreparedDataset:
    """A prepared dataset: its card, and where its shards are. Picklable; holds no samples."""

    storage: ObjectStore
    folder: str
    card: DatasetCard

    @property
    def uri(self) -> str:
        """The dataset's folder, as `open_store` takes it."""
        return self.storage.child(self.folder).uri

    def shard_keys(self) -> list[str]:
        """Return the shards' keys in the store, in order."""
        return [f"{self.folder}/{shard.file}" for shard in self.card.shards]

    def is_complete(self) -> bool:
        """Return whether every shard is in the store, by a listing: their content is checked when they are read."""
        present = {info.key for info in self.storage.list(f"{self.folder}/")}
        return present.issuperset(self.shard_keys())


def load_dataset(storage: ObjectStore, folder: str) -> PreparedDataset:
    """Return the dataset in `folder` of a store. Raises `MissingObject` if its card is not there."""
    return PreparedDataset(storage, folder, DatasetCard.model_validate_json(storage.read(f"{folder}/{CARD}")))


def find_dataset(storage: ObjectStore, folder: str) -> PreparedDataset | None:
    """Return the dataset in a folder, None if its card or one of its shards is missing."""
    try:
        dataset = load_dataset(storage, folder)
    except MissingObject:
        return None
    return dataset if dataset.is_complete() else None


def load_recorded(storage: ObjectStore, folder: str, *, run: str) -> PreparedDataset:
    """Return the dataset that a run was created with. Raises `DataError` if it is gone."""
    try:
        return load_dataset(storage, folder)
    except MissingObject:
        raise DataError("storage", f"{folder}, the dataset of run {run!r}, is gone", "restore it, or use another name") from None
