"""What goes with what: every kind of sample with every family, source and augmentation is a job, or one line that names what would do."""

from typing import Any

import pytest

from ganray.config import Job, check_job
from ganray.config.compatibility import KINDS
from ganray.config.evaluate import SCORES
from ganray.config.fields import kind_of, sections_in
from ganray.errors import ConfigError

SOURCES = [kind_of(section) for section in sections_in(Job.model_fields["data"].annotation.model_fields["source"].annotation)]
FAMILIES = [kind_of(section) for section in sections_in(Job.model_fields["networks"].annotation)]
AUGMENTATIONS = [kind_of(section) for section in sections_in(Job.model_fields["augment"].annotation)]
MODALITIES = [kind_of(section) for section in sections_in(Job.model_fields["data"].annotation.model_fields["modality"].annotation)]
PATHS = {"path": "somewhere"}


def job(kind: str, source: str | None = None, **sections: Any) -> Job:
    """Return a job of a kind of sample, from the first source that fits unless one is named."""
    chosen = source or KINDS[kind].sources[0]
    place = {} if chosen == "fashion-mnist" else PATHS
    return check_job({"data": {"modality": kind, "source": {"kind": chosen, **place}}, **sections})


def test_the_table_names_what_there_is() -> None:
    assert set(KINDS) == set(MODALITIES)
    for rules in KINDS.values():
        assert set(rules.families) <= set(FAMILIES)
        assert set(rules.sources) <= set(SOURCES)
        assert set(rules.augmentations) <= set(AUGMENTATIONS)
    for kind, rules in KINDS.items():
        assert kind in SCORES[rules.score].kinds


@pytest.mark.parametrize("kind", MODALITIES)
@pytest.mark.parametrize("source", SOURCES)
def test_every_source_goes_with_a_kind_or_is_one_line(kind: str, source: str) -> None:
    _check(source in KINDS[kind].sources, KINDS[kind].sources, "data.source.kind", kind, source)


@pytest.mark.parametrize("kind", MODALITIES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_goes_with_a_kind_or_is_one_line(kind: str, family: str) -> None:
    _check(family in KINDS[kind].families, KINDS[kind].families, "networks.kind", kind, networks=family)


@pytest.mark.parametrize("kind", MODALITIES)
@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_every_augmentation_goes_with_a_kind_or_is_one_line(kind: str, augment: str) -> None:
    _check(augment in KINDS[kind].augmentations, KINDS[kind].augmentations, "augment.kind", kind, augment=augment)


@pytest.mark.parametrize("kind", MODALITIES)
def test_a_kind_alone_has_defaults_that_go_with_it(kind: str) -> None:
    made = job(kind)
    assert made.networks.kind == KINDS[kind].families[0]
    assert made.deciding_score[0] == KINDS[kind].score
    assert check_job(made.model_dump(mode="json")) == made


def _check(fits: bool, fitting: tuple[str, ...], field: str, kind: str, source: str | None = None, **sections: Any) -> None:
    if fits:
        assert job(kind, source, **sections).data.modality.kind == kind
        return
    with pytest.raises(ConfigError) as error:
        job(kind, source, **sections)
    assert error.value.field == field
    assert fitting[-1] in error.value.remedy
    assert "\n" not in str(error.value)
