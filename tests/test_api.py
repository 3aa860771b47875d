"""The Python API: every name resolves, is typed as it resolves, and costs no import of torch or Ray before its use."""

import ast
import inspect
import pydoc
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import ganray
from ganray.errors import GanrayError

REPOSITORY = Path(ganray.__file__).parents[1]
NAMES = sorted(set(ganray.__all__) - {"__version__"})


@pytest.mark.parametrize("name", NAMES)
def test_every_name_resolves_and_is_documented(name: str) -> None:
    value = getattr(ganray, name)
    assert inspect.getdoc(value)
    assert name in dir(ganray)
    if inspect.isfunction(value):
        hints = inspect.get_annotations(value)
        assert {*inspect.signature(value).parameters, "return"} == set(hints)


def test_type_checkers_see_what_is_imported_lazily() -> None:
    (block,) = [node for node in ast.parse(Path(ganray.__file__).read_text()).body if isinstance(node, ast.If)]
    seen = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == ganray._LAZY


def test_a_name_that_is_not_there_is_an_error_for_type_checkers(tmp_path: Path) -> None:
    use = tmp_path / "use.py"
    lines = [
        "import ganray",
        "ganray.run_training",
        "ganray.Registry.open",
        "ganray.__version__",
        "ganray.run_trainnig",
        "ganray.Job(nme='x')",
    ]
    use.write_text("\n".join([*lines, ""]))
    mypy = [sys.executable, "-m", "mypy", str(use)]  # with the options of `make types`, whose cache it shares
    done = subprocess.run(mypy, capture_output=True, text=True, cwd=REPOSITORY)
    errors = [line.partition("use.py:")[2] for line in done.stdout.splitlines() if "error:" in line]
    assert [error.split(":")[0] for error in errors] == ["5", "6"], done.stdout + done.stderr
    assert 'Module has no attribute "run_trainnig"; maybe "run_training"?' in errors[0]


def test_help_lists_the_public_names() -> None:
    text = pydoc.render_doc(ganray, renderer=pydoc.plaintext)
    for name in NAMES:
        assert re.search(rf"^    (class )?{name}\b", text, re.MULTILINE), name


def test_importing_the_package_is_light() -> None:
    code = "import ganray, sys; ganray.load_job, ganray.__version__; sys.exit(bool({'torch', 'ray', 'boto3'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_version_is_the_packages() -> None:
    assert ganray.__version__ == version("ganray")


def test_every_error_is_exported() -> None:
    subclasses = [error for error in GanrayError.__subclasses__() if error.__module__.startswith("ganray.")]
    assert {error.__name__ for error in subclasses} < set(ganray.__all__)
    assert {error.__module__ for error in subclasses} == {"ganray.errors"}  # so that all are known, whatever was imported


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'train_model'"):
        ganray.train_model  # noqa: B018
