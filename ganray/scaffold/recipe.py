"""A recipe that fits a source of images, field by field with its reason: pure functions of a survey and of what it trains on."""

from collections.abc import Iterator

from ganray.config.networks.image import MAX_SIDE, MIN_SIDE, num_halvings
from ganray.errors import plural
from ganray.scaffold.draft import Draft, Entry, Machine, bad_fraction, run_entries
from ganray.scaffold.survey import Survey

SIDES = (16, 24, 32, 48, 64, 96, 128, 192, 256)  # of images, those that halve well
ENLARGED = 1.2  # times its own side an image may be made larger
MAX_SIDE_CPU = 64  # pixels: beyond, a CPU takes days
SQUARE = 1.15  # ratio of sides up to which images are cropped to squares
FEW, SOME = 5_000, 20_000  # images up to which they are augmented, and mirrored
MIN_BIT_DEPTH = 9  # bits, of images of more than 8
TRANSPARENT = 0.5  # fraction of images with transparency from which on it is kept


def draft_images(found: Survey, machine: Machine, *, name: str, storage: str) -> Draft:
    """Return a job for the images of a source."""
    looked_at = f"{len(found.looks):,} of {found.count:,} images"
    return Draft(recipe(found, machine, name=name, storage=storage), found.facts(), looked_at, found.notes)


def recipe(survey: Survey, machine: Machine, *, name: str, storage: str) -> list[Entry]:
    """Return the fields of a job for a source, in the order of a job file."""
    shape, why_shape = resolution(survey, machine)
    sections = (
        run_entries(machine, name, storage),
        _data(survey, shape, why_shape),
        _networks(survey, machine, shape),
        _objective(survey),
        _training(survey, machine),
        [Entry("publish.model", name)],
    )
    return [entry for section in sections for entry in section]


def resolution(survey: Survey, machine: Machine) -> tuple[tuple[int, int], str]:
    """Return (height, width) in pixels to prepare images at, and why."""
    height, width = survey.sides
    short, ratio = min(height, width), max(height, width) / min(height, width)
    most = MAX_SIDE if machine.gpus else MAX_SIDE_CPU
    side = max(side for side in SIDES if side <= max(min(short * ENLARGED, most), MIN_SIDE))
    multiple = max(2 ** num_halvings(side, side), 4)
    long = min(round(side * ratio / multiple) * multiple, MAX_SIDE // multiple * multiple) if ratio > SQUARE else side
    found = f"half of the images are at least {height} x {width}"
    if short * ENLARGED >= 2 * side and not machine.gpus:
        found += f"; up to {max(other for other in SIDES if other <= short * ENLARGED)} with a GPU, which this machine does not have"
    return ((side, long) if width >= height else (long, side)), found


def _data(survey: Survey, shape: tuple[int, int], why_shape: str) -> Iterator[Entry]:
    yield Entry("data.source", survey.source.model_dump(mode="json", exclude_unset=True) | {"kind": survey.source.kind}, _counted(survey))
    yield Entry("data.resolution", shape[0] if shape[0] == shape[1] else list(shape), why_shape)
    yield Entry("data.channels", *_channels(survey))
    if survey.peak is not None:
        depth = max(survey.peak.bit_length(), MIN_BIT_DEPTH)
        yield Entry("data.bit_depth", min(depth, 16), f"images of more than 8 bits reach {survey.peak:,}")
    yield from bad_fraction(survey.broken, len(survey.looks))


def _counted(survey: Survey) -> str:
    known = [plural(survey.count, "image")]
    known += [f"{plural(survey.left_out, 'other file')} left out"] if survey.left_out else []
    known += [f"{survey.repeats:,} of {len(survey.looks):,} are the same as others"] if survey.repeats else []
    return ", ".join(known)


def _channels(survey: Survey) -> tuple[int, str]:
    """Return the number of channels, and why."""
    is_grey = survey.grey_fraction == 1.0
    if survey.transparent_fraction >= TRANSPARENT:
        return (2 if is_grey else 4), f"transparency is kept, which {survey.transparent_fraction:.0%} of the images have"
    colours = "no image has colours" if is_grey else f"{1 - survey.grey_fraction:.0%} of the images have colours"
    seen_through = f"; {survey.transparent_fraction:.0%} have transparency, which is laid on white" if survey.transparent_fraction else ""
    return (1 if is_grey else 3), colours + seen_through


def _networks(survey: Survey, machine: Machine, shape: tuple[int, int]) -> Iterator[Entry]:
    yield Entry("networks.kind", "dcgan", "r3gan is better and slower, see jobs/r3gan.yaml")
    width = 64 if machine.gpus else 24 if min(shape) <= 32 else 32
    yield Entry("networks.width", width, "channels next to the image: more is better and slower")
    yield Entry("networks.latent_dim", 64)
    yield Entry("networks.ghost_batch", 32)
    yield Entry("networks.conditional", *survey.classes.conditional("image"))


def _objective(survey: Survey) -> Iterator[Entry]:
    yield Entry("loss.kind", "hinge", "with R1 and a falling rate, the best that was found in equal time")
    yield Entry("penalties.r1_gamma", 1.0)
    yield Entry("penalties.every", 4)
    if survey.count <= FEW:
        why = f"{plural(survey.count, 'image')} are few: augmented, the discriminator cannot learn them by heart (Zhao et al. 2020)"
        yield Entry("augment.kind", "diff-augment", why)
        yield Entry("augment.policies", ["translation", "cutout"])
    if survey.count <= SOME and survey.is_symmetric:
        yield Entry("augment.mirror", True, "left and right look alike in the mean image; false, if there is text in them")
    elif survey.count <= SOME:
        yield Entry("augment.mirror", False, "left and right differ in the mean image")


def _training(survey: Survey, machine: Machine) -> Iterator[Entry]:
    total = (5_000_000 if machine.gpus else 1_000_000) // (2 if survey.count <= FEW else 1)
    rates = {"lr": {"start": 2e-3, "end": 1e-6}, "beta1": 0.0, "beta2": 0.999}
    yield Entry("optimizer.generator", rates, "falls until train.total_images")
    yield Entry("optimizer.discriminator", rates)
    yield Entry("train.total_images", total, f"each image {plural(round(total / survey.count), 'time')}; more is better")
    yield Entry("train.batch_size", 64, "over all workers")
    yield Entry("train.checkpoint_every", total // 20, "all in images")
    yield Entry("train.samples_every", total // 40)
    yield Entry("evaluate.every", total // 20)
    yield Entry("evaluate.num_samples", 10_000 if survey.count >= 10_000 else 5_000)
