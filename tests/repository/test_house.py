"""The rooms of the house: a file imports only from its own room and from rooms above it, and each library has its room."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "ganray"
ROOMS = ["config", "store", "media", "data", "gan", "metrics", "registry", "train", "sweep", "generate", "cluster", "cli"]
KEPT_OUT = {
    "config": {"torch", "ray", "boto3", "numpy"},
    "store": {"torch", "ray"},
    "media": {"torch", "ray", "boto3"},
    "data": {"torch", "boto3"},
    "gan": {"ray", "boto3"},
    "metrics": {"ray", "boto3"},
    "registry": {"ray", "boto3"},
    "train": {"boto3"},
    "sweep": {"boto3"},
    "generate": {"boto3"},
    "cli": {"boto3"},
}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            if node.module == "ganray":
                yield from (f"ganray.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_from_its_room_and_those_above(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    assert room in ROOMS
    for module in imported(path):
        top, *rest = module.split(".")
        assert top not in KEPT_OUT[room], f"{module} is kept out of {room}/"
        if top == "ganray" and rest and rest[0] in ROOMS:
            assert ROOMS.index(rest[0]) <= ROOMS.index(room), f"{module} lies below {room}/"


def test_only_the_store_knows_boto3() -> None:
    knowing = {
        path.relative_to(PACKAGE).parts[0] for path in FILES for module in imported(path) if module.split(".")[0] in ("boto3", "botocore")
    }
    assert knowing == {"store"}


def test_one_file_reports_to_ray_train() -> None:
    reporting = [path.name for path in FILES if "ray.train.report(" in path.read_text()]
    assert reporting == ["milestone.py"]
