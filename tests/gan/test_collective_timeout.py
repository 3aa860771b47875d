"""Collectives have a time limit, after which a rank says for which others it waited, and for what."""

from datetime import timedelta
from pathlib import Path

import pytest
import torch.distributed as dist

from ganray.errors import ClusterError
from ganray.gan import distributed
from ganray.gan.distributed import broadcast, waiting_for
from ganray.gan.step import AdversarialStep
from tests.helpers.gan_runs import RECIPE, batch_at, new_state, on_ranks

LIMIT_S = 1.0


def wait(*, rank: int, world_size: int, late: int, what: str) -> tuple[str, bool] | None:
    """Return the error of a rank that waits for one which is late, in a collective or a step, and whether another try may mend it."""
    state = new_state()
    step = AdversarialStep(state, RECIPE)
    batch = batch_at(0, rank=rank, world_size=world_size)
    store = dist.distributed_c10d._get_default_store()
    dist.barrier()
    dist.distributed_c10d._set_pg_timeout(timedelta(seconds=LIMIT_S))
    distributed.SETTLE_S = 0.5
    if rank == late:
        store.wait(["the others have an answer"], timedelta(seconds=60))
        return None
    wait_for = {"step": lambda: step(batch), "broadcast": lambda: broadcast("value")}
    try:
        wait_for[what]()
    except ClusterError as error:
        return f"{error.field}: {error.problem}", error.is_transient
    finally:
        store.set("the others have an answer", "")
    return None


@pytest.mark.parametrize(
    ("late", "what", "problem"),
    [
        (0, "broadcast", "rank 1 of 2 workers waited in vain for rank 0 in a broadcast"),
        (1, "step", "rank 0 of 2 workers waited in vain for rank 1 in the gradients of a step"),
    ],
)
def test_a_rank_names_those_that_it_waited_for(tmp_path: Path, late: int, what: str, problem: str) -> None:
    found = on_ranks(2, tmp_path, wait, late=late, what=what)
    assert found[1 - late] == (f"train.collective_timeout: {problem}", True)
    assert found[late] is None


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="out of memory"), waiting_for("a step"):
        raise RuntimeError("out of memory")
