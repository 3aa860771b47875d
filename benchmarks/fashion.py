"""Fashion-MNIST for benchmarks that train without Ray: images in memory, and metrics in the shipped extractor's features."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from ganray.config import FashionMnistSource, Job
from ganray.config.schedules import decide_schedules
from ganray.data.loading.order import rows
from ganray.data.sources.fashion_mnist import SIDE, find_folder, read_idx
from ganray.evaluation.extractor_weights import shipped_weights
from ganray.gan.augment import mirror
from ganray.gan.batch import Batch, draw_inputs, num_uniforms
from ganray.gan.layouts import Layout, PixelLayout
from ganray.gan.prior import Prior
from ganray.gan.sampling import num_chunks, sample_chunk
from ganray.gan.state import calibrated_ema, create_state
from ganray.gan.step import AdversarialStep, Recipe, recipe_of
from ganray.metrics.feature_extractor import load_extractor
from ganray.metrics.frechet import Moments
from ganray.modalities.image import Target, resize
from ganray.runs.resolve import cpu_has_bfloat16

NUM_SAMPLES = 10_000
NUM_CLASSES = 10
LabelledImages = tuple[Tensor, Tensor]  # uint8 [N, C, H, W] and labels int64 [N]


def load_images(split: str, *, side: int = 32) -> LabelledImages:
    """Return the images of a split, "train" or "test", as a job of that resolution prepares them, and their classes."""
    table = read_idx(find_folder(FashionMnistSource()), split)
    pixels = np.frombuffer(b"".join(table["image"].to_pylist()), np.uint8).reshape(-1, SIDE, SIDE)
    resized = np.stack([resize(image, Target((1, side, side), "lanczos")) for image in pixels])
    return torch.from_numpy(resized), torch.from_numpy(np.asarray(table["label"], np.int64))


@torch.no_grad()
def moments(pixels: Tensor) -> Moments:
    """Return the moments of images' features, by the shipped classifier."""
    network = load_extractor(shipped_weights("fashion-mnist"))
    return Moments.of(torch.cat([network.features(chunk) for chunk in pixels.split(500)]))


class Ganray:
    """The training loop of a run with one worker, without Ray, on any labelled samples in memory; images, unless a layout is given."""

    name = "ganray"

    def __init__(self, data: LabelledImages, job: Job, layout: Layout | None = None) -> None:
        (self.pixels, self.labels), self.job = data, job
        self.layout = layout or PixelLayout(job.data.shape)
        shares = (self.labels.bincount().double() / len(self.labels)).tolist() if job.networks.conditional else []
        self.prior = Prior(job.networks.latent_dim, tuple(shares))
        self.state = create_state(
            job.networks,
            self.layout.shape,
            seed=job.seed,
            device=torch.device("cpu"),
            num_classes=self.prior.num_classes,
            spectral_norm=job.penalties.spectral_norm,
        )
        self.training = AdversarialStep(self.state, self._recipe(job.train.total_images))

    def set_progress(self, done: float) -> None:
        """Extrapolate the run's length in images from the rate so far, so that schedules end with it."""
        self.training.recipe = self._recipe(max(round(self.state.images_seen / done), 1))

    def _recipe(self, total_images: int) -> Recipe:
        job = Job.model_validate(decide_schedules(self.job.model_dump(mode="json"), total_images))
        return recipe_of(job, torch.bfloat16 if job.train.precision != "float32" and cpu_has_bfloat16() else torch.float32)

    def step(self) -> None:
        """Train on the next batch."""
        self.measured_step()

    def measured_step(self) -> Tensor:
        """Train on the next batch, and return the step's statistics: see `stack_stats`."""
        job, seen = self.job, self.state.images_seen
        batch = job.train.batch_size
        chosen = torch.from_numpy(rows(seen, batch, count=len(self.pixels), seed=job.seed, attempt=0))
        size = num_uniforms(job.augment, job.penalties, job.networks)
        latents, uniforms = draw_inputs(job.seed, 0, seen, batch, latent_dim=job.networks.latent_dim, uniforms=size)
        labels = self.labels[chosen] if job.networks.conditional else None
        pixels = self.pixels[chosen]
        if job.augment.mirror:
            pixels = mirror(pixels, seed=job.seed, attempt=0, start=seen)
        return self.training(Batch(self.layout.from_samples(pixels), latents, labels, uniforms))

    def samples(self, *, label: int | None = None, number: int = NUM_SAMPLES) -> Tensor:
        """Return samples [number, ...] as they would be stored, of one class with `label`."""
        generator = calibrated_ema(self.state, self.job.networks.ghost_batch, self.prior, seed=self.job.seed)
        sample = partial(sample_chunk, generator, self.prior, self.layout, seed=0, label=label)
        return torch.cat([sample(chunk=chunk) for chunk in range(num_chunks(number))])[:number]
