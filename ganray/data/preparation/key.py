"""The key of a dataset, by which it is found again, and the folder and name that it has."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganray.config import Data
from ganray.config.compatibility import KINDS
from ganray.data.card import FORMAT
from ganray.data.sources.rows import Listing

FOLDER = "datasets"
# Of `data.modality`, that came after `FORMAT`, as datasets were before: those keep their keys.
LATER_FIELDS = {"tokens": "characters", "channels": 1}


@dataclass(frozen=True)
class Identity:
    """What a dataset is found again by: its name, the key of what decides its samples, and what the job says of them."""

    name: str
    key: str
    settings: dict[str, Any]

    @property
    def folder(self) -> str:
        """The folder of the dataset in its store: "datasets/<name>-<first 12 digits of its key>"."""
        return f"{FOLDER}/{self.name}-{self.key[:12]}"


def identify(data: Data, listing: Listing) -> Identity:
    """Return the identity of the dataset that is prepared from a source's listing; no sample is read."""
    name = data.name or re.sub(r"[^a-z0-9._-]+", "-", listing.name.lower()).strip("._-")[:64] or data.source.kind
    return Identity(name, dataset_key(data, listing), sample_settings(data))


def dataset_key(data: Data, listing: Listing) -> str:
    """Return the SHA-256 of what decides a dataset's samples: the source's listing and the settings; no sample is read."""
    settings: list[Any]
    if data.modality.kind == "image":
        settings = [FORMAT, data.source.kind, data.shape, data.filter, listing.identity, *_later_settings(data)]
    else:
        settings = [FORMAT, data.source.kind, sample_settings(data), listing.identity]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()


def sample_settings(data: Data) -> dict[str, Any]:
    """Return, for other kinds than images, what the job says of samples: its section, and where they have pixels how those are made."""
    pixels = {"shape": data.shape, "filter": data.filter, "later": _later_settings(data)} if KINDS[data.modality.kind].has_pixels else {}
    modality = {name: value for name, value in data.modality.model_dump(mode="json").items() if (name, value) not in LATER_FIELDS.items()}
    settings: dict[str, Any] = json.loads(json.dumps({**modality, **pixels}))
    return settings


def settings_of(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `data` that `sample_settings` has made settings of, so that other samples are prepared alike."""
    modality = {name: value for name, value in settings.items() if name not in ("shape", "filter", "later")}
    if not KINDS[kind].has_pixels:
        return {"modality": modality}
    channels, *resolution = settings["shape"]
    later = dict(setting.split(" ", 1) for setting in settings["later"] if " " in setting)
    background = {"background": json.loads(f"[{later['background'][1:-1]}]")} if "background" in later else {}
    depth = {"bit_depth": int(later["bit_depth"])} if "bit_depth" in later else {}
    pixels = {"resolution": resolution, "channels": channels, "filter": settings["filter"], **background, **depth}
    return {"modality": modality, **pixels}


def _later_settings(data: Data) -> list[str]:
    """Return settings that came after `FORMAT`, where they matter: datasets that need none of them keep their keys."""
    settings = {
        "premultiplied, and colours of what is transparent those around it": data.has_alpha,
        f"bit_depth {data.bit_depth}": data.bit_depth != Data().bit_depth,
        f"background {data.background_rgb}": data.background_rgb != Data().background_rgb and not data.has_alpha,
    }
    return [setting for setting, matters in settings.items() if matters]
