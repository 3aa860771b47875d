"""What a sweep optimises: one table of scores says which there are, which way is better, and which a job can have."""

from pathlib import Path

import pytest
import torch

from ganray.config import Job, check_job
from ganray.config.evaluate import SCORES, check_has_score
from ganray.data.dataset import PreparedDataset
from ganray.errors import ConfigError
from ganray.evaluation.evaluation import Evaluation
from ganray.evaluation.extractor import FittedExtractor
from ganray.evaluation.score import Reference, compare, compare_classes
from ganray.gan.prior import Prior
from ganray.metrics.feature_extractor import FeatureNetwork
from ganray.metrics.frechet import Moments
from ganray.storage import open_store
from ganray.sweep.plan import check_space, finalists_job, plan_sweep
from tests.helpers.cards import card

LR = "optimizer.generator.lr"
CONDITIONAL = {"networks": {"conditional": True}, "evaluate": {"extractor": {"kind": "classifier"}}}
ROTATION = {"evaluate": {"extractor": {"kind": "rotation"}}}


def job(job: dict[str, object] | None = None, **sweep: object) -> Job:
    """Return a job with a sweep of one learning rate."""
    return check_job({"name": "x", **(job or {}), "sweep": {"space": {LR: {"loguniform": [1e-5, 1e-1]}}, **sweep}})


def test_the_table_holds_what_an_evaluation_of_images_measures() -> None:
    torch.manual_seed(0)
    network = FeatureNetwork(1, 3)
    features = torch.randn(300, network.num_features)
    reference = Reference(Moments.of(features), features)
    scores = compare(features, reference, neighbours=5)
    scores |= compare_classes(features, Prior(8, (0.5, 0.5, 0.0)), network, reference, seed=0)
    assert scores.keys() == {name for name, kind in SCORES.items() if "image" in kind.kinds}
    assert all(SCORES[name].low <= value <= SCORES[name].high for name, value in scores.items())


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("metric/frechet", "min"),
        ("metric/kid", "min"),
        ("metric/precision", "max"),
        ("metric/recall", "max"),
        ("metric/density", "max"),
        ("metric/coverage", "max"),
        ("metric/class_coverage", "max"),
        ("metric/conditional_accuracy", "max"),
    ],
)
def test_a_sweep_takes_the_direction_from_the_table(metric: str, direction: str) -> None:
    searched = job(CONDITIONAL, metric=metric)
    check_space(searched)
    assert searched.required_sweep.direction == direction
    assert searched.required_sweep.maximise == (direction == "max")
    says = "less is better" if direction == "min" else "more is better"
    assert plan_sweep(searched)["metric"] == f"{metric}, {says}"


@pytest.mark.parametrize(
    ("sweep", "says"),
    [
        ({"metric": "frechet"}, "sweep.metric: there is no score 'frechet'; did you mean metric/frechet?"),
        ({"metric": "metric/fretchet"}, "sweep.metric: there is no score 'metric/fretchet'; did you mean metric/frechet?"),
        ({"metric": "metric/KID"}, "sweep.metric: there is no score 'metric/KID'; did you mean metric/kid?"),
        ({"metric": "Recall"}, "sweep.metric: there is no score 'Recall'; did you mean metric/recall?"),
        ({"metric": "metric/conditional_acuracy"}, "did you mean metric/conditional_accuracy?"),
        ({"metric": "loss/generator"}, "sweep.metric: there is no score 'loss/generator'; use metric/frechet, metric/kid"),
        ({"metric": ""}, "sweep.metric: there is no score ''; use metric/frechet"),
        ({"metric": "metric/diversity"}, "sweep.metric: of metric/diversity 1 is best, neither less nor more; use metric/frechet"),
        ({"metric": "metric/kid", "mode": "max"}, "sweep.mode: max is against metric/kid, of which less is better; leave it at auto"),
        ({"metric": "metric/recall", "mode": "min"}, "sweep.mode: min is against metric/recall, of which more is better"),
        ({"metric": "metric/conditional_accuracy"}, "sweep.metric: only conditional generators have metric/conditional_accuracy"),
    ],
)
def test_what_cannot_be_optimised_is_refused_before_anything_starts(sweep: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_space(job(**sweep))
    assert says in str(error.value)


@pytest.mark.parametrize("metric", ["metric/class_coverage", "metric/conditional_accuracy"])
def test_scores_of_classes_need_an_extractor_that_tells_them_apart(metric: str) -> None:
    with pytest.raises(ConfigError, match=f"sweep.metric: {metric} compares classes, which an extractor of kind rotation"):
        check_space(job({**CONDITIONAL, **ROTATION}, metric=metric))
    undecided = job({"networks": {"conditional": True}}, metric=metric)
    check_space(undecided)  # the data will tell
    check_has_score(metric, extractor=undecided.evaluate.extractor.kind, conditional=True)


def test_one_unconditional_trial_of_a_space_is_enough_to_refuse() -> None:
    searched = job(CONDITIONAL, metric="metric/conditional_accuracy", space={"networks.conditional": {"choice": [True, False]}})
    with pytest.raises(ConfigError, match="only conditional generators"):
        check_space(searched)


def test_trials_and_finalists_are_compared_by_the_sweep_s_metric_and_runs_by_the_frechet_distance(tmp_path: Path) -> None:
    dataset = PreparedDataset(open_store(tmp_path), "datasets/x", card())
    searched = job(metric="metric/kid")
    alone = searched.model_copy(update={"sweep": None})
    for found, metric, mode in [(searched, "metric/kid", "min"), (finalists_job(searched), "metric/kid", "min")]:
        assert found.deciding_score == (metric, mode)
    run = Evaluation(alone.evaluate, dataset, FittedExtractor("e", b""), "key", *alone.deciding_score).protocol
    trial = Evaluation(searched.evaluate, dataset, FittedExtractor("e", b""), "key", *searched.deciding_score).protocol
    assert (run.metric, run.mode) == ("metric/frechet", "min")
    assert trial == run.model_copy(update={"metric": "metric/kid"})
    assert job(metric="metric/recall").deciding_score == ("metric/recall", "max")
