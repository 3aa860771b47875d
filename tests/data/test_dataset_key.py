"""The key of a dataset: what decides its samples changes it, and what does not leaves the datasets of earlier versions where they are."""

import hashlib
import json
import logging

import pytest

from ganray.config import Data, FolderSource, LinesSource, SoundModality, TextModality
from ganray.data.card import FORMAT, DatasetCard
from ganray.data.preparation.key import dataset_key, sample_settings, settings_of
from ganray.data.preparation.prepare import log_depth
from ganray.data.sources.rows import Listing, Rows

KEY = "1681468696020877221bb2d7a8facd166adee944dec8e47ff83d42e67ae20ed4"  # as ganray 0.1 had it


def rows() -> Rows:
    raise AssertionError("a key is known before a sample is read")


LISTING = Listing("x", ["id"], rows)
TOKENS = ("characters", "words")


def key(**settings: object) -> str:
    return dataset_key(Data(source=FolderSource(path="x"), **settings), LISTING)


@pytest.mark.parametrize(
    "settings",
    [{}, {"bit_depth": 16}, {"background": "white"}, {"background": [255, 255, 255]}, {"mode": "streaming", "max_bad_fraction": 0.5}],
)
def test_defaults_and_what_alters_no_sample_keep_the_key(settings: dict[str, object]) -> None:
    assert key(**settings) == KEY


def test_mono_sounds_keep_the_key_that_they_had_before_there_was_stereo() -> None:
    fields = {"kind": "sound", "rate": 8000, "seconds": 1.0, "trim": True, "loudness": "peak"}
    settings = [FORMAT, "folder", {**fields, "representation": "spectrogram", "bins": 64, "frames": 64}, ["id"]]
    mono, stereo = (key(modality={"kind": "sound", "rate": 8000, "channels": channels}) for channels in (1, 2))
    assert mono == hashlib.sha256(json.dumps(settings).encode()).hexdigest() != stereo
    data = Data(source=FolderSource(path="x"), modality=SoundModality(rate=8000, channels=2))
    assert settings_of("sound", sample_settings(data))["modality"]["channels"] == 2


def test_whatever_alters_samples_is_another_dataset() -> None:
    changes = [{"channels": 1}, {"filter": "box"}, {"bit_depth": 12}, {"background": "black"}, {"background": [0, 0, 255]}]
    changes += [{"bit_depth": 10}, {"resolution": 16}, {"channels": 4}, {"channels": 4, "bit_depth": 12}]
    assert len({KEY, *(key(**change) for change in changes)}) == 1 + len(changes)


def test_texts_of_words_are_other_data_than_those_of_characters_which_keep_their_key() -> None:
    keys = [dataset_key(Data(source=LinesSource(path="x"), modality=TextModality(tokens=tokens)), LISTING) for tokens in TOKENS]
    assert keys[0] == "1dda392a8ed808756c3d6477d6f47824502e12f880dcf1cad423e7dffba5a9f2"  # as before there were words
    assert keys[1] != keys[0]


def test_a_background_matters_only_where_there_is_no_channel_for_transparency() -> None:
    assert key(channels=4, background="black") == key(channels=4)
    assert key(background=[0, 0, 0]) == key(background="black")


@pytest.mark.parametrize(
    ("peak", "bit_depth", "told"),
    [
        (None, 16, None),
        (65535, 16, None),
        (32768, 16, None),
        (4095, 16, "no value above 4,095, and come out dark, at most 6.2% of white; set data.bit_depth=12"),
        (16000, 16, "set data.bit_depth=14"),
        (0, 16, "set data.bit_depth=1 "),
        (4000, 12, None),
        (1000, 12, "set data.bit_depth=10"),
    ],
)
def test_deep_images_that_come_out_dark_are_mentioned(
    peak: int | None, bit_depth: int, told: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    log_depth(Data(bit_depth=bit_depth), DatasetCard.model_construct(peak=peak))
    assert [(record.levelno, told in record.getMessage()) for record in caplog.records] == ([(logging.WARNING, True)] if told else [])
