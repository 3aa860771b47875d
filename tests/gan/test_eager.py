"""What is not compiled needs no compiler, whose import takes seconds of each process; what is compiled still is."""

import subprocess
import sys

import pytest
import torch

from ganray.gan.eager import EagerAdam

TRAIN = """
import sys
import torch
from torch import distributed
from ganray.gan.eager import EagerAdam
from ganray.gan.distributed import distribute

distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
distributed.get_world_size = lambda *_: 2  # so that it is wrapped
network = torch.nn.Linear(2, 2)
adam = EagerAdam(network.parameters(), fused=True)
for _ in range(2):
    distribute(network)(torch.ones(1, 2)).sum().backward()
    adam.step()
    adam.zero_grad()
adam.load_state_dict(adam.state_dict())
print("torch._dynamo" in sys.modules)
"""


def test_a_process_that_compiles_nothing_does_not_import_the_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("fused", [True, False])
def test_adam_takes_the_steps_of_torch_s_own(fused: bool) -> None:
    weights = [torch.nn.Parameter(torch.linspace(-1, 1, 7)) for _ in range(2)]
    kinds = (EagerAdam, torch.optim.Adam)
    ours, theirs = (kind([weight], lr=0.1, betas=(0.0, 0.99), fused=fused) for kind, weight in zip(kinds, weights, strict=True))
    for step in range(5):
        for adam, weight in zip((ours, theirs), weights, strict=True):
            adam.zero_grad()
            (weight.sin() * (step + 1)).sum().backward()
            adam.step()
    assert torch.equal(*weights)
    ours.load_state_dict(theirs.state_dict())
    assert torch.equal(ours.state[weights[0]]["exp_avg"], theirs.state[weights[1]]["exp_avg"])
