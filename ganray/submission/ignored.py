"""Which files of a folder are a package's: all that no .gitignore and no .rayignore on the way to them leaves out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ray._private.thirdparty.pathspec.pathspec import PathSpec

from ganray.errors import ConfigError

IGNORE_FILES = (".gitignore", ".rayignore")
ALWAYS_LEFT_OUT = {"__pycache__", ".git"}


@dataclass(frozen=True)
class Rules:
    """The patterns of one ignore file, relative to its folder."""

    folder: Path
    patterns: PathSpec

    def match(self, path: Path, *, is_folder: bool) -> bool:
        """Return whether a path below the folder is left out."""
        name = path.relative_to(self.folder).as_posix()
        return bool(self.patterns.match_file(f"{name}/" if is_folder else name))


def files_below(folder: Path, *, root: Path) -> Iterator[Path]:
    """Yield the regular files below `folder`, in the order of their names, that no ignore file from `root` downwards leaves out.

    Links to folders are not followed. Raises `ConfigError` for a folder that is an environment or a storage of ganray's, which
    nobody means to send.
    """
    above = [root, *(root / part for part in _parts_between(root, folder))]
    rules = [rule for parent in above for rule in _rules_of(parent)]
    if folder == root or not _is_left_out(folder, rules, is_folder=True):
        yield from _walk(folder, rules)


def _parts_between(root: Path, folder: Path) -> list[Path]:
    """Return the folders between two, relative to the upper one, without both."""
    parts = folder.relative_to(root).parts
    return [Path(*parts[:depth]) for depth in range(1, len(parts))]


def _walk(folder: Path, above: list[Rules]) -> Iterator[Path]:
    _refuse_by_accident(folder)
    rules = above + [rule for rule in _rules_of(folder) if rule not in above]
    for path in sorted(folder.iterdir()):
        is_folder = path.is_dir()
        if path.name in ALWAYS_LEFT_OUT or (is_folder and path.is_symlink()) or _is_left_out(path, rules, is_folder=is_folder):
            continue
        if is_folder:
            yield from _walk(path, rules)
        elif path.is_file():
            yield path


def _rules_of(folder: Path) -> list[Rules]:
    """Return the rules of a folder's own ignore files."""
    files = [folder / name for name in IGNORE_FILES]
    return [Rules(folder, PathSpec.from_lines("gitwildmatch", file.read_text().splitlines())) for file in files if file.is_file()]


def _is_left_out(path: Path, rules: list[Rules], *, is_folder: bool) -> bool:
    return any(rule.match(path, is_folder=is_folder) for rule in rules)


def _refuse_by_accident(folder: Path) -> None:
    """Raise `ConfigError` for a folder that is a Python environment or a storage."""
    if (folder / "pyvenv.cfg").exists() or (folder / "conda-meta").is_dir():
        raise _refusal(folder, "is a Python environment")
    if any(next(folder.glob(pattern), None) for pattern in ("runs/*/job.json", "datasets/*/card.json", "models/*/best.json")):
        raise _refusal(folder, "is a storage of ganray's")


def _refusal(folder: Path, problem: str) -> ConfigError:
    return ConfigError("--include", f"{folder} {problem}, which a job does not take along", "name it in .rayignore, or include less")
