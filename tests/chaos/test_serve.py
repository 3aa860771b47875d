"""The short form of `python -m tests.chaos.serve`, and what its report would notice."""

from pathlib import Path

import pytest

from tests.chaos.hostile import REQUESTS, is_error
from tests.chaos.serve import VERSIONS, Clients, Report, serve


@pytest.mark.slow
def test_hostile_clients_neither_stop_a_server_nor_make_it_grow(tmp_path: Path) -> None:
    report = serve(tmp_path, seconds=10.0, idle=500)
    assert report.problems == []
    assert report.statuses[200] > 100
    assert report.hostile.total() >= len(REQUESTS)


def test_wrong_samples_and_an_old_version_after_the_new_one_are_noticed() -> None:
    report = Report()
    array = b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }".ljust(127) + b"\n"
    clients = Clients("", {("0001", 0): b"a", ("0002", 0): b"b"}, report)
    clients._check("0002", 0, array + b"b", was_moved=False)
    clients._check("0001", 0, array + b"a", was_moved=False)
    clients._check("0002", 0, array + b"b", was_moved=False)
    assert report.wrong == []
    assert clients.is_moved
    clients._check("0002", 0, array + b"b", was_moved=True)
    clients._check("0001", 0, array + b"b", was_moved=True)
    clients._check("0003", 0, array + b"a", was_moved=True)
    assert [line.split(",")[0] for line in report.wrong] == [
        "version 0002 after 0001 was served",
        "other samples than those of version '0001'",
        "other samples than those of version '0003'",
    ]


def test_failed_requests_growth_and_a_version_that_is_not_served_are_problems() -> None:
    report = Report()
    report.statuses.update({200: 5, 503: 2, "TimeoutError": 1})
    report.versions[VERSIONS[1]] = 5
    flat = {"memory": 1e6, "handles": 90.0, "threads": 9.0}
    report.usage = {"proxy": {"before": flat, "after": {**flat, "handles": 600.0}}, "replica": {"before": flat, "after": flat}}
    assert report.problems == [
        "2 requests ended with 503",
        "1 requests ended with TimeoutError",
        "version 0001 was never served",
        "proxy: handles grew by 510",
    ]


def test_an_error_is_told_from_other_answers() -> None:
    assert is_error(b'{"field": "num", "problem": "x", "remedy": "y"}')
    assert not any(is_error(content) for content in (b"", b"Internal Server Error", b"[1]", b'{"detail": "x"}', b'{"field": 1}'))
