"""Cards of datasets that need no samples, for tests of what is decided from a card."""

from typing import Any

from ganray.data.card import DatasetCard, Skipped


def card(count: int = 100, **facts: Any) -> DatasetCard:
    """Return the card of a grey dataset of so many samples of 16 x 16 pixels."""
    shape: dict[str, Any] = {"count": count, "channels": 1, "height": 16, "width": 16, "rows_per_shard": 100, "shards": []}
    made: dict[str, Any] = {"filter": "lanczos", "source": {}, "skipped": Skipped(), "licence": None, "created_by": {}}
    return DatasetCard(**{"name": "x", "key": "k", "fingerprint": "f", "classes": None, "class_counts": None, **shape, **made, **facts})
