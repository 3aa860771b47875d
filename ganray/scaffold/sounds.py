"""A look at sounds, and a job for them with the recipe of `jobs/spoken-digits.yaml`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ganray.modalities.codec import UnreadableSample
from ganray.modalities.sound.decoding import probe
from ganray.scaffold.draft import Classes, Draft, Entry, Machine, shipped
from ganray.scaffold.looked import Looked, draft_looked

JOB = "spoken-digits.yaml"
MAX_LOOKS = 1000  # sounds whose headers are read, evenly spread over the source
MAX_RATE = 16_000  # Hz: more is finer, and needs larger spectrograms
FRAME_S = 0.016  # of a spectrogram, as in the job
FRAMES = (16, 24, 32, 48, 64, 96, 128, 192, 256)  # of a spectrogram, those that halve well
MAX_FRAMES_CPU = 64  # beyond, a CPU takes days
LONG = 90  # percentile of the lengths that a sound gets
FINE_RATE = 12_000  # Hz, from which on 64 bands are told apart
CHANNELS = {1: "mono", 2: "stereo"}


@dataclass(frozen=True)
class SoundLook:
    """What a sound's header says: its rate in Hz, its length in seconds and its channels. `problem` is why there is none."""

    rate: int = 0
    seconds: float = 0.0
    channels: int = 1
    problem: str | None = None


def look_at_sound(data: bytes | None, reason: str | None = None) -> SoundLook:
    """Return a look at a sound file; `data` is None where it could not be read, for a `reason`."""
    if data is None:
        return SoundLook(problem=reason or "there is nothing to read")
    try:
        rate, seconds, channels = probe(data)
    except UnreadableSample as error:
        return SoundLook(problem=str(error))
    return SoundLook(rate, seconds, channels) if seconds else SoundLook(problem="holds no sample")


def draft_sounds(found: Looked[SoundLook], machine: Machine, *, name: str, storage: str) -> Draft:
    """Return a job for the sounds of a source. Raises `DataError` if there are none that can be read."""
    whole = found.whole("sound", "name a source of sounds that libsndfile reads")
    lengths, rates = np.array([look.seconds for look in whole]), Counter(look.rate for look in whole).most_common()
    facts = {
        "seconds": f"{lengths.min():.2f} to {lengths.max():.2f}, half of them {np.median(lengths):.2f} or more",
        "rates": ", ".join(f"{rate:,} Hz {number:,}" for rate, number in rates[:5]),
        "channels": channels_said(whole),
    }
    sections = {"data": _data(found, lengths, rates[0][0], machine, whole), "recipe": _recipe(found.classes)}
    return draft_looked(found, machine, "sound", facts=facts, name=name, storage=storage, **sections)


def channels_said(looks: Sequence[SoundLook]) -> str:
    """Return how many sounds have which number of channels, the most frequent first."""
    counts = Counter(look.channels for look in looks).most_common()
    return ", ".join(f"{CHANNELS.get(channels, f'{channels} channels')} {number:,}" for channels, number in counts[:5])


def _data(found: Looked[SoundLook], lengths: np.ndarray, rate: int, machine: Machine, whole: Sequence[SoundLook]) -> Iterator[Entry]:
    wanted, used = float(np.percentile(lengths, LONG)), min(rate, MAX_RATE)
    most = FRAMES[-1] if machine.gpus else MAX_FRAMES_CPU
    frames = min((number for number in FRAMES if number <= most), key=lambda number: abs(number * FRAME_S - wanted))
    hop = max(1, round(FRAME_S * used))
    bins = 32 if used < FINE_RATE else 64
    fields = {"kind": "sound", "rate": used, "seconds": round(frames * hop / used, 4), "bins": bins, "frames": frames}
    cut = f"; longer ones are cut, as {(lengths > fields['seconds']).mean():.0%} are" if (lengths > fields["seconds"]).any() else ""
    stereo = sum(look.channels > 1 for look in whole)
    mixed = f"; {stereo:,} of {len(whole):,} have several channels, which are averaged unless channels is 2" if stereo else ""
    yield found.source_entry("sound")
    yield Entry("data.modality", fields, f"most files have {rate:,} Hz{cut}{mixed}")


def _recipe(classes: Classes) -> Iterator[Entry]:
    conditional = classes.conditional("sound")
    replaced = {
        "networks.conditional": conditional,
        "train.total_images": (None, "sounds seen, repeats included; more is better"),
        "train.max_seconds": (None, "of training, if that is less; null: no limit"),
    }
    return shipped(JOB, replaced, left_out=() if classes.counts else ("evaluate.extractor",))
