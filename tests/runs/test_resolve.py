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


@pytest.mark.parametrize(
    ("section", "field", "new"),
    [
        ({"workers": 2}, "workers", 2),
        ({"use_gpu": True}, "use_gpu", True),
        ({"resources": {"cpus_per_worker": 4}}, "resources.cpus_per_worker", 4),
        ({"resources": {"gpus_per_worker": 0.5}}, "resources.gpus_per_worker", 0.5),
        ({"train": {"precision": "float32", "checkpoint_every": 1000}}, "train.checkpoint_every", 1000),
        ({"train": {"precision": "float32", "keep_checkpoints": 9}}, "train.keep_checkpoints", 9),
        ({"train": {"precision": "float32", "log_every": 100}}, "train.log_every", 100),
        ({"publish": {"every": 0}}, "publish.every", 0),
    ],
)
def test_a_resume_may_change_what_alters_nothing_of_the_result(section: dict[str, object], field: str, new: object) -> None:
    value: object = resume_job(job(**section), resolve_job(job(), card(None)))
    for part in field.split("."):
        value = getattr(value, part)
    assert value == new


@pytest.mark.parametrize("auto", [{"use_gpu": "auto"}, {"train": {"precision": "auto"}}])
def test_auto_keeps_what_was_decided(auto: dict[str, object]) -> None:
    stored = resolve_job(job(), card(None))
    assert resume_job(job(**auto), stored) == stored


@pytest.mark.parametrize(
    ("section", "field"),
    [
        ({"seed": 1}, "seed"),
        ({"train": {"precision": "bfloat16"}}, "train.precision"),
        ({"train": {"precision": "float32", "accumulate": 2}}, "train.accumulate"),
        ({"evaluate": {"num_samples": 512}}, "evaluate.num_samples"),
    ],
)
def test_a_resume_may_not_change_what_alters_the_result(section: dict[str, object], field: str) -> None:
    with pytest.raises(GanrayError, match="was started with") as refused:
        resume_job(job(**section), resolve_job(job(), card(None)))
    assert refused.value.field == field


def test_a_resume_does_not_let_workers_share_a_gpu() -> None:
    with pytest.raises(GanrayError, match="does not let workers share a GPU"):
        resume_job(job(use_gpu=True, workers=2, resources={"gpus_per_worker": 0.5}), resolve_job(job(), card(None)))
