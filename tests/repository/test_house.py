"""The structure of the package: import order of folders, sizes, docstrings, and the words of the glossary."""

import ast
import functools
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "ganray"
FOLDERS = ["config", "storage", "modalities", "gan", "metrics", "cluster", "data", "scaffold", "registry", "export", "evaluation", "runs"]
FOLDERS += ["track", "train", "sweep", "report", "generation", "serve", "submission", "cli"]  # a file imports from its own and earlier ones
KEPT_OUT = {  # third parties that a folder does without
    "config": {"torch", "ray", "boto3", "numpy"},
    "storage": {"torch", "ray"},
    "modalities": {"torch", "ray"},
    "gan": {"ray"},
    "metrics": {"ray"},
    "data": {"torch"},
    "scaffold": {"torch", "ray"},
    "registry": {"ray"},
    "export": {"ray"},
    "track": {"torch", "ray"},
    "submission": {"torch"},
}
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_FILES_PER_FOLDER = 250, 40, 15
LONG_FUNCTIONS: set[str] = set()  # "folder/file.py:function": each needs a reason beside it
RENAMED = {"ganray/config/renamed.py", "tests/config/test_renamed.py", "tests/repository/test_house.py", "CHANGELOG.md"}  # name old keys
TEXTS = [*FILES, *(REPOSITORY / "tests").rglob("*.py"), *(REPOSITORY / "benchmarks").rglob("*.py"), *(REPOSITORY / "jobs").glob("*.yaml")]
TEXTS += [*(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "Makefile"]
WORDS = {  # a private word, anywhere in code or text: the field's word
    r"\bdesk\b": "queue",
    r"\b(mailbox|remark|hand_in)\b": "message, submit",
    r"\bforeman\b": "dispatcher",
    r"(?<!__)\bslots?\b(?!=True)": "worker group",
    r"\blegs?\b": "training iteration, rung",
    r"\b(carry_out|adopt)\b": "exploit, clone",
    r"\b(comeback|go_back|gone_back)\b": "rollback, roll_back",
    r"\bkeeper\b": "checkpoint writer",
    r"\b(milestones?|pass_by)\b": "periodic actions: evaluate, sample, checkpoint",
    r"\bledger\b": "metrics logger",
    r"\bmeanwhile\b": "background",
    r"\b(was_asked_to_stop|hand_over)\b": "stop_requested",
    r"\bwritten_aside\b|\baside\b": "atomic write, temporary file",
    r"\bwhence\b": "provenance",
    r"\b(retired?|bury|buried)\b": "delete, garbage collection",
    r"\bupkeep\b": "part of `models`",
    r"\bnorm_group\b": "ghost_batch",
    r"\b(average_half_life|calibrated_average)\b": "ema_half_life, generator_ema",
    r"\bwhen_done\b": "publish.auto",
    r"\b\w*(MOST|LARGEST|SMALLEST|FEWEST)_\w+": "MAX_, MIN_",
    r"\bhold\(": "load into the object store",
    r"\bsay(=|\(|: )|\bself\.say\b": "logging",
    r"\bpictures?\b": "image (data that is an image), sample (of a dataset or generator)",
    r"\bwho(m)?ever\b": "a plain subject",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def lines_of(path: Path) -> list[str]:
    """Return the file's own name and its lines."""
    return [path.stem, *path.read_text().splitlines()]


@functools.cache
def text_of(path: Path) -> str:
    return "\n".join(lines_of(path))


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, at its top or in a function."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module
            yield node.module
            if node.module == "ganray":
                yield from (f"ganray.{alias.name}" for alias in node.names)


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    """Yield the functions, classes and methods of a file, by their dotted names."""

    def below(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield f"{prefix}{child.name}", child
                if isinstance(child, ast.ClassDef):
                    yield from below(child, f"{prefix}{child.name}.")

    yield from below(tree_of(path), "")


@pytest.mark.parametrize("path", [path for path in FILES if path.parent != PACKAGE], ids=name_of)
def test_a_file_imports_only_from_its_folder_and_earlier_ones(path: Path) -> None:
    folder = path.relative_to(PACKAGE).parts[0]
    assert folder in FOLDERS
    for module in imported(path):
        top, *rest = module.split(".")
        assert top not in KEPT_OUT.get(folder, set()), f"{module} is kept out of {folder}/"
        if top == "ganray" and rest and rest[0] in FOLDERS:
            assert FOLDERS.index(rest[0]) <= FOLDERS.index(folder), f"{folder}/ comes before {rest[0]}/"


def test_only_storage_s3_knows_boto3() -> None:
    knowing = {path.parent for path in FILES for module in imported(path) if module.split(".")[0] in ("boto3", "botocore", "s3transfer")}
    assert knowing == {PACKAGE / "storage/s3"}


def test_only_the_training_loop_reports_to_ray_train() -> None:
    reporting = [name_of(path) for path in FILES if re.search(r"\btrain\.report\(", path.read_text())]
    assert reporting == ["ganray/train/worker/loop.py"]


def test_the_command_line_starts_without_torch_and_ray() -> None:
    script = "import sys, ganray.cli; print(sorted({'torch', 'ray', 'boto3', 'optuna', 'pandas', 'plotly'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_files_and_folders_stay_small() -> None:
    lines = {name_of(path): path.read_text().count("\n") for path in FILES}
    assert {name: count for name, count in lines.items() if count > MAX_FILE_LINES} == {}
    folders = Counter(name_of(path.parent) for path in FILES if path.name != "__init__.py")
    assert {name: count for name, count in folders.items() if count > MAX_FILES_PER_FOLDER} == {}


def test_functions_stay_small() -> None:
    long = {
        f"{path.relative_to(PACKAGE)}:{name}": length
        for path in FILES
        for name, node in functions(path)
        if not isinstance(node, ast.ClassDef) and (length := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert set(long) == LONG_FUNCTIONS, long


def test_everything_public_has_a_docstring() -> None:
    missing = [
        f"{name_of(path)}:{node.lineno}: {name}"
        for path in FILES
        for name, node in functions(path)
        if not any(part.startswith("_") for part in name.split(".")) and not ast.get_docstring(node)
    ]
    missing += [name_of(path) for path in FILES if path.read_text().strip() and not ast.get_docstring(tree_of(path))]
    assert missing == []


@pytest.mark.parametrize(("word", "instead"), WORDS.items(), ids=WORDS.values())
def test_the_field_s_words_are_used(word: str, instead: str) -> None:
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in sorted(set(TEXTS))
        if path.exists() and name_of(path) not in RENAMED and re.search(word, text_of(path))
        for number, line in enumerate(lines_of(path))
        if re.search(word, line)
    ]
    assert not found, f"say {instead!r}:\n" + "\n".join(found)
