"""What `auto` becomes for which data, decided once."""

from typing import Any

import pytest

from ganray.config import Job, check_job
from ganray.data.card import DatasetCard
from ganray.errors import ConfigError, DataError, GanrayError
from ganray.runs.resolve import resolve_job, resume_job
from tests.helpers.cards import card

DECIDED = {"use_gpu": False, "train": {"precision": "float32"}}  # what only a cluster could decide


def job(**sections: object) -> Job:
    return check_job({"data": {"source": {"kind": "folder", "path": "x"}, "mode": "resident"}, **DECIDED, **sections})


def labelled(counts: dict[str, int], **facts: Any) -> DatasetCard:
    """Return the card of a colour dataset with so many images of each class."""
    shape = {"channels": 3, "height": 32, "width": 32}
    return card(sum(counts.values()), classes=list(counts), class_counts=list(counts.values()), **{**shape, **facts})


@pytest.mark.parametrize(
    ("dataset", "kind"),
    [
        (card(), "rotation"),
        (labelled({"cat": 50, "dog": 50}), "classifier"),
        (labelled({"cat": 100}), "rotation"),
        (labelled({"cat": 0, "dog": 100}), "rotation"),
        (labelled({"bird": 0, "cat": 1, "dog": 99}), "classifier"),
    ],
)
def test_images_of_two_classes_are_scored_by_classes_and_others_by_rotations(dataset: DatasetCard, kind: str) -> None:
    extractor = resolve_job(job(), dataset).evaluate.extractor
    assert (extractor.kind, extractor.weights) == (kind, "auto")


def test_fashion_mnist_has_its_extractor_shipped() -> None:
    fashion = {"source": {"kind": "fashion-mnist"}, "channels": 1, "mode": "resident"}
    dataset = labelled({"shirt": 1, "coat": 1}, channels=1, source={"kind": "fashion-mnist", "split": "train", "path": None})
    assert resolve_job(job(data=fashion), dataset).evaluate.extractor.weights == "shipped:fashion-mnist"
    other = labelled({"shirt": 1, "coat": 1}, channels=1)
    assert resolve_job(job(data=fashion), other).evaluate.extractor.weights == "auto"


def test_a_classifier_of_what_has_no_classes_is_refused() -> None:
    for dataset, lacking in [(card(), "labels, and this data has none"), (labelled({"cat": 100}), "two classes, and this data has one")]:
        with pytest.raises(ConfigError, match=f"a classifier needs {lacking}; use rotation") as refused:
            resolve_job(job(evaluate={"extractor": {"kind": "classifier"}}), dataset)
        assert refused.value.field == "evaluate.extractor.kind"


@pytest.mark.parametrize(
    ("count", "duplicates", "asked", "neighbours"),
    [
        (100, None, "auto", 5),
        (100, 0, "auto", 5),
        (6, 0, "auto", 5),
        (5, 0, "auto", 4),
        (2, 0, "auto", 1),
        (100, 97, "auto", 2),
        (100, 98, "auto", 1),
        (100, 0, 99, 99),
        (100, 90, 9, 9),
        (1000, 0, 255, 255),
    ],
)
def test_neighbours_fit_the_distinct_images(count: int, duplicates: int | None, asked: int | str, neighbours: int) -> None:
    evaluate = {"neighbours": asked, "num_samples": 256}
    assert resolve_job(job(evaluate=evaluate), card(count, duplicates=duplicates)).evaluate.neighbours == neighbours


@pytest.mark.parametrize(
    ("count", "duplicates", "asked", "says"),
    [
        (5, 0, 5, "got 5 of 5 in x; use auto, or at most 4"),
        (5, None, 7, "got 7 of 5 in x; use auto, or at most 4"),
        (100, 95, 5, "got 5 of 5 in x; use auto, or at most 4"),
    ],
)
def test_more_neighbours_than_images_are_refused_before_training(count: int, duplicates: int | None, asked: int, says: str) -> None:
    with pytest.raises(ConfigError, match="evaluate.neighbours: expected fewer neighbours than distinct samples, " + says):
        resolve_job(job(evaluate={"neighbours": asked}), card(count, duplicates=duplicates))


def test_neighbours_stay_below_the_samples_that_are_generated() -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.neighbours: expected fewer than evaluate\.num_samples, got 256 of 256"):
        job(evaluate={"neighbours": 256, "num_samples": 256})


@pytest.mark.parametrize(
    ("dataset", "says"),
    [
        (card(500, duplicates=499), "data.source: all 500 samples of x are equal; name a source whose samples differ"),
        (card(1, duplicates=0), "data.source: x has a single sample; name a source whose samples differ"),
        (card(1), "data.source: x has a single sample; name a source whose samples differ"),
    ],
)
def test_data_that_nothing_can_be_learned_from_is_refused_before_training(dataset: DatasetCard, says: str) -> None:
    with pytest.raises(DataError) as refused:
        resolve_job(job(), dataset)
    assert str(refused.value) == says


def test_what_was_decided_holds_when_a_run_goes_on() -> None:
    stored = resolve_job(job(), card())
    again = resume_job(job(), stored)
    assert again == stored
    with pytest.raises(GanrayError, match="was started with 'rotation' and this asks for 'classifier'"):
        resume_job(job(evaluate={"extractor": {"kind": "classifier"}}), stored)


@pytest.mark.parametrize(
    ("section", "field", "new"),
    [
        ({"workers": 2}, "workers", 2),
        ({"workers": {"min": 1, "max": 2}}, "workers.max", 2),
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
    value: object = resume_job(job(**section), resolve_job(job(), card()))
    for part in field.split("."):
        value = getattr(value, part)
    assert value == new


def test_a_resume_may_change_within_sections_that_it_may_change() -> None:
    stored = resolve_job(job(workers={"min": 1, "max": 2}, train={"checkpoint_every": {"seconds": 60}, "precision": "float32"}), card())
    asked = job(workers={"min": 1, "max": 1}, train={"checkpoint_every": {"seconds": 30}, "precision": "float32"})
    resumed = resume_job(asked, stored)
    assert (resumed.max_workers, resumed.train.checkpoint_every.seconds) == (1, 30)


@pytest.mark.parametrize("auto", [{"use_gpu": "auto"}, {"train": {"precision": "auto"}}])
def test_auto_keeps_what_was_decided(auto: dict[str, object]) -> None:
    stored = resolve_job(job(), card())
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
        resume_job(job(**section), resolve_job(job(), card()))
    assert refused.value.field == field


def test_a_resume_does_not_let_workers_share_a_gpu() -> None:
    with pytest.raises(GanrayError, match="does not let workers share a GPU"):
        resume_job(job(use_gpu=True, workers=2, resources={"gpus_per_worker": 0.5}), resolve_job(job(), card()))
