"""What only a GPU can show; skipped without one."""

import dataclasses

import pytest
import torch

from ganray.gan.batch import Batch
from ganray.gan.layouts import from_pixels
from ganray.gan.prior import Prior
from ganray.gan.state import calibrated_ema, create_state
from ganray.gan.step import AdversarialStep
from tests.helpers.cases import EVERYTHING
from tests.helpers.gan_runs import BATCH, NETWORKS, SHAPE, batch_at

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_step_trains_on_a_gpu_without_waiting_for_it(precision: torch.dtype) -> None:
    device = torch.device("cuda")
    state = create_state(NETWORKS, SHAPE, seed=0, device=device)
    step = AdversarialStep(state, dataclasses.replace(EVERYTHING, precision=precision))
    pixels = torch.randint(0, 256, (BATCH, *SHAPE), dtype=torch.uint8).to(device)
    drawn = batch_at(0, recipe=EVERYTHING)
    latents, uniforms = drawn.latents.to(device), drawn.uniforms.to(device)
    for _ in range(6):  # all that happens at some steps only
        step(Batch(from_pixels(pixels), latents, None, uniforms))
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(6):
            stats = step(Batch(from_pixels(pixels), latents, None, uniforms))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert stats.isfinite().all()
    samples = calibrated_ema(state, NETWORKS.ghost_batch, Prior(NETWORKS.latent_dim), seed=0)(latents)
    assert samples.shape == (BATCH, *SHAPE)
    assert samples.isfinite().all()
