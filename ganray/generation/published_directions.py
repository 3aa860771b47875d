"""The directions that a version was published with: its `directions.json`, which is untrusted input."""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ganray.errors import ArtifactError
from ganray.gan.directions import Directions
from ganray.registry.manifest import AGAIN, DIRECTIONS, MAX_JSON_BYTES


class _Direction(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)
    gain: Annotated[FiniteFloat, Field(ge=0)]
    vector: list[FiniteFloat]


class _Content(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)
    directions: list[_Direction]


def read_directions(files: Mapping[str, bytes], latent_dim: int, *, where: str) -> Directions:
    """Return the directions in an artifact's files, none if it was published without.

    Raises `ArtifactError`, naming `where` they were read, for directions that are not of a generator with latents [latent_dim].
    """
    if (data := files.get(DIRECTIONS)) is None:
        return Directions(torch.zeros(0, latent_dim), torch.zeros(0))
    try:
        found = _Content.model_validate_json(data[: MAX_JSON_BYTES + 1]).directions
    except ValidationError:
        raise ArtifactError(where, f"its {DIRECTIONS} is not one that ganray writes", AGAIN) from None
    if len(found) > latent_dim or any(len(direction.vector) != latent_dim for direction in found):
        raise ArtifactError(where, f"its {DIRECTIONS} is not of latents of size {latent_dim}", AGAIN)
    vectors = torch.tensor([direction.vector for direction in found]).view(-1, latent_dim)
    return Directions(vectors, torch.tensor([direction.gain for direction in found]))
