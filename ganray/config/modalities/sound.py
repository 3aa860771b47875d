"""Sounds, as samples: the rate, length and loudness that every file is made to, and whether spectrograms or waves are learned."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ganray.config.fields import FieldError, Integer, Real, Section

MAX_SAMPLES = 1 << 20  # of a wave
Side = Annotated[Integer, Field(ge=16, le=256)]


class SoundModality(Section):
    """Sounds of one length, of wav, flac, ogg, mp3 or other files of any rate and number of channels. Needs the extra `sound`."""

    kind: Literal["sound"] = "sound"
    rate: Integer = Field(16_000, ge=1_000, le=192_000, description="Hz that every sound is resampled to")
    seconds: Real = Field(1.0, gt=0, le=600, description="length: longer sounds are cut, shorter ones padded with silence")
    channels: Integer = Field(1, ge=1, le=2, description="1: mono, channels are averaged; 2: stereo, sounds of one channel get it on both")
    trim: bool = Field(True, description="cut off the silence before the first sound")
    loudness: Literal["peak", "rms", "keep"] = Field(
        "peak", description="peak: scaled to a peak of -1 dB; rms: to a level of -20 dB where there is sound; keep: as it is"
    )
    representation: Literal["spectrogram", "wave"] = Field(
        "spectrogram",
        description="spectrogram: log mel magnitudes as an image, made sound again by Griffin-Lim; wave: the samples themselves",
    )
    bins: Side = Field(64, description="mel bands of a spectrogram, its height")
    frames: Side = Field(64, description="frames of a spectrogram, its width; the length is rounded to a multiple of it in samples")

    @property
    def samples(self) -> int:
        """The length of a wave."""
        return self.hop * self.frames if self.representation == "spectrogram" else max(1, round(self.seconds * self.rate))

    @property
    def hop(self) -> int:
        """Samples from one frame of a spectrogram to the next."""
        return max(1, round(self.seconds * self.rate / self.frames))

    @model_validator(mode="after")
    def _length_fits(self) -> "SoundModality":
        if not 64 <= self.samples <= MAX_SAMPLES:
            problem = f"{self.seconds:g} s at {self.rate} Hz are {self.samples:,} samples, of 64 to {MAX_SAMPLES:,} that a sound may have"
            raise FieldError(problem, "use another length or rate", field="seconds")
        return self
