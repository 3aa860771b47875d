"""What `auto` becomes for which data, decided once."""

import pytest

from ganray.config import Job, check_job
from ganray.data.card import DatasetCard, Skipped
from ganray.errors import GanrayError
from ganray.runs.resolve import resolve_job, resume_job

DECIDED = {"use_gpu": False, "train": {"precision": "float32"}}  # what only a cluster could decide


def job(**sections: object) -> Job:
    return check_job({"data": {"source": {"kind": "folder", "path": "x"}, "mode": "resident"}, **DECIDED, **sections})


def card(classes: list[str] | None) -> DatasetCard:
    """Return the card of 100 images, of these classes or of none."""
    counts = None if classes is None else [100 // len(classes)] * len(classes)
    shape = {"count": 100, "channels": 3, "height": 32, "width": 32, "rows_per_shard": 100, "shards": []}
    made = {"filter": "lanczos", "source": {}, "skipped": Skipped(), "licence": None, "created_by": {}}
    return DatasetCard(name="x", key="k", fingerprint="f", classes=classes, class_counts=counts, **shape, **made)


@pytest.mark.parametrize(("classes", "kind"), [(None, "rotation"), (["cat", "dog"], "classifier")])
def test_unlabelled_images_are_scored_by_rotations_and_labelled_ones_by_classes(classes: list[str] | None, kind: str) -> None:
    extractor = resolve_job(job(), card(classes)).evaluate.extractor
    assert (extractor.kind, extractor.weights) == (kind, "auto")


def test_fashion_mnist_has_its_extractor_shipped() -> None:
    fashion = {"source": {"kind": "fashion-mnist"}, "channels": 1, "mode": "resident"}
    assert resolve_job(job(data=fashion), card(["shirt", "coat"])).evaluate.extractor.weights == "shipped:fashion-mnist"


def test_a_classifier_of_what_has_no_classes_is_refused() -> None:
    with pytest.raises(GanrayError, match="needs labels, and this data has none; use rotation") as refused:
        resolve_job(job(evaluate={"extractor": {"kind": "classifier"}}), card(None))
    assert refused.value.field == "evaluate.extractor.kind"


def test_what_was_decided_holds_when_a_run_goes_on() -> None:
    stored = resolve_job(job(), card(None))
    again = resume_job(job(), stored)
    assert again == stored
    with pytest.raises(GanrayError, match="was started with 'rotation' and this asks for 'classifier'"):
        resume_job(job(evaluate={"extractor": {"kind": "classifier"}}), stored)
