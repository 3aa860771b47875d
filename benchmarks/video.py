"""Moving garments: are directions and speeds as frequent as in the data, and how much does judging motion gain?

Trains jobs/moving.yaml and the same networks with a discriminator of single frames, interleaved, in this process. Directions and speeds
are measured by the centres of brightness of the first frames, the same for real and generated clips; the Frechet distance is in the
features of a network fitted to tell the octants of real directions apart, by all frames.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.fashion import Ganray
from benchmarks.interleave import interleave
from ganray.config import FashionMnistSource, Job, MovingSource, load_job
from ganray.config.modalities import VideoModality
from ganray.data.sources.fashion_mnist import find_folder, read_bundled, read_idx
from ganray.data.sources.moving import CANVAS, FRAMES, make_clip
from ganray.gan.layouts import layout_of
from ganray.metrics.feature_extractor import FeatureNetwork
from ganray.metrics.fitting import Dataset, fit_classifier
from ganray.metrics.frechet import Moments, frechet_distance
from ganray.modalities.image import Target
from ganray.modalities.video.codec import VideoCodec, animation
from ganray.modalities.video.decoding import ClipTarget

REPOSITORY = Path(__file__).parents[1]
MOTION, STILL = "motion", "single frames"
OCTANTS = 8
EXTRACTOR_CLIPS = 100_000
Clips = NDArray[np.uint8]  # [N, T, C, H, W]


def main() -> None:
    """Train both, and print histograms of directions, speeds and Frechet distances."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="training time of each")
    parser.add_argument("--samples", type=int, default=2000, help="clips that are measured")
    parser.add_argument("--only", choices=[MOTION, STILL], help="train just one of them")
    parser.add_argument("--out", type=Path, default=Path("moving"), help="folder for film strips and animations")
    parser.add_argument("overrides", nargs="*", help="changes to the job, as key=value")
    arguments = parser.parse_args()
    job, still = (
        load_job(REPOSITORY / "jobs/moving.yaml", ["workers=1", *arguments.overrides, *more])
        for more in ([], ["networks.frame_pairs=false", "networks.clip_critic=false"])
    )
    codec = codec_of(job)
    clips, labels = load_clips(job, codec)
    jobs = {MOTION: job, STILL: still}
    names = [arguments.only] if arguments.only else list(jobs)
    contenders = [Contender(name, clips, labels, jobs[name], codec) for name in names]
    interleave(contenders, seconds=arguments.seconds, turn=20.0)
    extractor = fit_octants(clips)
    reals = clips[: arguments.samples]
    report("data", reals, reals, extractor)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for contender in contenders:
        samples = contender.samples(number=arguments.samples).numpy()
        report(f"{contender.name}, {contender.state.images_seen:,} clips seen", samples, reals, extractor)
        name = contender.name.replace(" ", "-")
        (arguments.out / f"{name}.png").write_bytes(codec.preview(samples))
        (arguments.out / f"{name}.webp").write_bytes(animation(samples[:64], "WEBP"))


class Contender(Ganray):
    """A training of clips by a name."""

    def __init__(self, name: str, clips: Clips, labels: Tensor, job: Job, codec: VideoCodec) -> None:
        super().__init__((torch.from_numpy(clips), labels), job, layout_of(codec))
        self.name = name


def codec_of(job: Job) -> VideoCodec:
    """Return the codec that a preparation makes."""
    modality = job.data.modality
    assert isinstance(modality, VideoModality)
    target = Target(job.data.shape, job.data.filter)
    return VideoCodec(ClipTarget(target, modality.frames, modality.every), (FRAMES, CANVAS, CANVAS, 1))


def load_clips(job: Job, codec: VideoCodec) -> tuple[Clips, Tensor]:
    """Return the clips of the job's source and their classes."""
    assert isinstance(job.data.source, MovingSource)
    split = job.data.source.split
    table = read_bundled() if split == "test" else read_idx(find_folder(FashionMnistSource()), split)
    clips = [codec.encode(make_clip(garment, number)) for number, garment in enumerate(table["image"].to_pylist())]
    return np.stack(clips), torch.from_numpy(np.asarray(table["label"], np.int64))


def steps(clips: Clips) -> NDArray[np.float64]:
    """Return how far the centre of brightness moves from each frame to the next, [N, T - 1, 2] (down, right), in pixels."""
    weight = clips[:, :, 0].astype(np.float64) + 1e-3
    total = weight.sum((2, 3))
    down = (weight * np.arange(weight.shape[2])[:, None]).sum((2, 3)) / total
    right = (weight * np.arange(weight.shape[3])).sum((2, 3)) / total
    return np.diff(np.stack([down, right], axis=2), axis=1)


def octants(clips: Clips) -> NDArray[np.int64]:
    """Return the octant of each clip's direction over its first two steps, 0 to 7."""
    down, right = steps(clips)[:, :2].mean(1).T
    turns: NDArray[np.float64] = np.arctan2(right, down) / (2 * np.pi) % 1.0
    return (turns * OCTANTS).astype(np.int64) % OCTANTS


def fit_octants(clips: Clips) -> FeatureNetwork:
    """Return a network that tells the octants of directions apart."""
    pixels, classes = torch.from_numpy(clips).flatten(1, 2), torch.from_numpy(octants(clips))
    dataset = Dataset(
        lambda rows: (pixels[torch.from_numpy(rows)], classes[torch.from_numpy(rows)]), len(pixels), pixels.shape[1], mirror=False
    )
    network, accuracy = fit_classifier(dataset, OCTANTS, num_images=EXTRACTOR_CLIPS)
    print(f"the extractor tells {accuracy:.1%} of held-out directions")
    return network


@torch.no_grad()
def report(name: str, clips: Clips, reals: Clips, extractor: FeatureNetwork) -> None:
    """Print what clips are like."""
    histogram, real = (np.bincount(octants(some), minlength=OCTANTS) / len(some) for some in (clips, reals))
    speeds = np.hypot(*np.moveaxis(steps(clips), 2, 0))
    moments, reference = (
        Moments.of(torch.cat([extractor.features(chunk) for chunk in torch.from_numpy(some).split(256)])) for some in (clips, reals)
    )
    print(f"{name}: directions {' '.join(f'{share:.1%}' for share in histogram)}, at most {np.abs(histogram - real).max():.1%} off;")
    print(f"  speed {speeds.mean():.2f} pixels a frame; Frechet {frechet_distance(moments, reference):.3f}", flush=True)


if __name__ == "__main__":
    main()
