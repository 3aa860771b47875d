"""The YAML metadata of a model card, as the Hugging Face Hub reads it."""

import re
from collections.abc import Mapping
from typing import Any

HUB_DATASETS = {"fashion-mnist": "zalando-datasets/fashion_mnist"}  # datasets of the Hub by ganray's names
# The Hub's identifiers of licences (its documentation, "Licenses"); any other licence is `other`, with a name.
_IDENTIFIERS = """
    apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0 artistic-2.0
    bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-
    sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-
    sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0
    gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 odc-by odbl osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib
    pddl unknown other
"""
LICENCES = frozenset(_IDENTIFIERS.split())


def hub_metadata(
    name: str, *, kind: str, task: str, licence: str | None, scores: Mapping[str, float], dataset: str, metric: str
) -> dict[str, Any]:
    """Return a card's metadata. `task` is the Hub's, `dataset` the name of the training data; the score of `metric` comes first."""
    metadata: dict[str, Any] = {"library_name": "ganray", "pipeline_tag": task, "tags": ["gan", "ganray", kind, "pytorch"]}
    if licence:
        metadata |= hub_licence(licence)
    if hub_name := HUB_DATASETS.get(dataset):
        metadata["datasets"] = [hub_name]
    results = {
        "task": {"type": task},
        "dataset": {"name": dataset, "type": HUB_DATASETS.get(dataset, dataset)},
        "metrics": [{"type": score.removeprefix("metric/"), "name": score, "value": value} for score, value in _first(scores, metric)],
    }
    return {**metadata, "model-index": [{"name": name, "results": [results]}]}


def hub_licence(licence: str) -> dict[str, str]:
    """Return the metadata of a licence: one of the Hub's identifiers, or `other` with a name."""
    identifier = licence.strip().lower().replace(" ", "-")
    if identifier in LICENCES:
        return {"license": identifier}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", identifier).strip("-") or "other"}


def _first(scores: Mapping[str, float], metric: str) -> list[tuple[str, float]]:
    return sorted(scores.items(), key=lambda score: score[0] != metric)
