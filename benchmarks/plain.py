"""The common DCGAN tutorial's recipe, the baseline: eager, float32, NCHW, default Adam, BCE, two discriminator passes for fakes."""

import torch
from torch import Tensor, nn

LATENT_DIM = 64


def generator(width: int) -> nn.Sequential:
    """Return the tutorial's generator for 1 x 32 x 32 images, of the same layers as ganray's."""
    return nn.Sequential(
        nn.ConvTranspose2d(LATENT_DIM, 4 * width, 4, 1, 0, bias=False),
        *(nn.BatchNorm2d(4 * width), nn.ReLU(True)),
        nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False),
        *(nn.BatchNorm2d(2 * width), nn.ReLU(True)),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
        *(nn.BatchNorm2d(width), nn.ReLU(True)),
        nn.ConvTranspose2d(width, 1, 4, 2, 1, bias=False),
        nn.Tanh(),
    ).apply(initialise)


def discriminator(width: int) -> nn.Sequential:
    """Return the tutorial's discriminator for 1 x 32 x 32 images, of the same layers as ganray's."""
    return nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
        *(nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2, inplace=True)),
        nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False),
        *(nn.BatchNorm2d(4 * width), nn.LeakyReLU(0.2, inplace=True)),
        nn.Conv2d(4 * width, 1, 4, 1, 0, bias=False),
    ).apply(initialise)


def initialise(module: nn.Module) -> None:
    """Initialise weights as the DCGAN paper does."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class PlainTraining:
    """The tutorial's loop body over its two networks."""

    def __init__(self, width: int, *, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.generator, self.discriminator = generator(width), discriminator(width)
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.criterion = nn.BCEWithLogitsLoss()

    def step(self, real_images: Tensor) -> tuple[float, float]:
        """Train on real images [N, 1, 32, 32] in [-1, 1] and return both losses, which the tutorial prints."""
        number = len(real_images)
        self.discriminator.zero_grad()
        on_reals = self.criterion(self.discriminator(real_images).view(-1), torch.ones(number))
        on_reals.backward()
        fake_images = self.generator(torch.randn(number, LATENT_DIM, 1, 1))
        on_fakes = self.criterion(self.discriminator(fake_images.detach()).view(-1), torch.zeros(number))
        on_fakes.backward()
        self.discriminator_optimizer.step()
        self.generator.zero_grad()
        on_generator = self.criterion(self.discriminator(fake_images).view(-1), torch.ones(number))
        on_generator.backward()
        self.generator_optimizer.step()
        return (on_reals + on_fakes).item(), on_generator.item()
