"""What only a GPU can show; skipped without one."""

import pytest
import torch

from ganray.gan.draws import Draws
from ganray.gan.sampling import from_pixels
from ganray.gan.state import calibrated_average, create_state
from ganray.gan.step import AdversarialStep, Recipe
from tests.unit.gan_runs import BATCH, NETWORKS, OPTIMIZER, SHAPE

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_step_trains_on_a_gpu_without_waiting_for_it(precision: torch.dtype) -> None:
    device = torch.device("cuda")
    state = create_state(NETWORKS, OPTIMIZER, SHAPE, seed=0, device=device)
    step = AdversarialStep(state, Recipe(BATCH, 0.1, 1000, precision))
    pixels = torch.randint(0, 256, (BATCH, *SHAPE), dtype=torch.uint8).to(device)
    latents = Draws(0, "latents").normals(0, BATCH, NETWORKS.latent_dim).to(device)
    step(from_pixels(pixels), latents)
    torch.cuda.set_sync_debug_mode("error")
    try:
        stats = step(from_pixels(pixels), latents)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert stats.isfinite().all()
    samples = calibrated_average(state, NETWORKS, seed=0)(latents)
    assert samples.shape == (BATCH, *SHAPE)
    assert samples.isfinite().all()
