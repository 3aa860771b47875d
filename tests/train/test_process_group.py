"""The process group of a run's workers, on a Ray of one machine."""

from pathlib import Path

import pytest

from ganray.train.controller.process_group import loopback_interface
from tests.helpers.runs import descendants, listening, train_workers, training, wait_until


@pytest.mark.e2e
def test_what_trains_on_this_machine_alone_listens_on_loopback_alone(tmp_path: Path) -> None:
    with training(tmp_path, "workers=2", "train.total_images=1000000", "evaluate=none") as driver:
        wait_until((tmp_path / "runs/tiny/checkpoints").exists, driver)  # they train
        assert len(workers := train_workers(driver.pid)) == 2
        assert listening(workers)
        assert all(address.is_loopback for address in listening([driver.pid, *descendants(driver.pid)]))


def test_the_loopback_interface_is_one_of_this_machine() -> None:
    assert (Path("/sys/class/net") / loopback_interface()).exists()
