"""Exports: ONNX Runtime and torch.export run what was published, name its version, and nothing is written that differs."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner

from ganray.cli import group
from ganray.config import R3ganNetworks
from ganray.errors import ArtifactError, ConfigError
from ganray.export import export
from ganray.export.torch_export import read_metadata
from ganray.gan.networks import build_networks
from ganray.gan.prior import Prior
from ganray.modalities.image_codec import ImageCodec
from ganray.registry.artifact import load_generator
from ganray.registry.generator_config import generator_config
from ganray.registry.manifest import CONFIG, GENERATOR, read_manifest, to_json
from ganray.registry.registry import Registry
from ganray.storage import open_store
from tests.helpers.artifacts import SHAPE, artifact, make_keys, publish
from tests.helpers.texts import RECURRENT, WORDS, text_artifact


def residual() -> dict[str, bytes]:
    """Return the files of an R3GAN generator that nobody trained."""
    networks = R3ganNetworks(width=16, depth=1, latent_dim=8)
    generator, _ = build_networks(networks, SHAPE, seed=0)
    weights = {name: torch.randn(tensor.shape) / 8 for name, tensor in generator.state_dict().items()}
    config = generator_config(networks, ImageCodec.of_shape(SHAPE), Prior(8), None)
    return {**artifact(), GENERATOR: safetensors.torch.save(weights), CONFIG: to_json(config)}


ARTIFACTS = {
    "unconditional": lambda: artifact(contrast=8.0),
    "conditional": lambda: artifact(contrast=8.0, classes=["cat", "dog", "owl"]),
    "residual": residual,
    "sentences": lambda: text_artifact(["x", "y"], RECURRENT, WORDS),
}


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] if name == "sentences" else []) for name in ARTIFACTS])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URI of a version."""
    registry = Registry(open_store(tmp_path / "store"))
    registry.publish("m", ARTIFACTS[request.param](), {"images_seen": 1}, key="a")
    return str(tmp_path / "store/models/m/0001")


def inputs_of(generator: Any, number: int) -> list[torch.Tensor]:
    """Return latents, and labels of a conditional generator, that no export was compared on."""
    return [part for part in generator.prior.sample(7, "samples", 100, number) if part is not None]


def test_onnx_runtime_makes_the_samples_of_the_module_for_any_number(model: str, tmp_path: Path) -> None:
    path, difference = export.export_generator(model, to="onnx", out=tmp_path / "made.onnx")
    generator, session = load_generator(model), onnxruntime.InferenceSession(path)
    assert difference < export.TOLERANCE
    assert [output.name for output in session.get_outputs()] == ["samples"]
    for number in (1, 3, 65):
        inputs = inputs_of(generator, number)
        names = ["latents", "labels"][: len(inputs)]
        assert [found.name for found in session.get_inputs()] == names
        (samples,) = session.run(None, {name: part.numpy() for name, part in zip(names, inputs, strict=True)})
        assert np.abs(samples - generator(*inputs).numpy()).max() < export.TOLERANCE
    assert np.ptp(samples) > 0.1


def test_torch_export_makes_the_samples_of_the_module_and_holds_no_pickle(model: str, tmp_path: Path) -> None:
    path, _ = export.export_generator(model, to="torch-export", out=tmp_path / "made.pt2")
    generator, module = load_generator(model), torch.export.load(path).module()
    for number in (1, 3, 65):
        inputs = inputs_of(generator, number)
        assert (module(*inputs) - generator(*inputs)).abs().max() < export.TOLERANCE
    with zipfile.ZipFile(path) as archive:
        pickles = [entry.filename for entry in archive.infolist() if entry.file_size and entry.filename.endswith((".pt", ".pkl"))]
    assert pickles == []


def test_metadata_name_the_version(tmp_path: Path) -> None:
    Registry(open_store(tmp_path)).publish("m", artifact(classes=["cat", "dog"]), {"images_seen": 1}, key="a")
    version = open_store(tmp_path / "models/m/0001")
    onnx = onnxruntime.InferenceSession(export.make_export(version, to="onnx").data).get_modelmeta().custom_metadata_map
    program = read_metadata(io.BytesIO(export.make_export(version, to="torch-export").data))
    assert onnx == program
    assert onnx["ganray.manifest"] == read_manifest(version).hash
    assert (onnx["ganray.model"], onnx["ganray.version"]) == ("m", "0001")
    assert json.loads(onnx["ganray.classes"]) == ["cat", "dog"]
    assert float(onnx["ganray.tolerance"]) == export.TOLERANCE


@pytest.mark.parametrize("error", [2e-3, float("nan")])
def test_an_export_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: float) -> None:
    publish(Registry(open_store(tmp_path)), 1.0)
    exact = export.WRITERS["torch-export"]

    def inexact(program: Any, metadata: Any) -> Any:
        data, run = exact(program, metadata)
        return data, lambda inputs: run(inputs) + error

    monkeypatch.setitem(export.WRITERS, "torch-export", inexact)
    with pytest.raises(ArtifactError, match="differ by"):
        export.export_generator(str(tmp_path / "models/m"), to="torch-export", out=tmp_path / "made.pt2")
    assert not (tmp_path / "made.pt2").exists()


def run(*arguments: object) -> str:
    """Return what a command prints; what it raises comes out."""
    done = CliRunner().invoke(group, [str(argument) for argument in arguments], catch_exceptions=False, standalone_mode=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_prints_file_and_difference(tmp_path: Path) -> None:
    publish(Registry(open_store(tmp_path)), 2.0, 1.0)
    printed = json.loads(run("export", tmp_path / "models/m", "--to", "torch-export", "--out", tmp_path / "made.pt2", "--json"))
    assert printed["out"] == str(tmp_path / "made.pt2")
    assert 0 <= printed["largest_difference"] < printed["tolerance"] == 1e-3
    assert "made.pt2  samples equal within" in run("export", tmp_path / "models/m", "--to", "torch-export", "--out", tmp_path / "made.pt2")


@pytest.mark.parametrize("out", ["made.onnx", "made", "."])
def test_a_file_of_another_format_is_refused(tmp_path: Path, out: str) -> None:
    with pytest.raises(ConfigError, match=r"--out: expected a file that ends with \.pt2"):
        run("export", tmp_path / "models/m", "--to", "torch-export", "--out", tmp_path / out)


def test_a_missing_package_is_an_error_that_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(Registry(open_store(tmp_path)), 1.0)
    monkeypatch.setattr("ganray.export.onnx.find_spec", lambda name: None if name == "onnxruntime" else name)
    with pytest.raises(ConfigError, match=r"needs the package onnxruntime; pip install 'ganray\[onnx\]'"):
        run("export", tmp_path / "models/m", "--to", "onnx", "--out", tmp_path / "made.onnx")


def test_push_takes_an_export_along_signed_with_the_version(tmp_path: Path) -> None:
    private, public = make_keys(tmp_path)
    publish(Registry(open_store(tmp_path / "store")), 1.0)
    source = tmp_path / "store/models/m/0001"
    push = ["models", "push", source, "there", "--storage", tmp_path / "archive", "--signing-key", private]
    assert run(*push, "--export", "torch-export") == run(*push, "--export", "torch-export")
    version = open_store(tmp_path / "archive/models/there/0001")
    assert torch.export.load(io.BytesIO(version.read("model.pt2"))).module()(torch.zeros(2, 8)).shape == (2, *SHAPE)
    load_generator(version.uri, public_key=public)
    text = read_metadata(io.BytesIO(version.read("model.pt2")))
    assert text["ganray.manifest"] == read_manifest(open_store(source)).hash
    assert run(*push).split()[1].endswith("0002"), "without the export it is another version"
