"""`ganray runs`: what runs a storage has, for people and for scripts."""

import contextlib
import json
import re
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganray.cli import group
from ganray.cli.watch import watch
from ganray.config import check_job
from ganray.errors import ConfigError
from ganray.runs.checkpoint import STATE, serialise
from ganray.runs.compare import common_evaluation
from ganray.runs.event_log import EventKind, RunEvent
from ganray.runs.lock import driver_lock
from ganray.runs.metrics_log import part_name
from ganray.runs.run import Run
from ganray.runs.status import Progress
from ganray.storage import open_store
from tests.helpers.records import PROTOCOL, best_at
from tests.runs.test_run import JOB, dataset


@pytest.fixture
def storage(tmp_path: Path) -> str:
    """A storage with one run, half trained and scored."""
    store = open_store(tmp_path)
    run = Run(store, "runs/r")
    run.record(JOB, dataset(store))
    write_history(run, score=2.5)
    return str(tmp_path)


def write_history(run: Run, *, score: float) -> None:
    """Give a run a checkpoint that was scored, metrics until then, and events."""
    start = {"attempt": 0, "images_seen": 100, "kind": "train", "time/trained_s": 1.0, "time/images_per_s": 100.0}
    scored = {"attempt": 0, "images_seen": 500, "kind": "score", "metric/frechet": score, "protocol": PROTOCOL.dump()}
    run.write_metrics(part_name(0, 0), [start, {**start, "images_seen": 500, "time/trained_s": 3.0}, scored])
    run.checkpoints.save({STATE: serialise({})}, images_seen=500, attempt=0, progress=Progress(best=best_at(500, score)))
    for kind, details in ((EventKind.START, {"driver": "here:1"}), (EventKind.RECOVERY, {"seconds": 12.5, "images_again": 64})):
        run.append_event(RunEvent(kind, 500, 0, details))


def output_of(*arguments: str) -> str:
    done = CliRunner().invoke(group, ["runs", *arguments], catch_exceptions=False, standalone_mode=False)
    return done.stdout


def test_list_shows_status_progress_and_score(storage: str) -> None:
    header, line = output_of("list", "--storage", storage).splitlines()
    assert header.split() == ["run", "status", "images", "best", "last", "images/s", "updated", "driven", "by"]
    assert re.fullmatch(r"r    unfinished  500/1,000  frechet 2.5  2.5   100       \d+ s ago", line)
    (run,) = json.loads(output_of("list", "--storage", storage, "--json"))
    assert (run["name"], run["status"], run["images_seen"], run["driver"]) == ("r", "unfinished", 500, None)
    assert (run["score"], run["last_score"], run["images_per_s"]) == (2.5, 2.5, 100.0)


def test_list_shows_how_far_a_run_is_that_trains(storage: str) -> None:
    run = Run(open_store(storage), "runs/r")
    run.write_metrics(part_name(0, 500), [{"kind": "train", "images_seen": 700, "attempt": 0, "time/images_per_s": 70.0}])
    for is_driven, images_seen in ((True, 700), (False, 500)):
        with driver_lock(run.store, "r") if is_driven else contextlib.nullcontext():
            (found,) = json.loads(output_of("list", "--storage", storage, "--json"))
        assert (found["images_seen"], found["images_per_s"], found["last_score"]) == (images_seen, 70.0, 2.5)


def test_show_describes_one_run(storage: str) -> None:
    assert "500 of 1,000" in output_of("show", "r", "--storage", storage)
    facts = json.loads(output_of("show", "r", "--storage", storage, "--json"))
    assert facts["status"] == "unfinished"
    assert [event["event"] for event in facts["events"]] == ["start", "recovery"]
    with pytest.raises(ConfigError, match="there is no run 'x'"):
        output_of("show", "x", "--storage", storage)


def test_show_tells_what_happened(storage: str) -> None:
    shown = output_of("show", "r", "--storage", storage)
    assert "recoveries   1, 12 s without training, 64 images trained again" in shown
    header, start, recovery = shown.splitlines()[-3:]
    assert header.split() == ["time", "event", "images", "what"]
    assert start.endswith("start     500     driver here:1")
    assert recovery.endswith("recovery  500     seconds 12.5  images_again 64")
    assert "driver here:1" not in output_of("show", "r", "--storage", storage, "--events", "1")


def test_compare_puts_runs_side_by_side(storage: str) -> None:
    store = open_store(storage)
    other = Run(store, "runs/other")
    other.record(check_job({**JOB.model_dump(mode="json"), "seed": 7, "name": "other"}), dataset(store))
    write_history(other, score=1.25)
    rows = {line.split("  ")[0]: line.split()[-2:] for line in output_of("compare", "r", "other", "--storage", storage).splitlines()}
    assert rows["status"] == ["unfinished", "unfinished"]
    assert rows["frechet at 500"] == ["2.5", "1.25"]
    assert rows["images/s"] == ["200", "200"]
    assert rows["seed"] == [str(JOB.seed), "7"]
    assert not {"name", "storage", "train.batch_size"} & rows.keys()
    first, second = json.loads(output_of("compare", "r", "other", "--storage", storage, "--json"))
    assert first["scores_at"] == {"images_seen": 500, "metric/frechet": 2.5}
    assert (second["job"], second["recoveries"], second["images_again"]) == ({"seed": 7}, 1, 64)


def test_scores_of_other_protocols_are_not_compared() -> None:
    def log(**changes: object) -> list[dict[str, object]]:
        return [{"kind": "score", "images_seen": 500, "metric/frechet": 1.0, "protocol": {**PROTOCOL.dump(), **changes}}]

    assert common_evaluation([log(), log()]) == 500
    assert common_evaluation([log(), log(seed=1)]) is None
    assert common_evaluation([log(), []]) is None


def test_watch_shows_what_there_is_and_ends_without_a_driver(storage: str) -> None:
    assert output_of("watch", "r", "--storage", storage) == "run r is unfinished, and nobody drives it: 500 of 1,000 images\n"
    lines = [json.loads(line) for line in output_of("watch", "r", "--storage", storage, "--json").splitlines()]
    assert [line["kind"] for line in lines] == ["train", "train", "score", "event", "event"]


def test_watch_follows_until_the_driver_ends(storage: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(open_store(storage), "runs/r")
    with driver_lock(run.store, "r"):
        following = threading.Thread(target=watch, args=(run.storage, "r"), kwargs={"as_json": True, "poll_s": 0.02})
        following.start()
        run.write_metrics(part_name(0, 500), [{"kind": "train", "images_seen": 600, "attempt": 0}])
        run.append_event(RunEvent(EventKind.END, 600, 0, {"reason": "interrupted"}))
        time.sleep(0.2)
        assert following.is_alive()
    following.join(20)
    assert not following.is_alive()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["images_seen"] for line in lines if line["kind"] == "train"] == [100, 500, 600]
    assert [line["event"] for line in lines if line["kind"] == "event"] == ["start", "recovery", "end"]
