"""A look at the sounds of a folder or archive, and a job for them with the recipe of `jobs/spoken-digits.yaml`."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ganray.errors import DataError
from ganray.modalities.codec import UnreadableSample
from ganray.modalities.sound.decoding import probe
from ganray.scaffold.draft import Draft, Entry, Machine, bad_fraction, run_entries, shipped
from ganray.scaffold.files import Files, Progress, list_kind, look_at_files
from ganray.storage import ObjectStore

JOB = "spoken-digits.yaml"
MAX_LOOKS = 1000  # sounds whose headers are read, evenly spread over the source
MAX_RATE = 16_000  # Hz: more is finer, and needs larger spectrograms
FRAME_S = 0.016  # of a spectrogram, as in the job
FRAMES = (16, 24, 32, 48, 64, 96, 128, 192, 256)  # of a spectrogram, those that halve well
MAX_FRAMES_CPU = 64  # beyond, a CPU takes days
LONG = 90  # percentile of the lengths that a sound gets
FINE_RATE = 12_000  # Hz, from which on 64 bands are told apart


@dataclass(frozen=True)
class SoundLook:
    """What a sound's header says: its rate in Hz and its length in seconds. `problem` is why there is none."""

    rate: int = 0
    seconds: float = 0.0
    problem: str | None = None


def look_at_sound(data: bytes | None, reason: str | None = None) -> SoundLook:
    """Return a look at a sound file; `data` is None where it could not be read, for a `reason`."""
    if data is None:
        return SoundLook(problem=reason or "there is nothing to read")
    try:
        rate, seconds = probe(data)
    except UnreadableSample as error:
        return SoundLook(problem=str(error))
    return SoundLook(rate, seconds) if seconds else SoundLook(problem="holds no sample")


def draft_sounds(path: str, store: ObjectStore, machine: Machine, *, name: str, storage: str, progress: Progress | None) -> Draft:
    """Return a job for the sounds of a folder or zip archive. Raises `DataError` if there are none that can be read."""
    found = list_kind(path, store, "sound")
    looks, broken = look_at_files(found, look_at_sound, most=MAX_LOOKS, progress=progress)
    whole = [look for look in looks if look.problem is None]
    if not whole:
        problem = f"none of the {len(looks):,} sounds of {path} that were looked at can be decoded ({broken[0].reason})"
        raise DataError("PATH", problem, "name a source of sounds that libsndfile reads")
    lengths, rates = np.array([look.seconds for look in whole]), Counter(look.rate for look in whole).most_common()
    entries = [*run_entries(machine, name, storage), *_data(found, lengths, rates[0][0], machine)]
    entries += [*bad_fraction(broken, len(looks)), *_recipe(found), Entry("publish.model", name)]
    facts = {
        "sounds": len(found.files),
        "looked at": len(looks),
        "cannot be decoded": len(broken),
        "other files": found.left_out,
        "seconds": f"{lengths.min():.2f} to {lengths.max():.2f}, half of them {np.median(lengths):.2f} or more",
        "rates": ", ".join(f"{rate:,} Hz {number:,}" for rate, number in rates[:5]),
        "classes": found.classes.summary("sound"),
    }
    return Draft(entries, facts, f"{len(looks):,} of {len(found.files):,} sounds", found.notes)


def _data(found: Files, lengths: np.ndarray, rate: int, machine: Machine) -> Iterator[Entry]:
    wanted, used = float(np.percentile(lengths, LONG)), min(rate, MAX_RATE)
    most = FRAMES[-1] if machine.gpus else MAX_FRAMES_CPU
    frames = min((number for number in FRAMES if number <= most), key=lambda number: abs(number * FRAME_S - wanted))
    hop = max(1, round(FRAME_S * used))
    bins = 32 if used < FINE_RATE else 64
    fields = {"kind": "sound", "rate": used, "seconds": round(frames * hop / used, 4), "bins": bins, "frames": frames}
    cut = f"; longer ones are cut, as {(lengths > fields['seconds']).mean():.0%} are" if (lengths > fields["seconds"]).any() else ""
    yield Entry("data.source", {"kind": "folder", "path": found.source.path}, f"{len(found.files):,} sounds")
    yield Entry("data.modality", fields, f"most files have {rate:,} Hz{cut}")


def _recipe(found: Files) -> Iterator[Entry]:
    conditional = found.classes.conditional("sound")
    replaced = {
        "networks.conditional": conditional,
        "train.total_images": (None, "sounds seen, repeats included; more is better"),
        "train.max_seconds": (None, "of training, if that is less; null: no limit"),
    }
    return shipped(JOB, replaced, left_out=() if found.classes.counts else ("evaluate.extractor",))
