"""Job files and overrides changed at random: each is a job, or one line that names field, problem and remedy."""

import random
import re
from pathlib import Path

import pytest

from ganray.config import Job, load_job
from ganray.config.describe import describe_fields
from ganray.errors import ConfigError

SEED = 20261126
FILES = [path.read_text() for path in sorted((Path(__file__).parents[2] / "jobs").glob("*.yaml"))]
FIELDS = [re.sub(r"\[[^]]*\]", "", row["field"]) for row in describe_fields()]
TOKENS = ["[", "]", "{", "}", ":", ": ", "- ", "#", " #", "&a ", "*a", "!!int ", "!x", "|", ">", "'", '"', "\\", "%", "@", "`", "?"]
TOKENS += [
    "<<: *a",
    "\n",
    "\t",
    "---\n",
    "...\n",
    "\0",
    "\ufeff",
    "\ud800",
    "\udcff",
    "\x85",
    "é",
    "\U0010ffff",
    "null",
    "~",
    ".inf",
    ".nan",
]
TOKENS += ["1e400", "-1", "0x_", "1:30", "9" * 30, "2024-01-01", "2024-13-45", "yes", "  ", "[" * 50, "kind: ", "start: 1", "x" * 300, "="]
TOKENS += ["s3:/b", "file://h/p", "gs://x"]
VALUES = [*TOKENS, "{kind: r3gan}", "{start: 1e-3, end: 1e-4}", "[1, 2]", "{choice: [1, .nan]}", "{uniform: [0, 1]}", "hinge", "64", "0"]
VALUES += ["true", "auto"]


def changed(text: str, chance: random.Random) -> str:
    """Return a text after some random edits: tokens inserted, replaced and removed, lines repeated, removed and indented."""
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(text) + 1), chance.randint(0, 8)
        lines = text.split("\n")
        line = chance.randrange(len(lines))
        match chance.randrange(6):
            case 0:
                text = text[:at] + chance.choice(TOKENS) + text[at:]
            case 1:
                text = text[:at] + chance.choice(TOKENS) + text[at + length :]
            case 2:
                text = text[:at] + text[at + length :]
            case 3:
                text = "\n".join([*lines[:line], lines[chance.randrange(len(lines))], *lines[line:]])
            case 4:
                text = "\n".join(lines[:line] + lines[line + 1 :])
            case 5 if at % 2:
                text = re.sub(r": .*", lambda found: f": {chance.choice(VALUES)}", text, count=1)
            case 5:
                text = text.replace(lines[line], f" {lines[line]}")
    return text


def is_job_or_line(path: Path, overrides: list[str]) -> bool:
    """Return whether a file and overrides are a job; asserts that they are one line of an error otherwise."""
    try:
        job = load_job(path, overrides)
    except ConfigError as error:
        refusal = error
    else:
        assert Job.model_validate_json(job.model_dump_json()) == job
        return True
    assert all((refusal.field, refusal.problem, refusal.remedy))
    assert str(refusal).isprintable()
    assert "pydantic" not in str(refusal)
    assert len(str(refusal)) < 1500
    return False


@pytest.mark.parametrize("part", range(8))
def test_a_changed_file_is_a_job_or_one_line(tmp_path: Path, part: int) -> None:
    chance = random.Random(f"{SEED} files {part}")
    path = tmp_path / "job.yaml"
    jobs = 0
    for _ in range(60):
        path.write_text(changed(chance.choice(FILES), chance), errors="surrogatepass")
        jobs += is_job_or_line(path, [])
    assert 0 < jobs < 60


@pytest.mark.parametrize("part", range(4))
def test_a_changed_override_is_a_job_or_one_line(tmp_path: Path, part: int) -> None:
    chance = random.Random(f"{SEED} overrides {part}")
    path = tmp_path / "job.yaml"
    path.write_text("name: x\nloss: hinge\naugment: {kind: diff-augment}\nsweep:\n")
    jobs = 0
    for _ in range(300):
        overrides = [f"{chance.choice(FIELDS)}={chance.choice(VALUES)}" for _ in range(chance.randint(1, 3))]
        if chance.random() < 0.3:
            overrides[0] = changed(overrides[0], chance)
        jobs += is_job_or_line(path, overrides)
    assert 0 < jobs < 300
