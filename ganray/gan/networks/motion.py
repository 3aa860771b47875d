"""Content and motion apart (MoCoGAN, Tulyakov et al. 2018), on DCGAN's networks with frames folded into the batch or the channels.

The discriminator adds up two judgements: of a random pair of frames with the time between them (StyleGAN-V, Skorokhodov et al. 2022,
section 3.2), which makes frames sharp, and of all frames as the channels of one image, which sees motion.
"""

import torch
from torch import Tensor, nn

from ganray.config import DcganNetworks, MotionNetworks
from ganray.gan.networks.dcgan import DcganDiscriminator, DcganGenerator
from ganray.gan.networks.labels import with_labels


class MotionGenerator(nn.Module):
    """Maps latents [N, latent_dim], and labels [N] if conditional, to clips [N, T, C, H, W] in [-1, 1]."""

    def __init__(self, config: MotionNetworks, shape: tuple[int, int, int, int], num_classes: int) -> None:
        super().__init__()
        self.num_frames, *frame = shape
        self.motion_dim = config.motion_dim
        content = config.latent_dim - config.motion_dim
        self.embed = nn.Embedding(num_classes, config.latent_dim) if num_classes else None
        self.steps = nn.Parameter(torch.randn(self.num_frames, config.motion_dim))  # what the recurrent network reads at each frame
        self.recurrent = nn.GRUCell(2 * config.motion_dim, 2 * config.motion_dim)
        self.begin = nn.Linear(config.motion_dim, 2 * config.motion_dim)
        inputs = content + 2 * config.motion_dim + (config.latent_dim if num_classes else 0)
        self.frames = DcganGenerator(_of_frames(config, inputs, self.num_frames), (frame[0], frame[1], frame[2]), 0)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return clips [N, T, C, H, W] in [-1, 1]."""
        motion, content = latents[:, : self.motion_dim], with_labels(latents[:, self.motion_dim :], labels, self.embed)
        hidden, codes = torch.tanh(self.begin(motion)), []
        for step in self.steps.unbind():
            hidden = self.recurrent(torch.cat([motion, step.expand_as(motion)], dim=1), hidden)
            codes.append(torch.cat([hidden, content], dim=1))
        folded = torch.stack(codes, dim=1).flatten(0, 1)  # [N T, ...]
        clips: Tensor = self.frames(folded).unflatten(0, (len(latents), self.num_frames))
        return clips


class MotionDiscriminator(nn.Module):
    """Maps clips [N, T, C, H, W] in [-1, 1], and labels [N] if conditional, to logits [N] of being real.

    `uniforms` [N, 2] in (0, 1) draw the pair of frames; without them it is the first and the last.
    """

    def __init__(self, config: MotionNetworks, shape: tuple[int, int, int, int], num_classes: int) -> None:
        super().__init__()
        self.num_frames, channels, height, width = shape
        self.sees_pairs = config.frame_pairs
        networks = _of_frames(config, config.latent_dim, 1)
        self.pair = DcganDiscriminator(networks, (2 * channels + 1 if config.frame_pairs else channels, height, width), num_classes)
        clip = (self.num_frames * channels, height, width)
        self.clip = DcganDiscriminator(networks, clip, num_classes) if config.clip_critic else None

    def forward(self, clips: Tensor, labels: Tensor | None = None, uniforms: Tensor | None = None) -> Tensor:
        """Return logits [N]."""
        logits: Tensor = self.pair(self._frames(clips, uniforms), labels)
        return logits if self.clip is None else logits + self.clip(clips.flatten(1, 2), labels)

    def _frames(self, clips: Tensor, uniforms: Tensor | None) -> Tensor:
        """Return two frames of each clip and, as one more channel, the time between them, 0 to 1; or only the first of the two."""
        count = len(clips)
        first, distance = draw_pair(uniforms, count, self.num_frames, clips.device)
        rows = torch.arange(count, device=clips.device)
        one = clips[rows, first]
        if not self.sees_pairs:
            return one
        time = (distance.to(clips.dtype) / self.num_frames).view(-1, 1, 1, 1).expand(-1, 1, *clips.shape[3:])
        return torch.cat([one, clips[rows, first + distance], time], dim=1)


def draw_pair(uniforms: Tensor | None, count: int, num_frames: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the number of a clip's first frame and the distance of its second, [N] each: every distance and then place as likely."""
    if uniforms is None:
        return torch.zeros(count, dtype=torch.long, device=device), torch.full((count,), num_frames - 1, device=device)
    distance = (uniforms[:, 0] * (num_frames - 1)).long().clamp(0, num_frames - 2) + 1
    first = torch.minimum((uniforms[:, 1] * (num_frames - distance)).long(), num_frames - distance - 1)
    return first, distance


def _of_frames(config: MotionNetworks, latent_dim: int, frames_a_clip: int) -> DcganNetworks:
    """Return the section of the networks of frames: a ghost batch is of whole clips."""
    return DcganNetworks(
        width=config.width,
        max_width=config.max_width,
        latent_dim=latent_dim,
        ghost_batch=config.ghost_batch * frames_a_clip,
        discriminator_norm="none",
    )
