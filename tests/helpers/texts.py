"""Texts for tests: a prepared dataset that no Ray made, and a published generator that nobody trained."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import safetensors.torch

from ganray.config import Networks, TextConvNetworks, TextRecurrentNetworks
from ganray.data.card import DatasetCard, Shard, Skipped
from ganray.data.dataset import CARD, PreparedDataset
from ganray.data.shard import LABEL, SAMPLE, encode_shard
from ganray.gan.networks import build_generator
from ganray.gan.prior import Prior
from ganray.metrics.score import Protocol
from ganray.modalities.text import TextCodec
from ganray.registry.generator_config import generator_config
from ganray.registry.manifest import CONFIG, GENERATOR, METRICS, to_json
from ganray.storage import ObjectStore

CODEC = TextCodec(8, tuple("abcdefghij é"))
NETWORKS = TextConvNetworks(width=8, depth=1, kernel=3, latent_dim=8)
RECURRENT = TextRecurrentNetworks(units=8, width=8, blocks=1, latent_dim=8, pretrain_images=640)
WORDS = TextCodec(8, (" the", " cat", " sat", ",", " on", " mat", ".", "-"), "words")
FOLDER = "datasets/texts"


def random_texts(number: int) -> list[str]:
    """Return texts of a to j, all alike in how they are made."""
    numbers = np.random.default_rng(0).integers(0, 10, (number, 8))
    return ["".join(CODEC.vocabulary[letter] for letter in row[: 3 + row[0] % 5]) for row in numbers]


def write_texts(storage: ObjectStore, number: int = 512) -> PreparedDataset:
    """Write a dataset of texts, of two classes in turn."""
    encoded = CODEC.encode_batch(pa.array([text.encode() for text in random_texts(number)]))
    columns = [pa.array(encoded.samples, pa.binary(CODEC.length)), pa.array(np.arange(number) % 2, pa.int32())]
    data = encode_shard(pa.table(columns, [SAMPLE, LABEL]))
    storage.write(f"{FOLDER}/shard-00000.parquet", data)
    shard = Shard(file="shard-00000.parquet", rows=number, sha256=hashlib.sha256(data).hexdigest())
    kind: dict[str, Any] = {"modality": CODEC.to_json(), "settings": {}, "count": number, "rows_per_shard": number, "shards": [shard]}
    facts: dict[str, Any] = {"classes": ["x", "y"], "class_counts": [number // 2, number // 2], "source": {}, "skipped": Skipped()}
    card = DatasetCard(name="texts", key="k", fingerprint="f", licence=None, created_by={}, **kind, **facts)
    storage.write(f"{FOLDER}/{CARD}", card.model_dump_json().encode())
    return PreparedDataset(storage, FOLDER, card)


def text_artifact(classes: list[str] | None = None, family: Networks = NETWORKS, codec: TextCodec = CODEC) -> dict[str, bytes]:
    """Return the files of a generator of texts."""
    shares = tuple(1 / len(classes) for _ in classes) if classes else ()
    networks = family.model_copy(update={"conditional": bool(classes)})
    generator = build_generator(networks, (codec.num_tokens, codec.length), len(shares))
    return {
        GENERATOR: safetensors.torch.save(generator.state_dict()),
        CONFIG: to_json(generator_config(networks, codec, Prior(networks.latent_dim, shares), classes)),
        METRICS: to_json({"scores": {"metric/ngram_4": 0.5}, "protocol": Protocol(metric="metric/ngram_4").dump()}),
    }
