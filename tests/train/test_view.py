"""What a program that calls ganray shows without a terminal: stages, how far they are, and the newest metrics."""

import pytest

from ganray.config import check_job
from ganray.train import view
from ganray.train.view import TrainingView, line_reporter

JOB = check_job({"train": {"total_images": 1000}})


def test_a_program_sees_stages_and_how_far_they_are(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = line_reporter(TrainingView(JOB))
    reporter.stage("preparing data")
    reporter.advance(1, 4)
    monkeypatch.setattr(view, "ADVANCE_EVERY_S", 0.0)
    reporter.advance(2, 4)
    reporter.stage("starting workers")
    reporter.update({"images_seen": 640, "time/images_per_s": 100.0, "time/trained_s": 6.4})
    output = capsys.readouterr()
    assert output.err.splitlines() == [
        "preparing data",
        "preparing data  50%",
        "starting workers",
        "640/1,000 images  100/s  0:03 left",
    ]
    assert output.out == ""


def test_what_has_not_changed_is_not_shown_again(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = line_reporter(TrainingView(JOB))
    for _ in range(3):
        reporter.update({"images_seen": 64})
    assert capsys.readouterr().err.splitlines() == ["64/1,000 images"]
