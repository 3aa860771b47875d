"""The provenance record in generated files: version, seed and sample, and IPTC's digital source type."""

import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ganray.config.modalities.table import MAX_COLUMNS
from ganray.errors import plural
from ganray.registry.manifest import MAX_MODEL_NAME, Manifest, name_of
from ganray.storage import ObjectStore

KEY = "ganray"  # key of the record as JSON, in a PNG text chunk or Parquet's schema metadata
XMP_KEY = "XML:com.adobe.xmp"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"  # IPTC's term for the output of a trained model
# IPTC Photo Metadata Standard 2023.1, section "Digital Source Type"
XMP = (
    '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)

MAX_REACH = 10  # standard deviations of a latent

Value = Annotated[str, Field(max_length=10_000)]


class Record(BaseModel):
    """The origin of a file: a version by name, URI and manifest hash, the seed, class and truncation if given, and the samples.

    These are the one of `index`; or `num` from `index` on, the first `num` without it; or `num` on the way from `index` to `end`; or that
    of `index`, moved by -reach to reach along the published `direction` of this number, from 1, in `num` steps. `where` are the values
    that columns of a table were given.
    """

    model_config = ConfigDict(frozen=True)
    model: str | None = Field(max_length=MAX_MODEL_NAME)
    version: str | None = Field(pattern=r"^[!-~]{1,20}$")  # printed as it stands
    artifact: str = Field(max_length=2000)
    manifest: str = Field(pattern=r"^[0-9a-f]{64}$")
    seed: int = Field(ge=0, lt=1 << 63)
    label: int | None = Field(None, ge=0)
    truncation: float | None = Field(None, gt=0, allow_inf_nan=False)
    where: dict[Value, Value] | None = Field(None, max_length=MAX_COLUMNS)
    index: int | None = Field(None, ge=0, lt=1 << 48)
    num: int | None = Field(None, ge=1)
    end: int | None = Field(None, ge=0, lt=1 << 48)
    direction: int | None = Field(None, ge=1)
    reach: float | None = Field(None, gt=0, le=MAX_REACH)
    digital_source_type: str = SOURCE_TYPE

    @property
    def is_one(self) -> bool:
        """Whether the file is that of one sample by its index."""
        return self.index is not None and self.num is None and self.end is None and self.direction is None

    @property
    def count(self) -> int:
        """How many samples the file has."""
        return max(self.num or 0, 1 if self.end is None and self.direction is None else 2)

    def of(self, *, index: int | None = None, num: int | None = None) -> "Record":
        """Return the record of one sample, or of a file that holds the first `num`."""
        return self.model_copy(update={"index": index, "num": num})

    def to_json(self) -> str:
        """Return the record as JSON, without fields that are None."""
        return self.model_dump_json(exclude_none=True)

    def claim(self) -> str:
        """Return what a record says that a file is, in a line that is safe to print."""
        return f"{self.samples()} of {name_of(self.model, self.version)} from seed {self.seed}, at {self.artifact!r}"

    def samples(self) -> str:
        """Return which samples a file holds, as a message names them."""
        start = self.index or 0
        if self.end is not None:
            return f"{plural(self.num or 1, 'sample')} from {start} to {self.end}"
        if self.direction is not None:
            return f"{plural(self.num or 1, 'sample')} along direction {self.direction} from sample {start}"
        if self.index is not None and self.num is None:
            return f"sample {self.index}"
        return f"samples {start} to {start + (self.num or 1) - 1}"

    def texts(self) -> dict[str, str]:
        """Return the record as PNG text chunks by keyword: as JSON, and as XMP with IPTC's digital source type."""
        return {KEY: self.to_json(), XMP_KEY: XMP}


def make_record(
    store: ObjectStore,
    manifest: Manifest,
    *,
    seed: int,
    label: int | None = None,
    truncation: float | None = None,
    where: Mapping[str, str] | None = None,
) -> Record:
    """Return the record of all files from one version and seed. Settings of its URI are left out: they are this machine's."""
    return Record(
        model=manifest.lineage.get("model"),
        version=manifest.lineage.get("version"),
        artifact=store.uri.partition("?")[0],
        manifest=manifest.hash,
        seed=seed,
        label=label,
        truncation=truncation,
        where=dict(where) if where else None,
    )


def parse_record(texts: Mapping[str, str]) -> Record | None:
    """Return the record in a file's texts, None without a valid one."""
    try:
        return Record.model_validate(json.loads(texts[KEY]))
    except (KeyError, ValueError, RecursionError):
        return None
