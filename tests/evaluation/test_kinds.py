"""Evaluation in this process of generators of sounds and videos: what they are scored by, from shards to scores."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from ganray.config import Job, MotionNetworks, WaveganNetworks
from ganray.data.card import DatasetCard, Shard, Skipped
from ganray.data.dataset import PreparedDataset
from ganray.data.shard import encode_shard, rows_per_shard
from ganray.evaluation.evaluation import make_evaluation
from ganray.gan.layouts import layout_of
from ganray.gan.networks import build_networks
from ganray.gan.prior import Prior
from ganray.modalities.codec import Codec
from ganray.modalities.image import Target
from ganray.modalities.sound.codec import WaveCodec
from ganray.modalities.sound.decoding import Clip
from ganray.modalities.video.codec import VideoCodec
from ganray.modalities.video.decoding import ClipTarget
from ganray.storage import open_store
from tests.helpers.gan_runs import CLIPS, WAVES

COUNT = 320
FOLDER = {"kind": "folder", "path": "somewhere"}
KINDS: dict[str, tuple[WaveganNetworks | MotionNetworks, Codec]] = {
    "sound": (WAVES, WaveCodec(Clip(8000, 2048))),
    "stereo": (WAVES, WaveCodec(Clip(8000, 2048, channels=2))),
    "video": (CLIPS, VideoCodec(ClipTarget(Target((1, 16, 16), "box"), 3))),
}


def prepared(folder: Path, codec: Codec) -> PreparedDataset:
    """Return a dataset of random samples of three classes, which differ in how loud or bright they are."""
    store, labels = open_store(str(folder)), np.arange(COUNT, dtype=np.int32) % 3
    numbers = np.random.default_rng(0).random((COUNT, *codec.shape)) * (labels + 1).reshape(-1, *[1] * len(codec.shape)) / 3
    samples = (numbers * np.iinfo(codec.dtype).max).astype(codec.dtype)
    stored = pa.array([sample.tobytes() for sample in samples], pa.binary(samples[0].nbytes))
    shard = encode_shard(pa.table({"image": stored, "label": pa.array(labels)}))
    store.write("datasets/x/shard-00000.parquet", shard)
    card = DatasetCard(
        name="x",
        key="k",
        fingerprint="f",
        count=COUNT,
        modality=codec.to_json(),
        settings={},
        classes=["a", "b", "c"],
        class_counts=np.bincount(labels).tolist(),
        source={"kind": "folder"},
        rows_per_shard=COUNT,
        shards=[Shard(file="shard-00000.parquet", rows=COUNT, sha256=hashlib.sha256(shard).hexdigest())],
        skipped=Skipped(count=0, examples=[]),
        licence=None,
        created_by={},
    )
    return PreparedDataset(store, "datasets/x", card)


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.slow) if kind == "stereo" else kind for kind in KINDS])
def test_generators_are_scored_by_a_classifier_of_their_kind(kind: str, tmp_path: Path) -> None:
    networks, codec = KINDS[kind]
    dataset = prepared(tmp_path, codec)
    assert rows_per_shard(dataset.card.sample_type) >= COUNT
    extractor = {"kind": "classifier", "fit_images": 256}
    job = Job(
        data={"source": FOLDER, "modality": {"kind": codec.kind, **({"representation": "wave"} if codec.kind == "sound" else {})}},
        networks=networks,
        evaluate={"num_samples": 256, "neighbours": 3, "extractor": extractor},
    )
    scorer = make_evaluation(job, dataset, torch.device("cpu")).scorer()
    generator, _ = build_networks(networks, layout_of(codec).shape, seed=0, num_classes=3)
    score = scorer(generator.eval(), Prior(networks.latent_dim, (0.3, 0.3, 0.4)))
    assert score is not None
    assert {"metric/frechet", "metric/class_coverage", "metric/conditional_accuracy", "metric/diversity"} <= score.scores.keys()
    assert ({"metric/silent", "metric/clipped"} <= score.scores.keys()) == (codec.kind == "sound")
    assert np.isfinite(list(score.scores.values())).all()
    assert score.scores["metric/frechet"] > 0
