"""The `networks` section: which family generator and discriminator belong to, and how large they are; a file a kind of sample."""

from typing import Annotated

from pydantic import Field

from ganray.config.fields import FieldError, kind_or
from ganray.config.networks.image import DcganNetworks, R3ganNetworks, check_groups, check_sides, num_halvings
from ganray.config.networks.table import TableNetworks
from ganray.config.networks.text import TextConvNetworks, TextRecurrentNetworks
from ganray.config.networks.video import MotionNetworks
from ganray.config.networks.wave import WaveganNetworks

__all__ = [
    "DcganNetworks",
    "MotionNetworks",
    "Networks",
    "R3ganNetworks",
    "TableNetworks",
    "TextConvNetworks",
    "TextRecurrentNetworks",
    "WaveganNetworks",
    "check_groups",
    "check_shape",
    "check_sides",
    "num_halvings",
]

MIN_FRAMES = 2  # of a clip

Networks = Annotated[
    DcganNetworks | R3ganNetworks | WaveganNetworks | TextConvNetworks | TextRecurrentNetworks | MotionNetworks | TableNetworks,
    Field(discriminator="kind"),
    kind_or("dcgan"),
]


def check_shape(networks: Networks, shape: tuple[int, ...], *, field: str) -> None:
    """Raise `FieldError` for a shape of samples, as networks see them, that a family cannot make."""
    match networks:
        case DcganNetworks() | R3ganNetworks():
            channels, *sides = shape
            if len(sides) != 2 or not 1 <= channels <= 4:
                problem = f"expected [channels, height, width] of 1 to 4 channels, got {list(shape)}"
                raise FieldError(problem, "use another family", field=field)
            check_sides((sides[0], sides[1]), field=field)
        case MotionNetworks():
            if len(shape) != 4 or shape[0] < MIN_FRAMES or not 1 <= shape[1] <= 4:
                raise FieldError(f"expected clips [frames, channels, height, width], got {list(shape)}", "use another family", field=field)
            check_sides((shape[2], shape[3]), field=field)
        case WaveganNetworks():
            if len(shape) != 2 or not 1 <= shape[0] <= 2:
                raise FieldError(
                    f"expected waves [channels, samples] of 1 or 2 channels, got {list(shape)}", "use another family", field=field
                )
        case TextConvNetworks() | TextRecurrentNetworks():
            if len(shape) != 2:
                raise FieldError(f"expected [tokens, length], got {list(shape)}", "use another family", field=field)
        case TableNetworks():
            if len(shape) != 1:
                raise FieldError(f"expected rows, got {list(shape)}", "use another family", field=field)
