"""Model cards: what people read, and metadata that the Hugging Face Hub takes, read back by the Hub's own library."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from ganray.config import check_job
from ganray.data.card import DatasetCard
from ganray.metrics.score import Protocol
from ganray.registry.hub import hub_licence
from ganray.registry.model_card import model_card

SCORES = {"metric/precision": 0.7, "metric/frechet": 12.25}
PROTOCOL = Protocol(metric="metric/frechet", dataset="f" * 64, extractor="e" * 64, num_samples=1000, seed=0)
DATASET = DatasetCard.model_construct(name="fashion-mnist", fingerprint="f" * 64, count=10_000, licence="MIT")
LINEAGE = {"run": "s3://bucket/runs/r", "checkpoint": "000-000000001000", "images_seen": 1000, "git_revision": None, "parent": "0003"}


def card(**publish: Any) -> str:
    job = check_job({"name": "r", "publish": {"model": "shoes", **publish}})
    return model_card(job, scores=SCORES, protocol=PROTOCOL, dataset=DATASET, lineage=LINEAGE)


def test_the_hubs_own_library_reads_the_metadata(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(card(licence="Apache-2.0"))
    data = ModelCard.load(tmp_path / "README.md").data
    assert (data.license, data.library_name, data.pipeline_tag) == ("apache-2.0", "ganray", "unconditional-image-generation")
    assert data.datasets == ["zalando-datasets/fashion_mnist"]
    assert data.model_name == "shoes"
    assert [(result.metric_type, result.metric_value) for result in data.eval_results] == [("frechet", 12.25), ("precision", 0.7)]
    assert {result.dataset_name for result in data.eval_results} == {"fashion-mnist"}


@pytest.mark.parametrize(
    ("licence", "metadata"),
    [
        ("mit", {"license": "mit"}),
        ("CC BY 4.0", {"license": "cc-by-4.0"}),
        ("Our Own, v2", {"license": "other", "license_name": "our-own-v2"}),
        ("§", {"license": "other", "license_name": "other"}),
    ],
)
def test_licences_are_the_hubs_or_other_with_a_name(licence: str, metadata: dict[str, str]) -> None:
    assert hub_licence(licence) == metadata


def test_a_card_has_what_the_job_states_and_the_lineage() -> None:
    text = card(intended_use="Sketches of shoes.", limits="No faces.", data_licence="Mine")
    for part in (
        "## Intended use\n\nSketches of shoes.",
        "## Limits\n\nNo faces.",
        "10,000 samples of fashion-mnist; licence: Mine.",
        f"Fingerprint `{'f' * 64}`",
        "| parent version | 0003 |",
        "| run | `s3://bucket/runs/r` |",
        "| metric/frechet | 12.25 |",
        "| num_samples | 1000 |",
        "ganray.load_generator(",
        "![samples](samples.png)",
    ):
        assert part in text
    assert "git revision" not in text
    assert "licence: MIT" in card()


def test_what_users_state_cannot_break_the_metadata(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(card(licence="x: [y", intended_use="---\nlicense: mit\n---"))
    assert ModelCard.load(tmp_path / "README.md").data.license == "other"
