"""Classes of images: the names of their first sub-folders, or the labels of StyleGAN's dataset.json."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ganray.config.fields import is_utf8
from ganray.data.sources.rows import UNLABELLED
from ganray.errors import DataError, plural

FIELD = "data.source.labels"
DATASET_JSON = "dataset.json"


@dataclass(frozen=True)
class Labels:
    """The classes of a source, None where it has none, the class number of each image, and what the user should know about them.

    `from_file` is whether a dataset.json gave them, rather than the names of folders.
    """

    classes: list[str] | None
    numbers: list[int]
    messages: list[str] = field(default_factory=list)
    from_file: bool = False


class NoLabels(Exception):
    """A dataset.json that does not label the images; the text gives the reason."""


def find_labels(keys: Sequence[str], setting: str, label_file: bytes | None) -> tuple[Labels, str]:
    """Return the labels of images, and why their dataset.json, if there is one, does not give them; "" if it does.

    `setting` is `data.source.labels`; "auto" prefers a dataset.json to folders. Raises `DataError` if labels are missing that it demands.
    """
    if setting in ("folders", "none"):
        return _folder_labels(keys, setting), f"{FIELD}={setting}"
    if label_file is None:
        if setting == DATASET_JSON:
            raise DataError(FIELD, f"there is no {DATASET_JSON} beside the images", "add it, or use `auto`, `folders` or `none`")
        return _folder_labels(keys, setting), ""
    try:
        return json_labels(label_file, keys), ""
    except NoLabels as error:
        if setting == DATASET_JSON:
            raise DataError(FIELD, f"{DATASET_JSON} {error}", "correct it, or use `folders` or `none`") from None
        return _folder_labels(keys, setting), str(error)


def _folder_labels(keys: Sequence[str], setting: str) -> Labels:
    """Label images by their first sub-folders, as `find_classes` does."""
    classes = find_classes(keys, setting)
    if classes is None:
        return _unlabelled(keys, [] if setting == "none" else _in_the_way(keys))
    numbers = {name: number for number, name in enumerate(classes)}
    return Labels(classes, [numbers[key.split("/")[0]] for key in keys])


def _unlabelled(keys: Sequence[str], messages: list[str], *, from_file: bool = False) -> Labels:
    return Labels(None, [UNLABELLED] * len(keys), messages, from_file)


def find_classes(keys: Sequence[str], labels: str) -> list[str] | None:
    """Return the sorted names of the first sub-folders, or None where images are unlabelled.

    `labels` is "folders", "none" or "auto": folders if every image lies in one and there are at least two. Raises `DataError`
    if it is "folders" and an image lies in none.
    """
    loose = [key for key in keys if "/" not in key]
    if labels == "folders" and loose:
        raise DataError(FIELD, f"{loose[0]} is in no sub-folder", "move it into its class's folder, or use `none`")
    classes = sorted({key.split("/")[0] for key in keys if "/" in key})
    if labels == "none" or loose or (labels == "auto" and len(classes) < 2):
        return None
    return classes


def _in_the_way(keys: Sequence[str]) -> list[str]:
    """Return what keeps images from having classes, where most of them lie in two class folders or more."""
    loose = [key for key in keys if "/" not in key]
    classes = {key.split("/")[0] for key in keys if "/" in key}
    if not loose or len(classes) < 2 or 2 * len(loose) > len(keys):
        return []
    lie = "lies" if len(loose) == 1 else "lie"
    return [
        f"no classes: {plural(len(loose), 'image')} of {len(keys):,} {lie} in none of the {len(classes):,} class folders, "
        f"such as {loose[0]}; move or remove what is in the way, or set {FIELD}=none"
    ]


def json_labels(data: bytes, keys: Sequence[str]) -> Labels:
    """Label images by a dataset.json: `{"labels": [[name, label], ...]}`, its labels null for none. Raises `NoLabels`."""
    named = _parse(data)
    if named is None:
        message = f"no classes: {DATASET_JSON} has no labels; those of folders are taken by {FIELD}=folders"
        return _unlabelled(keys, [message] if len({key.split("/")[0] for key in keys if "/" in key}) > 1 else [], from_file=True)
    found = [named.get(key) for key in keys]
    present = {label for label in found if label is not None}
    if not present:
        raise NoLabels("names none of the images")
    classes = sorted(present, key=lambda label: (isinstance(label, str), label))
    numbers = {label: number for number, label in enumerate(classes)}
    missing = [key for key, label in zip(keys, found, strict=True) if label is None]
    messages = (
        [f"{plural(len(missing), 'image')} of {len(keys):,} without a label in {DATASET_JSON}, such as {missing[0]}"] if missing else []
    )
    labels = [UNLABELLED if label is None else numbers[label] for label in found]
    return Labels([str(label) for label in classes], labels, messages, from_file=True)


def _parse(data: bytes) -> dict[str, int | str] | None:
    """Return the labels of a dataset.json by the names of files, None if it says that there are none."""
    try:
        content = json.loads(data)
        labels = content["labels"]
        pairs = [] if labels is None else list(labels.items() if isinstance(labels, Mapping) else labels)
        named = {str(name).replace("\\", "/"): _as_class(label) for name, label in pairs}
    except (ValueError, TypeError, KeyError, RecursionError):
        raise NoLabels('is not of the form {"labels": [["folder/file.png", 3], ...]}') from None
    if any(label is None for label in named.values()):
        raise NoLabels("has labels that are no classes: only integers, texts and one-hot vectors are")
    return None if labels is None else {name: label for name, label in named.items() if label is not None}


def _as_class(label: object) -> int | str | None:
    """Return a label as a class: a number or a text as it is, a one-hot vector as its index; None for anything else."""
    if isinstance(label, list):
        return label.index(1) if len(label) > 1 and sorted(label) == [0] * (len(label) - 1) + [1] else None
    if isinstance(label, float) and label.is_integer():
        return int(label)
    if isinstance(label, str):
        return label if is_utf8(label) else None
    return label if isinstance(label, int) and not isinstance(label, bool) else None
