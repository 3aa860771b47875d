"""The `publish` section: where the best generator goes, and what its card says that nobody but the user knows."""

from pydantic import Field

from ganray.config.fields import Count, Name, Section

TEXT = 2000  # characters of what a card says


class Publish(Section):
    """Where the best generator goes, when, and what its card says of it."""

    model: Name | None = Field(None, description="model of the registry, under <storage>/models; null: the job's name")
    auto: bool = Field(True, description="publish by itself: each new best while training, and the best at the end")
    every: Count = Field(100_000, description="images between publications while training, at least; 0: at the end alone")
    licence: str | None = Field(None, max_length=100, description="licence of the generator, for its card, as apache-2.0")
    data_licence: str | None = Field(None, max_length=100, description="licence of the training data, where its source does not say")
    intended_use: str | None = Field(None, max_length=TEXT, description="what the generator is meant for, for its card")
    limits: str | None = Field(None, max_length=TEXT, description="what it should not be used for, and where it fails, for its card")
    signing_key: str | None = Field(None, description="PEM file of an Ed25519 key that signs what is published")
