"""A class none of whose samples can be read: said once, its number stays, and nothing is generated of it."""

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from torch import nn

from ganray import run_training
from ganray.cluster.session import ray_session
from ganray.config import Data, FolderSource, check_job
from ganray.data.card import DatasetCard
from ganray.data.preparation.prepare import log_classes, unreadable_classes
from ganray.data.preparation.shards import DecodeCounts, _encode_batch
from ganray.data.sources.rows import row_table
from ganray.errors import ConfigError
from ganray.gan.prior import Prior
from ganray.generation.batch import class_number
from ganray.modalities.image import encode_png
from ganray.modalities.image_codec import ImageCodec
from ganray.registry.artifact import PublishedGenerator
from ganray.storage import open_store
from ganray.train.examine import examine
from tests.helpers.cards import card
from tests.helpers.prepared import prepare

PNG, BROKEN = encode_png(np.zeros((1, 8, 8), np.uint8)), b"\x89PNG\r\n\x1a\n"
CODEC = ImageCodec.of_shape((1, 8, 8))


def counted(*blocks: list[tuple[bytes, int]]) -> DecodeCounts:
    """Return the counts of blocks of files with their labels, as they are decoded."""
    counts = DecodeCounts()
    for block in blocks:
        files, labels = zip(*block, strict=True)
        names = [f"{label}/{number}.png" for number, label in enumerate(labels)]
        batch = row_table(names, pa.array(files, pa.large_binary()), pa.array(labels, pa.int32()))
        counts.add(DecodeCounts.of(_encode_batch(batch, CODEC)))
    return counts


def test_what_could_not_be_read_is_counted_by_class_over_all_blocks() -> None:
    counts = counted([(PNG, 0), (BROKEN, 1), (PNG, -1)], [(BROKEN, 1), (BROKEN, 0), (b"", 2), (BROKEN, -1)])
    assert (counts.seen, counts.skipped, counts.peak) == (7, 5, None)
    assert counts.skipped_labels == {0: 1, 1: 2, 2: 1, -1: 1}
    assert [example.name for example in counts.examples] == ["1/1.png", "1/0.png", "0/1.png", "2/2.png", "-1/3.png"]


@pytest.mark.parametrize(
    ("class_counts", "skipped", "unreadable"),
    [
        ([3, 3], {}, {}),
        ([3, 1], {1: 9}, {}),  # some could be read
        ([3, 0], {1: 9}, {"dog": 9}),
        ([0, 3], {0: 2, 1: 1}, {"cat": 2}),
        ([3, 0], {}, {}),  # a name in a Parquet file's list that no row has
        ([3, 0], {-1: 4}, {}),
        ([], {-1: 4}, {}),
    ],
)
def test_a_class_is_unreadable_if_it_has_samples_and_none_could_be_read(
    class_counts: list[int], skipped: dict[int, int], unreadable: dict[str, int]
) -> None:
    counts = DecodeCounts(skipped_labels=Counter(skipped))
    assert unreadable_classes(["cat", "dog"][: len(class_counts)], class_counts, counts) == unreadable


@pytest.mark.parametrize(
    ("unreadable", "said"),
    [
        ({}, []),
        ({"dog": 1}, ["class dog (1 sample): none"]),
        ({"cat": 2, "dog": 1}, ["classes cat (2 samples) and dog (1 sample): none"]),
        (
            {f"c{number}": 3 for number in range(7)},
            ["classes c0 (3 samples), c1 (3 samples), c2 (3 samples), c3 (3 samples), c4 (3 samples) and 2 more"],
        ),
    ],
)
def test_unreadable_classes_are_said_in_one_line(unreadable: dict[str, int], said: list[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        log_classes(card(unreadable_classes=unreadable))
    assert len(caplog.messages) == len(said)
    assert all(part in message for part, message in zip(said, caplog.messages, strict=True))


def test_cards_that_earlier_versions_wrote_know_nothing_of_it() -> None:
    assert DatasetCard.model_validate(card().model_dump(exclude={"unreadable_classes"})).unreadable_classes == {}


@pytest.mark.parametrize(
    ("label", "names", "shares", "answer"),
    [
        ("cat", ["cat", "dog", "owl"], (0.5, 0.0, 0.5), 0),
        ("owl", ["cat", "dog", "owl"], (0.5, 0.0, 0.5), 2),
        ("dog", ["cat", "dog", "owl"], (0.5, 0.0, 0.5), "--class: class 'dog' had no sample to learn from; use one of cat, owl"),
        ("1", ["cat", "dog", "owl"], (0.5, 0.0, 0.5), "--class: class '1' had no sample to learn from; use one of cat, owl"),
        ("cow", ["cat", "dog", "owl"], (0.5, 0.0, 0.5), "--class: there is no class 'cow'; use one of cat, owl"),
        ("1", None, (0.5, 0.0, 0.5), "--class: class '1' had no sample to learn from; use one of 0 to 2"),
    ],
)
def test_nothing_is_generated_of_a_class_that_had_no_sample(
    label: str, names: list[str] | None, shares: tuple[float, ...], answer: int | str
) -> None:
    generator = PublishedGenerator(nn.Identity(), Prior(4, shares), names, CODEC)
    if isinstance(answer, int):
        assert class_number(generator, label) == answer
        return
    with pytest.raises(ConfigError) as refused:
        class_number(generator, label)
    assert str(refused.value) == answer


def test_a_prior_never_asks_for_a_class_without_samples() -> None:
    _, labels = Prior(1, (0.0, 0.5, 0.0, 0.5, 0.0)).sample(0, "latents", 0, 10_000)
    assert labels is not None
    assert set(labels.tolist()) == {1, 3}


@pytest.mark.cluster
@pytest.mark.slow
def test_a_folder_with_an_unreadable_class_is_learned_without_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog", "owl"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(40 if name != "dog" else 3):
            content = BROKEN if name == "dog" else encode_png(rng.integers(0, 256, (1, 16, 16), np.uint8))
            (tmp_path / "images" / name / f"{number}.png").write_bytes(content)
    source = FolderSource(path=str(tmp_path / "images"))
    data = {"source": source.model_dump(), "resolution": 16, "channels": 1, "max_bad_fraction": 0.1}
    train = {"total_images": 128, "batch_size": 32, "log_every": 64, "checkpoint_every": 64}
    networks = {"kind": "dcgan", "width": 8, "conditional": True}
    job = check_job(
        {"storage": str(tmp_path / "store"), "data": data, "networks": networks, "train": train, "evaluate": {"num_samples": 256}}
    )
    with ray_session("local"), caplog.at_level(logging.WARNING):
        found = prepare(Data(**data), open_store(job.storage)).card
        assert caplog.text.count("nothing is learned of class dog (3 samples): none of the samples could be read") == 1
        assert (found.classes, found.class_counts, found.unreadable_classes) == (["cat", "dog", "owl"], [40, 0, 40], {"dog": 3})
        assert "3 classes (cat, dog, owl), 1 of them without a sample" in str(examine(job)["real samples"])
        result = run_training(job)
    assert result.version
