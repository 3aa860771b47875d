"""Capacity: how many workers fit on nodes, and what a local machine is too small for."""

import pytest

from ganray.cluster.capacity import check_local_resources, count_workers, worker_resources
from ganray.config import check_job
from ganray.errors import ConfigError

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


def test_a_machine_that_is_too_small_names_the_field_and_what_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 2.0})
    check_local_resources(check_job({"workers": 2}))
    with pytest.raises(ConfigError, match="4 workers need 4 CPUs and this machine has 2; use workers=2") as error:
        check_local_resources(check_job({"workers": 4, "train": {"batch_size": 128}}))
    assert error.value.field == "workers"
    with pytest.raises(ConfigError, match="1 worker needs 1 GPU and this machine has 0") as error:
        check_local_resources(check_job({"use_gpu": True}))
    assert error.value.field == "use_gpu"
