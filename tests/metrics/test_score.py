"""Protocols: what makes scores comparable, and that a stored one is dumped as it was stored."""

import math

import pytest
from pydantic import ValidationError

from ganray.metrics.score import Protocol

STORED = {"metric": "metric/kid", "dataset": "d0", "extractor": "e0", "num_samples": 50_000, "resolution": [32, 32]}


def test_a_stored_protocol_is_dumped_as_it_was_stored() -> None:
    assert Protocol.model_validate(STORED).dump() == STORED
    assert Protocol.model_validate({}).dump() == {}


@pytest.mark.parametrize("change", [{"metric": "metric/frechet"}, {"extractor": "e1"}, {"seed": 1}, {"resolution": [32, 33]}, {"more": 1}])
def test_protocols_are_equal_if_every_field_is(change: dict[str, object]) -> None:
    assert Protocol.model_validate(STORED) == Protocol.model_validate({**STORED, "mode": "min"})
    assert Protocol.model_validate(STORED) != Protocol.model_validate({**STORED, **change})


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValidationError):
        Protocol.model_validate({**STORED, "mode": "least"})


def test_finite_scores_beat_none_and_the_mode_says_which_is_better() -> None:
    least, most = Protocol(), Protocol(mode="max")
    assert least.is_better(1.0, 2.0)
    assert most.is_better(2.0, 1.0)
    for protocol in (least, most):
        assert not protocol.is_better(1.0, 1.0)
        assert protocol.is_better(1.0, None)
        assert protocol.is_better(1.0, math.nan)
        assert not protocol.is_better(math.nan, None)
        assert not protocol.is_better(math.inf, None)
