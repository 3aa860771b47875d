"""Fixtures of the tests of preparation: a storage, and a folder of images whose pixels tell which one they are."""

from pathlib import Path

import pytest
from PIL import Image

from ganray.storage import ObjectStore, open_store


@pytest.fixture
def storage(tmp_path: Path) -> ObjectStore:
    (tmp_path / "store").mkdir()
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Thirty PNGs of one grey value each, 0 to 29, in two classes and an order that is not that of the values."""
    folder = tmp_path / "images"
    for index in range(30):
        file = folder / ("zebra", "cat")[index % 2] / f"{index:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (12, 10), index).save(file)
    return folder
