"""The `publish` and `track` sections: the model of the registry and what its card states, and who is told of a run as it trains."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ganray.config.fields import Count, FieldError, Name, Place, Section, Text, kind_or, shortened
from ganray.errors import CREDENTIALS

MAX_TEXT = 2000  # characters
SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")
NO_SCHEME = re.compile(r"[\w.-]+:\d+(/|$)|https?/")  # host:port, and a colon left out
PROJECT = r"^[^/\\#?%:]+$"  # W&B's names of projects


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


def _tracking_uri(text: str) -> str:
    """Refuse a URI with credentials, since a job is printed and published, and what MLflow would take for the name of a folder."""
    if CREDENTIALS.search(text):
        raise FieldError("the URI contains credentials", "remove them, and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
    if not text.strip():
        raise FieldError("is empty", "name a server, as http://host:5000, or leave it out")
    if "://" not in text and (NO_SCHEME.match(text) or text.partition(":")[0] in SCHEMES):
        raise FieldError(f"{shortened(text)} has no scheme, and would be a folder", "write http://host:5000, or ./ before a folder's name")
    return text


class TensorBoardTracker(Section):
    """Event files in `<storage>/tensorboard/<name>`, for `tensorboard --logdir <storage>/tensorboard`."""

    kind: Literal["tensorboard"] = "tensorboard"


class MlflowTracker(Section):
    """A run of MLflow; trials of a sweep are nested in the sweep's."""

    kind: Literal["mlflow"] = "mlflow"
    uri: Annotated[Text, AfterValidator(_tracking_uri)] | None = Field(
        None, description="the tracking server, as http://host:5000 or sqlite:////folder/mlflow.db; null: MLFLOW_TRACKING_URI"
    )
    experiment: Text = Field("ganray", min_length=1, description="name of the experiment, which is made if it is not there")


class WandbTracker(Section):
    """A run of Weights & Biases; trials of a sweep are in one group."""

    kind: Literal["wandb"] = "wandb"
    project: Text = Field("ganray", min_length=1, max_length=128, pattern=PROJECT, description="name of the project")
    entity: Text | None = Field(None, description="user or team; null: the default of the account")
    mode: Literal["online", "offline"] = Field("online", description="offline: files in ./wandb or WANDB_DIR, for `wandb sync`")


Tracker = Annotated[
    Annotated[TensorBoardTracker | MlflowTracker | WandbTracker, Field(discriminator="kind")],
    kind_or("tensorboard"),
]


def _listed(value: object) -> object:
    """Accept a tracker without the list around it."""
    return [value] if isinstance(value, str | dict) else value


def _each_once(trackers: list[Tracker]) -> list[Tracker]:
    """Refuse two trackers of a kind."""
    kinds = [tracker.kind for tracker in trackers]
    if twice := [kind for kind in kinds if kinds.count(kind) > 1]:
        raise FieldError(f"{twice[0]} is named twice", "name each tracker once")
    return trackers


Track = Annotated[list[Tracker], BeforeValidator(_listed), AfterValidator(_each_once)]
