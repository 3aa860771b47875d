"""A connection to Ray: what the cluster tells of itself stays out of a command's output."""

import pytest
from ray._private.worker import print_to_stdstream

from ganray.cluster.session import without_ray_messages


def test_messages_of_a_cluster_are_not_among_results(capsys: pytest.CaptureFixture[str]) -> None:
    with without_ray_messages():
        print_to_stdstream({"lines": ["a node died"], "pid": "raylet", "is_err": False}, ignore_prefix=False)
    assert capsys.readouterr() == ("", "")
    print_to_stdstream({"lines": ["another died"], "pid": "raylet", "is_err": False}, ignore_prefix=False)
    assert "another died" in capsys.readouterr().out
