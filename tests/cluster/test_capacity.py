"""How many workers nodes hold, and the desk where they ask for legs."""

import pytest

from ganray.cluster.capacity import count_workers, worker_resources
from ganray.config import check_job
from ganray.sweep.desk import LEAVE, Desk

CORE = {"CPU": 1.0}


@pytest.mark.parametrize(
    ("nodes", "worker", "places"),
    [
        ([{"CPU": 2.0}, {"CPU": 1.0}], CORE, 3),
        ([{"CPU": 2.0}, {"CPU": 1.0}], {"CPU": 2.0}, 1),
        ([{"CPU": 8.0, "GPU": 1.0}], {"CPU": 1.0, "GPU": 0.5}, 2),
        ([{"CPU": 8.0, "GPU": 2.0}], {"CPU": 1.0, "GPU": 0.6}, 2),  # what is left of two GPUs is not a third
        ([{"CPU": 1.0, "GPU": 4.0}, {"CPU": 64.0}], {"CPU": 1.0, "GPU": 1.0}, 1),
        ([{"CPU": 0.3}], {"CPU": 0.1}, 3),
        ([], CORE, 0),
    ],
)
def test_a_worker_needs_all_it_reserves_on_one_node(nodes: list[dict], worker: dict, places: int) -> None:
    assert count_workers(nodes, worker) == places


def test_gpus_are_needed_where_they_are_used() -> None:
    job = {"resources": {"gpus_per_worker": 0.5}}
    assert worker_resources(check_job({**job, "use_gpu": True})) == {"CPU": 1.0, "GPU": 0.5}
    assert worker_resources(check_job(job)) == {"CPU": 1.0}


@pytest.fixture
def desk() -> Desk:
    """A desk in this process."""
    return Desk.__ray_metadata__.modified_class()


def test_a_leg_is_handed_out_once_and_its_slot_wishes_for_nothing_meanwhile(desk: Desk) -> None:
    assert desk.ask("a", True) is None
    assert desk.collect().wanting == ["a"]
    assert desk.ask("a", False) is None
    desk.assign("a", {"trial": 3})
    assert desk.collect().wanting == []
    assert desk.ask("a", False)["trial"] == 3
    desk.hand_in("a", {"trial": 3})
    assert desk.collect().outcomes == [{"trial": 3}]


def test_workers_that_start_anew_drop_the_leg_of_those_that_died(desk: Desk) -> None:
    desk.assign("a", {"trial": 3})
    assert desk.ask("a", False)["trial"] == 3
    assert desk.ask("a", True) is None
    mail = desk.collect()
    assert (mail.dropped, mail.wanting) == ([3], ["a"])


def test_a_leg_that_nobody_has_begun_is_not_dropped(desk: Desk) -> None:
    desk.assign("a", {"trial": 3})
    assert desk.ask("a", True)["trial"] == 3
    assert desk.collect().dropped == []


def test_a_slot_that_is_gone_gives_its_leg_back(desk: Desk) -> None:
    desk.ask("b", True)
    desk.assign("a", {"trial": 3})
    assert (desk.give_up("a"), desk.give_up("b"), desk.give_up("c")) == (3, None, None)
    assert desk.collect().wanting == []
    desk.assign("b", LEAVE)
    assert desk.ask("b", False) == LEAVE
    assert desk.give_up("b") is None
