"""The settings of a server, which are the arguments of its application in a Serve config file."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ganray.serve.queries import MAX_NUM


class Settings(BaseModel):
    """What is served, and how. `artifact` is the URI of a model's folder, whose best version is followed, or of a version's."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    artifact: str
    public_key: Path | None = Field(None, description="a PEM file: versions must be signed by the private half")
    min_replicas: int = Field(1, ge=1, description="replicas when nobody asks")
    max_replicas: int = Field(1, ge=1, description="replicas under load")
    use_gpu: bool = Field(False, description="a GPU for each replica; samples may then differ by a grey level from those of a CPU")
    max_num: int = Field(256, ge=1, le=MAX_NUM, description="samples in one answer")
    rate: float = Field(2000.0, ge=0, allow_inf_nan=False, description="samples a second for each client and replica; 0: no limit")
    follow_s: float = Field(10.0, gt=0, allow_inf_nan=False, description="seconds between looks for a newly promoted version")

    @model_validator(mode="after")
    def _replicas(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas is {self.min_replicas}, and max_replicas {self.max_replicas}")
        return self
