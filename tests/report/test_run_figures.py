"""Which charts a run's page has: a score of 0 is one to look at, a loss of 0 throughout is of what a job does not use."""

from ganray.report.run_figures import Panel, panel_chart, score_charts

RECORDS = [{"images_seen": seen, "metric/recall": 0.0, "metric/frechet": 9.0, "loss/used": 1.0, "loss/unused": 0.0} for seen in (1, 2)]


def test_a_score_that_is_0_throughout_has_a_chart() -> None:
    assert [metric for metric, _ in score_charts({"run": RECORDS})] == ["metric/frechet", "metric/recall"]


def test_a_metric_that_is_0_throughout_is_not_drawn_where_it_is_of_training() -> None:
    figure = panel_chart(Panel("losses", {"used": "loss/used", "unused": "loss/unused"}), RECORDS, [])
    assert figure is not None
    assert [trace.name for trace in figure.data] == ["used"]
    assert panel_chart(Panel("losses", {"unused": "loss/unused"}), RECORDS, []) is None
