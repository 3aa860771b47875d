"""The formats of answers: what each kind of sample registers, and rows that are numbered as they are generated."""

import io
from pathlib import Path

import numpy as np

from ganray.generation.formats import FORMATS
from ganray.generation.provenance import provenance
from ganray.registry.registry import Registry
from ganray.serve.formats import MEDIA_TYPES, answers_of
from ganray.serve.versions import Versions
from ganray.storage import open_store
from tests.generation.test_rows import files
from tests.helpers.serving import LocalServer
from tests.helpers.tables import fit, people


def test_every_kind_is_answered_in_what_it_registers() -> None:
    assert list(answers_of("sound")) == ["wav", "png", "npy"]
    assert {kind for kind in FORMATS if kind != "sound" and list(answers_of(kind)) != ["png", "npy"]} == set()
    assert list(MEDIA_TYPES) == ["png", "npy", "wav"]


def test_rows_of_an_answer_are_all_that_there_are_also_where_generate_leaves_some_out(tmp_path: Path) -> None:
    made = files(fit(people().select(["income", "hours"]), rules=["unique income, hours"]))
    Registry(open_store(tmp_path / "store")).publish("t", made, {"images_seen": 1}, key="k")
    client = LocalServer(Versions(str(tmp_path / "store/models/t/0001"))).client()
    assert len(np.load(io.BytesIO(client.get("/samples?num=200&format=npy").content))) == 200
    (tmp_path / "rows.png").write_bytes(client.get("/samples?num=200").content)
    facts = provenance(tmp_path / "rows.png", storage=str(tmp_path / "store"))
    assert (facts["index"], facts["num"], facts["largest_difference"]) == (0, 200, 0)
