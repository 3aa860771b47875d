"""The documentation site: it builds without a warning, and what it shows is run."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ganray.cli import group
from ganray.config import load_job
from tests.repository.test_readme import COMMANDS, DRY_RUN, leaves, prefix_of, shell_commands

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted((REPOSITORY / "docs").glob("*.md"))
RUN_BESIDES = {  # commands that the README shows otherwise, or only names: what runs them
    "ganray prepare": f"{COMMANDS}test_prepare_finds_what_training_prepared",
    "ganray train jobs/quickstart.yaml": ".ci/run",
    "ganray train jobs/quickstart.yaml --dry-run": f"{DRY_RUN}test_a_dry_run_prints_the_plan_and_writes_nothing",
    "ganray config": "tests/repository/test_readme.py::test_config_describes_every_field",
}
WORDS = [(page.name, words) for page in PAGES for words in shell_commands(page.read_text())]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a link to nothing is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.e2e
def test_the_reference_has_every_command_field_and_public_name(site: Path) -> None:
    commands, job, python = ((site / f"reference/{name}/index.html").read_text() for name in ("commands", "job", "python"))
    for path, _ in leaves(group):
        assert f"ganray {' '.join(path)}</h2>" in re.sub(r"<a class=\"headerlink.*?</a>", "", commands)
    for field in ("train.total_images", "data.source[folder].path", "sweep.trials"):
        assert f"<code>{field}</code>" in job
    for name in ("load_generator", "run_training", "Registry", "GanrayError"):
        assert f"ganray.{name}" in python
    assert "Raises" in python


@pytest.mark.e2e
def test_the_site_asks_no_other_server_for_anything(site: Path) -> None:
    for page in site.rglob("*.html"):
        sources = re.findall(r"<(?:script|img|link)\b[^>]*?(?:src|href)=\"?(https?://[^\">\s]+)", page.read_text())
        assert sources == [], page


@pytest.mark.parametrize(("page", "words"), WORDS, ids=[f"{page}: {' '.join(words)}" for page, words in WORDS])
def test_a_command_of_a_page_is_run_by_something(page: str, words: list[str]) -> None:
    assert prefix_of(words) or any(" ".join(words).startswith(start) for start in RUN_BESIDES), f"{page}: say what runs it"
    if jobs := [word for word in words if word.startswith("jobs/")]:
        load_job(REPOSITORY / jobs[0], [word for word in words if re.match(r"[a-z_.]+=", word)])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_on_a_page_parses_and_files_that_it_names_exist(page: Path) -> None:
    text = page.read_text()
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        ast.parse(block)
    named = re.findall(r"`((?:ganray|tests|jobs|benchmarks)/[\w./-]+\.\w+)`", text)
    assert [name for name in named if not (REPOSITORY / name).exists()] == []
