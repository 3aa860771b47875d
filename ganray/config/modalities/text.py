"""Texts, as samples: lines of characters, or of words."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ganray.config.fields import PositiveCount, Section

TokenKind = Literal["characters", "words"]
MAX_LENGTH = 1024  # tokens
MAX_VOCABULARY = 16_384  # tokens that differ
MAX_WORDS = 8192  # of a vocabulary of words, unless a job says how many


class TextModality(Section):
    """Texts of up to `length` tokens, one a line or a row, as token ids."""

    kind: Literal["text"] = "text"
    tokens: TokenKind = Field(
        "characters", description="characters: of Unicode's form NFC; words: and punctuation marks, with the spaces before them"
    )
    length: Literal["auto"] | Annotated[PositiveCount, Field(le=MAX_LENGTH)] = Field(
        "auto", description="most tokens of a text, longer ones are left out; auto: as 99.9% of the texts have"
    )
    max_vocabulary: Annotated[PositiveCount, Field(le=MAX_VOCABULARY)] = Field(
        1024, description=f"most tokens that differ; texts with rarer ones are left out; of words {MAX_WORDS}, if not set"
    )

    @model_validator(mode="before")
    @classmethod
    def _more_words_than_characters(cls, fields: Any) -> Any:
        is_words = isinstance(fields, dict) and fields.get("tokens") == "words"
        return {"max_vocabulary": MAX_WORDS, **fields} if is_words else fields
