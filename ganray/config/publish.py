"""The `publish` section: the model of the registry, and what only the user can state on its card."""

from pydantic import Field

from ganray.config.fields import Count, Name, Place, Section, Text

MAX_TEXT = 2000  # characters


class Publish(Section):
    """Where and when the best generator is published, and what its model card states."""

    model: Name | None = Field(None, description="model of the registry, under <storage>/models; null: the job's name")
    auto: bool = Field(True, description="publish automatically: each new best while training, and the best at the end")
    every: Count = Field(100_000, description="minimum of images between publications while training; 0: at the end only")
    directions: Count = Field(0, description="directions of latents to publish with a version, as `ganray directions` finds them; 0: none")
    licence: Text | None = Field(None, max_length=100, description="licence of the generator, for its card, as apache-2.0")
    data_licence: Text | None = Field(None, max_length=100, description="licence of the training data, where its source does not say")
    intended_use: Text | None = Field(None, max_length=MAX_TEXT, description="what the generator is meant for, for its card")
    limits: Text | None = Field(None, max_length=MAX_TEXT, description="what it should not be used for, and where it fails, for its card")
    signing_key: Place | None = Field(None, description="PEM file of an Ed25519 key that signs what is published")
