"""Sweeps on a real cluster of two CPUs, to the end: searchers and schedulers, and what is left for other tools."""

import json
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

import ganray
from ganray.errors import GanrayError
from tests.helpers.rays import SHARED_RAY
from tests.helpers.runs import REPOSITORY
from tests.helpers.runs import ganray as command_line
from tests.helpers.sweeps import LR, SMALL, Watcher, checkpoints, records, small_job, state, sweep, within

LIMIT_S = 240  # for what would hang for ever if it hung


pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("ray_address")]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage of a random sweep of five trials in two places by the command line; what it printed lies in `printed.json`."""
    storage = tmp_path_factory.mktemp("found")
    more = ["sweep.trials=5", "sweep.finalists.num=2", f"sweep.start_from=[{{{LR}: 1e-3}}]", "--address", SHARED_RAY.address(), "--json"]
    done = within(LIMIT_S, lambda: command_line("sweep", "jobs/quickstart.yaml", *SMALL, f"storage={storage}", *more))
    assert done.returncode == 0, done.stderr
    (storage / "printed.json").write_text(done.stdout)
    return storage


def test_more_trials_than_places_all_finish_and_the_winner_is_published_with_its_sweep(found: Path) -> None:
    printed = json.loads((found / "printed.json").read_text())
    assert (printed["ended"], len(printed["trials"]), printed["images_seen"]) == ("done", 5, 5 * 1280)
    assert [(trial["status"], trial["images"]) for trial in printed["trials"]] == [("finished", 1280)] * 5
    assert printed["trials"][0]["params"] == {LR: 1e-3}
    assert printed["version"] == str(found / "models/tiny/0001")
    lineage = json.loads((found / "models/tiny/0001/manifest.json").read_text())["lineage"]
    winner = printed["trials"][printed["winner"]]
    assert (lineage["sweep"]["name"], lineage["sweep"]["trial"], lineage["sweep"]["params"]) == ("tiny", winner["number"], winner["params"])
    assert lineage["job"]["optimizer"]["generator"]["lr"] == pytest.approx(winner["params"][LR])
    assert ganray.load_generator(printed["version"])(torch.randn(2, 64)).shape == (2, 1, 16, 16)


def test_finalists_are_scored_again_by_a_protocol_of_their_own_and_the_second_score_decides(found: Path) -> None:
    printed = json.loads((found / "printed.json").read_text())
    by_first = sorted(printed["trials"], key=lambda trial: trial["score"])
    rows = printed["finalists"]
    assert {row["trial"] for row in rows} == {trial["number"] for trial in by_first[:2]}
    assert [row["score"] for row in rows] == sorted(row["score"] for row in rows)
    assert printed["winner"] == rows[0]["trial"]
    for row in rows:
        assert row["protocol"]["seed"] != row["first_protocol"]["seed"]
        assert row["first_score"] == printed["trials"][row["trial"]]["score"] != row["score"]
    published = json.loads((found / "models/tiny/0001/metrics.json").read_text())
    assert (published["scores"]["metric/frechet"], published["protocol"]) == (rows[0]["score"], rows[0]["protocol"])
    best = json.loads((found / "models/tiny/best.json").read_text())
    assert (best["version"], best["protocol"]) == ("0001", rows[0]["protocol"])


def test_one_dataset_and_one_reference_a_protocol_serve_all_trials(found: Path) -> None:
    assert len(list(found.glob("datasets/*/card.json"))) == 1
    assert len(list(found.glob("datasets/*/statistics/*"))) == 1  # both protocols have as many samples


def test_tables_for_other_tools_hold_every_trial(found: Path) -> None:
    table = pq.read_table(found / "sweeps/tiny/results.parquet").to_pylist()
    trials = records(found / "sweeps/tiny")
    assert [(row["number"], row["score"], row[LR]) for row in table] == [
        (trial["number"], trial["score"], trial["params"][LR]) for trial in trials
    ]
    assert sum(row["final_score"] is not None for row in table) == 2


def test_a_finished_sweep_says_so_and_goes_on_for_more_trials(found: Path) -> None:
    more = [f"sweep.start_from=[{{{LR}: 1e-3}}]", "sweep.finalists.num=2"]
    before = records(found / "sweeps/tiny")
    again = sweep(found, *more, "sweep.trials=5")
    assert (again.was_finished, [asdict(trial) for trial in again.trials]) == (True, before)
    assert list(again.dataframe["images"]) == [1280] * 5
    with pytest.raises(GanrayError, match=r"sweep.seed: run 'tiny' was started with 0 and this asks for 1"):
        sweep(found, *more, "sweep.trials=5", "sweep.seed=1")
    grown = sweep(found, *more, "sweep.trials=6")
    assert (grown.was_finished, len(grown.trials), [asdict(trial) for trial in grown.trials[:5]]) == (False, 6, before)
    assert len(grown.dataframe) == 6


def test_a_report_of_a_real_sweep_has_its_finalists(found: Path) -> None:
    done = command_line("report", "tiny", "--storage", str(found), "--out", str(found / "tiny.html"), "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"out": str(found / "tiny.html")}), done.stderr
    page = (found / "tiny.html").read_text()
    assert page.count('<img src="data:image/png;base64,') == 2
    assert '<section id="learning-curves"' in page


def test_successive_halving_with_optuna_in_one_place(found: Path) -> None:
    asha = ["name=asha", "sweep.scheduler={kind: asha, min_images: 640, reduction: 2}", "sweep.searcher={kind: optuna, startup_trials: 2}"]
    watcher = Watcher()
    result = within(LIMIT_S, lambda: sweep(found, *asha, "sweep.trials=4", "sweep.max_concurrent=1", watcher=watcher))
    assert watcher.most_running == 1
    assert sorted(trial.status for trial in result.trials) == ["finished"] * 2 + ["stopped"] * 2
    assert sorted(trial.images for trial in result.trials) == [640, 640, 1280, 1280]
    stopped = next(trial for trial in result.trials if trial.status == "stopped")
    assert stopped.reason == "not among the best at 640 images"


def test_a_grid_of_trials_of_two_workers_with_a_broken_one_among_them(found: Path) -> None:
    space = "sweep.space={optimizer.generator.lr: {choice: [1e-3, 1.0]}, optimizer.discriminator.lr: {choice: [1e-3, 1.0]}}"
    more = ["name=grid", "sweep.searcher=grid", "sweep.workers=2", "sweep.trials=9"]
    more += ["optimizer.discriminator.beta2=0.0", "optimizer.generator.beta2=0.0"]  # and rates of 1.0: steps that nothing survives
    watcher = Watcher()
    result = within(LIMIT_S, lambda: sweep(found, space, *more, watcher=watcher))
    assert watcher.most_running == 1
    assert len(result.trials) == 4
    assert {trial.status for trial in result.trials[1:]} <= {"finished", "diverged"}
    assert result.trials[0].status == "finished"
    assert result.version


def test_a_population_clones_states_and_takes_new_rates(found: Path) -> None:
    folder, pbt = (
        found / "sweeps/pbt",
        [
            "name=pbt",
            "sweep.max_concurrent=1",
            "sweep.scheduler={kind: pbt, every: 640, quantile: 0.5, resample: 0}",
            "train.keep_checkpoints=9",
        ],
    )
    space = f"sweep.space={{{LR}: {{choice: [1e-6, 5e-4, 1e-3, 2e-3]}}, optimizer.discriminator.beta1: {{uniform: [0.0, 0.9]}}}}"
    points = f"sweep.start_from=[{{{LR}: 1e-6, optimizer.discriminator.beta1: 0.5}}, {{{LR}: 1e-3, optimizer.discriminator.beta1: 0.5}}]"
    result = within(LIMIT_S, lambda: sweep(found, space, points, *pbt))
    (copied,) = [trial for trial in result.trials if trial.lineage]
    (exploit,) = copied.lineage
    assert (copied.number, exploit["from"], exploit["images"]) == (0, 1, 640)
    donor, clone = state(folder, 1, exploit["checkpoint"]), state(folder, 0, "001-000000000640")
    assert (donor.pop("attempt"), clone.pop("attempt")) == (0, 1)
    assert_equal(clone, donor)
    assert clone["images_seen"] == 640
    assert checkpoints(folder, 0)[-1] == "001-000000001280"
    after = state(folder, 0, "001-000000001280")
    assert exploit["after"] == copied.params != exploit["before"]
    assert after["generator_optimizer"]["param_groups"][0]["lr"] == copied.params[LR] != 1e-6
    assert after["discriminator_optimizer"]["param_groups"][0]["betas"][0] == copied.params["optimizer.discriminator.beta1"]
    steps = [moments["step"] for moments in after["generator_optimizer"]["state"].values()]
    assert {int(step) for step in steps} == {20}  # of 64 images: ten of the donor's, ten of its own


def assert_equal(one: object, other: object) -> None:
    """Fail unless two states are the same, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list):
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    else:
        assert one == other


def test_collapsed_trials_end_early_and_a_sweep_of_nothing_else_says_so(found: Path) -> None:
    early = "no trial has a finite score: at 640 images samples are alike, and have been for 320 images"
    standing = [
        f"sweep.space={{{LR}: {{loguniform: [1e-9, 1e-8]}}}}",
        "divergence.patience=320",
        "evaluate.every=1280",
        "sweep.max_concurrent=1",
    ]
    with pytest.raises(GanrayError, match=f"sweep.space: {early}"):
        within(LIMIT_S, lambda: sweep(found, "name=collapsed", *standing))
    assert [(trial["status"], trial["images"]) for trial in records(found / "sweeps/collapsed")] == [("collapsed", 640)] * 2


def test_a_streamed_sweep_ends_too_and_a_limit_in_images_ends_it_early(found: Path) -> None:
    streamed = ["data.mode=streaming", "sweep.max_images=1280", "sweep.trials=3", "sweep.max_concurrent=1"]
    result = within(LIMIT_S, lambda: sweep(found, "name=streamed", *streamed))
    assert (result.ended, [trial.images for trial in result.trials], result.winner) == ("max_images", [1280], 0)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("sweep.workers=4", "sweep.workers: a trial of 4 workers with 1 CPU each cannot be placed: the cluster has 2 CPU on 1 node"),
        ("use_gpu=true", "sweep.workers: a trial of 1 worker with 1 GPU each cannot be placed: the cluster has 0 GPU"),
    ],
)
def test_a_sweep_that_can_place_no_trial_says_at_once_what_is_missing(tmp_path: Path, override: str, says: str) -> None:
    with pytest.raises(GanrayError) as raised:
        within(10, lambda: sweep(tmp_path / "none", override, "networks.ghost_batch=16"))
    assert says in str(raised.value)
    assert not (tmp_path / "none").exists()


def test_a_job_without_a_sweep_section_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GanrayError, match="sweep: the job has no such section"):
        ganray.run_sweep(small_job(tmp_path).model_copy(update={"sweep": None}))


@pytest.mark.parametrize("name", ["fashion-mnist-sweep", "fashion-mnist-pbt"])
def test_the_job_files_work_as_they_are(found: Path, name: str) -> None:
    few = ["data.source.split=test", "data.resolution=16", "networks.width=8", "train.precision=float32", f"storage={found}"]
    few += ["train.total_images=1280", "train.checkpoint_every=640", "train.log_every=320", "evaluate={every: 640, num_samples: 256}"]
    few += ["sweep.trials=2", "sweep.max_concurrent=1", "sweep.finalists={num: 1, num_samples: 256}", "sweep.on_collapse=warn"]
    few += [f"sweep.scheduler.{'every' if name.endswith('pbt') else 'min_images'}=640"]
    job = ganray.load_job(REPOSITORY / f"jobs/{name}.yaml", few)
    result = within(LIMIT_S, lambda: ganray.run_sweep(job, reporter=Watcher()))
    assert (result.ended, max(trial.images for trial in result.trials)) == ("done", 1280)
    assert result.version.startswith(str(found / "models/fashion-mnist/"))
