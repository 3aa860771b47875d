"""Hostile `config.json`s: refused in one line, by the rules of a job or by the header of the weights, before memory is taken."""

import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import safetensors.torch
import torch

from ganray.config import DcganNetworks, R3ganNetworks
from ganray.errors import ArtifactError
from ganray.gan.networks import build_generator
from ganray.gan.prior import Prior
from ganray.modalities.image_codec import ImageCodec
from ganray.registry.artifact import build_checked
from ganray.registry.generator_config import MAX_CONFIG_BYTES, MAX_TENSORS, generator_config, parse_config
from ganray.registry.manifest import CONFIG, GENERATOR, to_json
from tests.helpers.artifacts import artifact
from tests.helpers.texts import RECURRENT, WORDS, text_artifact

MISSING = object()
MAX_BYTES, MAX_SECONDS = 8 << 20, 5.0  # that a refusal may take

VALUES = {
    "shape": [
        *([1, 0, 0], [1, 7, 7], [0, 16, 16], [5, 16, 16], [-1, 16, 16], [1, -16, -16], [1, 16, 1 << 30], [1, 1 << 62, 1 << 62]),
        *([], [1], [1, 16], [1, 16, 16, 16], [1.0, 16, 16], [True, 16, 16], ["1", "16", "16"], [[1], 16, 16], [None] * 3),
        *([1, 18, 16], [1, 512, 512], [1, 10**400, 16], None, 7, "x", {}, {"a": 1}, MISSING),
    ],
    "networks": [None, [], {}, {"kind": "os.system"}, {"kind": "\x1b[2J"}, {"kind": None}, "dcgan", 3, MISSING],
    "networks.width": [0, -8, 1 << 40, 10**400, 16, "x", None, 8.5, [8], True],
    "networks.max_width": [0, -1, 4, 1 << 40],
    "networks.depth": [0, -1, 2, 1 << 20, 1 << 40, 10**400],
    "networks.latent_dim": [0, -1, 9, 1 << 50, 10**30, "x"],
    "networks.surprise": [1],
    "class_shares": [[0.5, 0.5], [-1.0, 2.0], [float("nan")], [float("inf")], ["x"], "x", None, 3, {}, MISSING],
    "classes": [[1], "cat", 5, {}, MISSING],
    "format": [0, -1, 3, 99, "2", 2.5, None, [], MISSING],
}
VALUES_OF_TEXTS = {
    "shape": [[9], [8, 1], [1 << 40], [], "8", None, MISSING],
    "format": [1, 2, 4],
    "modality": [None, [], "text", {}, {"kind": "text"}, {"kind": "pickle"}, MISSING],
    "modality.length": [0, -1, 9, 1 << 50, True, 8.0, "8", None, [8]],
    "modality.vocabulary": ["", "aa", "x" * 100_000, "".join(map(chr, range(50, 3000))), None, 5, ["a", "b"]],
    "networks.width": [0, 1 << 40, 16],
    "networks.kernel": [4, 1 << 20, -3],
    "networks.depth": [0, 1 << 20],
    "networks": [{"kind": "dcgan", "width": 8}, {"kind": "r3gan"}],
}
CASES_OF_TEXTS = [(path, value) for path, values in VALUES_OF_TEXTS.items() for value in values]
CASES = [(path, value) for path, values in VALUES.items() for value in values]


def config_with(path: str, value: object, files: dict[str, bytes] | None = None) -> bytes:
    config: dict[str, Any] = json.loads((files or artifact())[CONFIG])
    *parents, name = path.split(".")
    section = config[parents[0]] if parents else config
    if value is MISSING:
        del section[name]
    else:
        section[name] = value
    return json.dumps(config).encode()


def refusal(files: dict[str, bytes]) -> str:
    """Return the error of files that hold no generator, having checked that it came soon, took little memory, and is one line."""
    tracemalloc.start()
    before = time.monotonic()
    try:
        with pytest.raises(ArtifactError, match="holds no generator that ganray can build") as refused:
            build_checked(files, where="there")
        assert tracemalloc.get_traced_memory()[1] < MAX_BYTES
    finally:
        tracemalloc.stop()
    assert time.monotonic() - before < MAX_SECONDS
    assert str(refused.value).isprintable()
    return str(refused.value)


@pytest.fixture(autouse=True)
def _nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a test in which a tensor with memory is made for a refused generator."""

    def built(*_: object) -> None:
        raise AssertionError("built")

    monkeypatch.setattr("ganray.registry.artifact.build", built)


@pytest.mark.parametrize(("path", "value"), CASES, ids=lambda part: "missing" if part is MISSING else str(part)[:30])
def test_a_config_that_no_job_could_have_or_that_its_weights_do_not_fit_is_refused(path: str, value: object) -> None:
    line = refusal({**artifact(), CONFIG: config_with(path, value)})
    assert "config.json" in line
    assert "Error" not in line


@pytest.mark.parametrize(("path", "value"), CASES_OF_TEXTS, ids=lambda part: "missing" if part is MISSING else str(part)[:30])
def test_a_config_of_texts_that_no_data_could_have_is_refused(path: str, value: object) -> None:
    line = refusal({**text_artifact(), CONFIG: config_with(path, value, text_artifact())})
    assert "config.json" in line


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"7", b"null", b"\xff", b"[" * 100_000, b"{", b" " * (MAX_CONFIG_BYTES + 1)],
    ids=lambda content: str(content[:8]),
)
def test_a_config_that_is_no_object_is_refused(content: bytes) -> None:
    assert "config.json" in refusal({**artifact(), CONFIG: content})


def test_an_unconditional_generator_may_know_the_classes_of_its_data() -> None:
    codec = ImageCodec.of_shape((1, 16, 16))
    config = parse_config(to_json(generator_config(DcganNetworks(width=8), codec, Prior(8, ()), ["boot", "coat"])))
    assert (config.classes, config.prior.num_classes) == (["boot", "coat"], 0)


def test_a_conditional_generator_names_each_of_its_classes() -> None:
    files = artifact(classes=["cat", "dog"])
    refusal({**files, CONFIG: json.dumps({**json.loads(files[CONFIG]), "classes": ["cat"]}).encode()})


def test_how_long_a_generator_was_pretrained_is_no_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    files = text_artifact(family=RECURRENT.model_copy(update={"pretrain_images": 1 << 40}), codec=WORDS)
    assert build_checked(files, where="there").codec == WORDS


@pytest.mark.parametrize("missing", [CONFIG, GENERATOR])
def test_a_missing_file_is_refused(missing: str) -> None:
    refusal({name: data for name, data in artifact().items() if name != missing})


def header(entries: object) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


WEIGHTS: dict[str, bytes] = {
    "empty": b"",
    "short": b"\x01",
    "a header beyond the file": (1 << 60).to_bytes(8, "little"),
    "no object": header([1, 2]),
    "no tensors": header({}),
    "entries that are none": header({"x": 3}),
    "a shape that is none": header({"x": {"shape": "y"}}),
    "deep": (200_000).to_bytes(8, "little") + b"[" * 200_000,
    "too many": header({f"{number}": {"shape": [1]} for number in range(MAX_TENSORS + 1)}),
    "others": safetensors.torch.save({"x": torch.zeros(3)}),
}


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_weights_whose_header_does_not_fit_are_refused(weights: bytes) -> None:
    refusal({**artifact(), GENERATOR: weights})


def changed(change: Callable[[dict[str, torch.Tensor]], object]) -> bytes:
    weights = safetensors.torch.load(artifact()[GENERATOR])
    change(weights)
    return safetensors.torch.save(weights)


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights.pop("project.weight"),
        lambda weights: weights.update(extra=torch.zeros(1)),
        lambda weights: weights.update({"project.weight": weights["project.weight"][:, :-1].contiguous()}),
    ],
)
def test_tensors_that_are_missing_too_many_or_of_another_shape_are_named(change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    line = refusal({**artifact(), GENERATOR: changed(change)})
    assert "in the weights, and" in line


@pytest.mark.parametrize(
    "networks", [DcganNetworks(width=8, depth=2, latent_dim=4), R3ganNetworks(width=32, latent_dim=4)], ids=lambda n: n.kind
)
@pytest.mark.parametrize("classes", [None, ["cat", "dog"]])
def test_every_family_passes_the_check(networks: Any, classes: list[str] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    shape, shares = (3, 16, 32), (0.25, 0.75) if classes else ()
    generator = build_generator(networks, shape, len(shares))
    config = to_json(generator_config(networks, ImageCodec.of_shape(shape), Prior(networks.latent_dim, shares), classes))
    loaded = build_checked({CONFIG: config, GENERATOR: safetensors.torch.save(generator.state_dict())}, where="there")
    assert (loaded.num_classes, loaded.classes) == (len(shares), classes)
