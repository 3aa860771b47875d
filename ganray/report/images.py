"""Images of a run's page: grids of samples small enough for a page, reals beside fakes, and the nearest training samples."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganray.data.dataset import PreparedDataset
from ganray.data.loading.reading import read_shard
from ganray.modalities.codec import Samples, sample_bytes
from ganray.modalities.image import Pixels, grid_png, split_grid
from ganray.modalities.image_codec import ImageCodec
from ganray.report.page import data_uri
from ganray.storage import ObjectStore

GRIDS = "samples/"
MAX_GRIDS = 24  # of a slider, the first and the newest among them
MAX_GRID_BYTES, MAX_GRID_SIDE, QUALITY = 150_000, 1024, 88  # beyond which a grid is scaled down and compressed with loss
COLUMNS = 8
NUM_COMPARED = 32  # reals and fakes side by side
NUM_NEAREST = 16  # fakes whose nearest training samples are searched
MAX_SEARCHED_BYTES = 256 * 2**20  # of pixels that the search reads; shards are then spread evenly
MAX_SIDE = 32  # pixels to which images are averaged before they are compared


Progress = Callable[[int, int], None]  # done, total


@dataclass(frozen=True)
class Grid:
    """A grid of samples of a run: images seen, and the image as a data URI."""

    images_seen: int
    source: str


@dataclass(frozen=True)
class Neighbours:
    """Fakes beside the training samples nearest to them, as a data URI.

    Distances are root mean squares of pixels, 0 to 255, after averaging to at most 32 x 32: the median from a fake to its nearest
    training sample, and as a yardstick from one training sample to its nearest other one. `num_searched` of `num_reals` were compared.
    """

    source: str
    of_fakes: float
    of_reals: float
    num_searched: int
    num_reals: int


@dataclass(frozen=True)
class Comparison:
    """What generated samples are held against: reals and fakes as data URIs, and of images the nearest training samples."""

    reals: str
    fakes: str
    neighbours: Neighbours | None


def read_grids(run: ObjectStore, *, newest: int | None = None) -> list[Grid]:
    """Return a run's grids of samples, oldest first: the `newest` ones, or all; of very many, some evenly spread."""
    keys = grid_keys(run)[-(newest or 0) :]
    chosen = sorted({round(place) for place in np.linspace(0, len(keys) - 1, min(len(keys), MAX_GRIDS))}) if keys else []
    return [Grid(_images_seen(keys[place]), page_image(run.read(keys[place]))) for place in chosen]


def grid_keys(run: ObjectStore) -> list[str]:
    """Return the keys of a run's grids of samples, oldest first."""
    return [info.key for info in run.list(GRIDS) if info.key.endswith(".png")]


def page_image(png: bytes) -> str:
    """Return a PNG file as a data URI, scaled down and as JPEG where it is large."""
    if len(png) <= MAX_GRID_BYTES:
        return data_uri(png)
    with Image.open(io.BytesIO(png)) as image:
        small = image.convert("L" if image.mode in ("L", "LA") else "RGB")
        small.thumbnail((MAX_GRID_SIDE, MAX_GRID_SIDE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    return data_uri(buffer.getvalue(), "jpeg")


def compare(run: ObjectStore, dataset: PreparedDataset, progress: Progress | None = None) -> Comparison | None:
    """Return the newest samples of a run beside the data's; None before there are any. Images are also compared with all of the data."""
    keys, codec = grid_keys(run), dataset.card.codec
    if not keys:
        return None
    png, reals = run.read(keys[-1]), some_reals(dataset)
    if not isinstance(codec, ImageCodec):
        return Comparison(page_image(codec.preview(reals)), page_image(png), None)
    fakes = split_grid(png, codec.shape)
    return Comparison(tile(reals), tile(fakes[: len(reals)]), find_neighbours(fakes, dataset, progress))


def tile(images: Pixels) -> str:
    """Return images [N, C, H, W] in rows of eight as a data URI."""
    return page_image(grid_png(images, columns=COLUMNS))


def some_reals(dataset: PreparedDataset, num: int = NUM_COMPARED) -> Samples:
    """Return training samples [num, ...], evenly spread over a few shards."""
    numbers = np.unique(np.linspace(0, len(dataset.card.shards) - 1, 4).round().astype(int))
    samples = np.concatenate([_spread(read_shard(dataset, int(number)).samples, num) for number in numbers])
    return _spread(samples, num)


def find_neighbours(fakes: Pixels, dataset: PreparedDataset, progress: Progress | None = None) -> Neighbours:
    """Search the training samples for those nearest to fakes [N, C, H, W], and to some of their own."""
    fakes = fakes[:NUM_NEAREST]
    reals = some_reals(dataset, NUM_NEAREST)
    search = _Search(np.concatenate([fakes, reals]), other_than=reals)
    numbers = _searched(dataset)
    for done, number in enumerate(numbers, start=1):
        search.look(read_shard(dataset, number).samples)
        if progress:
            progress(done, len(numbers))
    pairs = np.stack([fakes, search.nearest[: len(fakes)]], axis=1).reshape(-1, *fakes.shape[1:])  # fake, real, fake, real
    distances = np.sqrt(search.distances / search.queries.shape[1])
    medians = (float(np.median(distances[: len(fakes)])), float(np.median(distances[len(fakes) :])))
    return Neighbours(tile(pairs), *medians, search.num_searched, dataset.card.count)


class _Search:
    """The nearest neighbour so far of each query, by brute force. The last queries are reals, which are not their own neighbours."""

    def __init__(self, queries: Pixels, *, other_than: Pixels) -> None:
        self.queries, self.num_reals, self.num_searched = _reduced(queries), len(other_than), 0
        self.distances = np.full(len(queries), np.inf)  # squared, summed over pixels
        self.nearest = queries.copy()

    def look(self, pixels: Pixels) -> None:
        """Take in a shard's samples [N, C, H, W]."""
        reals = _reduced(pixels)
        squares = (self.queries**2).sum(1)[:, None] + (reals**2).sum(1)[None] - 2 * self.queries @ reals.T  # [queries, N]
        of_reals = squares[-self.num_reals :]
        of_reals[of_reals < reals.shape[1] * 1e-2] = np.inf  # the sample itself, and its duplicates
        best = squares.argmin(1)
        found = squares[np.arange(len(best)), best].clip(min=0)
        closer = found < self.distances
        self.distances[closer], self.nearest[closer] = found[closer], pixels[best[closer]]
        self.num_searched += len(pixels)


def _searched(dataset: PreparedDataset) -> list[int]:
    """Return the numbers of all shards, or of as many as may be read, evenly spread."""
    card = dataset.card
    num = min(len(card.shards), max(1, MAX_SEARCHED_BYTES // (card.rows_per_shard * sample_bytes(card.codec))))
    return [int(number) for number in np.linspace(0, len(card.shards) - 1, num).round()]


def _reduced(pixels: Pixels) -> NDArray[np.float32]:
    """Return images [N, C, H, W] as rows [N, D] of floats, averaged over blocks to at most 32 x 32 pixels."""
    num, channels, height, width = pixels.shape
    block = -(-max(height, width) // MAX_SIDE)
    cut = pixels[:, :, : height // block * block, : width // block * block]
    blocks = cut.reshape(num, channels, height // block, block, width // block, block)
    rows: NDArray[np.float32] = blocks.mean((3, 5), dtype=np.float32).reshape(num, -1)
    return rows


def _spread(samples: Samples, num: int) -> Samples:
    places = np.unique(np.linspace(0, len(samples) - 1, min(num, len(samples))).round().astype(int))
    spread: Samples = samples[places]
    return spread


def _images_seen(key: str) -> int:
    return int(key.removeprefix(GRIDS).removesuffix(".png"))
