"""Texts, as samples: short lines of characters."""

from typing import Annotated, Literal

from pydantic import Field

from ganray.config.fields import PositiveCount, Section

MAX_LENGTH = 1024  # characters
MAX_VOCABULARY = 16_384  # characters that differ


class TextModality(Section):
    """Texts of up to `length` characters, one a line or a row, as token ids."""

    kind: Literal["text"] = "text"
    length: Literal["auto"] | Annotated[PositiveCount, Field(le=MAX_LENGTH)] = Field(
        "auto", description="most characters of a text, longer ones are left out; auto: as 99.9% of the texts have"
    )
    max_vocabulary: Annotated[PositiveCount, Field(le=MAX_VOCABULARY)] = Field(
        1024, description="most characters that differ; texts with rarer ones are left out"
    )
