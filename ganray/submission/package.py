"""What a Ray job takes along: ganray as it is installed here, the job file, and small files that the job names; no data.

The zip file of the same files is the same to the bit, so that a cluster which has it already is not sent it again.
"""

import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic.fields import FieldInfo

import ganray
from ganray.config import Job
from ganray.config.fields import Section, is_place
from ganray.errors import ConfigError, plural
from ganray.submission.ignored import files_below

JOB_FOLDER = "jobs"  # where the job file lies in a package
MAX_BYTES = 64 << 20  # of what is included, uncompressed: more than that is data
MAX_NAMED_BYTES = 10 << 20  # of a file that a field of the job names, as a key or an extractor's weights
EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """A zip file, and what it holds: the job's path in it, the number of files, and their size uncompressed."""

    path: Path
    job: str
    num_files: int
    num_bytes: int

    def describe(self) -> str:
        """Return what the package holds and its size, in words."""
        sizes = f"{self.num_bytes / 1e6:.1f} MB, zipped {self.path.stat().st_size / 1e6:.1f} MB"
        return f"ganray {ganray.__version__} and {self.job}: {plural(self.num_files, 'file')}, {sizes}"


def build_package(job_file: Path, job: Job, target: Path, *, include: Iterable[Path] = ()) -> Package:
    """Write the package of a job to `target`, a new zip file. `include` are more files and folders, below the working directory.

    Raises `ConfigError` for a field that names a local file or folder which is not taken along, and for data, a storage or an
    environment among what is included.
    """
    here = Path.cwd()
    included = {path: path.relative_to(here).as_posix() for path in _included(include, here)}
    named = {path: path.relative_to(here).as_posix() for path in named_files(job, here, set(included))}
    job_name = f"{JOB_FOLDER}/{job_file.name}"
    files = {**dict(_own_files()), **named, **included, here / job_file: job_name}
    if twice := [name for name, count in Counter(files.values()).items() if count > 1]:
        raise ConfigError("--include", f"{twice[0]} would be in the package twice", "leave it out, or rename it")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, name in sorted(files.items(), key=lambda item: item[1]):
            archive.writestr(_entry(name), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return Package(target, job_name, len(files), sum(path.stat().st_size for path in files))


def _entry(name: str) -> zipfile.ZipInfo:
    """Return an entry that says nothing of the time, and that everybody may read."""
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.external_attr = 0o100644 << 16
    return entry


def _own_files() -> Iterator[tuple[Path, str]]:
    """Yield the files of this ganray, and their names in a package."""
    package = Path(ganray.__file__).parent
    is_checkout = (package.parent / "pyproject.toml").is_file()
    for path in files_below(package, root=package.parent if is_checkout else package):
        yield path, path.relative_to(package.parent).as_posix()


def _included(paths: Iterable[Path], here: Path) -> list[Path]:
    """Return the files of what `--include` names. Raises `ConfigError`."""
    files = [file for path in paths for file in _files_of(path, here)]
    if (size := sum(file.stat().st_size for file in files)) > MAX_BYTES:
        largest = max(files, key=lambda file: file.stat().st_size).relative_to(here)
        problem = f"{plural(len(files), 'file')} of {size / 1e6:,.0f} MB are more than a job takes along ({MAX_BYTES / 1e6:.0f} MB)"
        raise ConfigError("--include", problem, f"put data on s3:// or a folder that all nodes share; the largest is {largest}")
    return files


def _files_of(path: Path, here: Path) -> list[Path]:
    whole = Path(os.path.normpath(here / path))
    if not whole.is_relative_to(here):
        raise ConfigError("--include", f"{path} lies outside the working directory", "change to a folder above it")
    if whole.is_file():
        return [whole]
    if not whole.is_dir():
        raise ConfigError("--include", f"there is no file or folder {path}", "name one below the working directory")
    if not (files := list(files_below(whole, root=here))):
        raise ConfigError("--include", f"{path} has no file that .gitignore and .rayignore leave in", "change them, or name its files")
    return files


def named_files(job: Job, here: Path, included: set[Path]) -> list[Path]:
    """Return the small files that the job names by relative paths, which go along. Raises `ConfigError` for what does not."""
    return [
        path
        for field, place in places(job).items()
        if not ("://" in place or os.path.isabs(place)) and (path := _named_file(field, place, here, included))
    ]


def _named_file(field: str, place: str, here: Path, included: set[Path]) -> Path | None:
    """Return the file that a field names by a relative path, None for what is included already."""
    path = Path(os.path.normpath(here / place))
    if field != "storage" and any(file == path or path in file.parents for file in included):
        return None
    is_small = path.is_file() and path.stat().st_size <= MAX_NAMED_BYTES and path.is_relative_to(here)
    if field == "storage" or field.startswith("data.") or not is_small:
        remedy = "use s3://... or an absolute folder that all nodes share"
        raise ConfigError(field, f"{place!r} is a place of this machine, which a Ray job does not take along", remedy)
    return path


def places(section: Section, prefix: str = "") -> dict[str, str]:
    """Return the paths and URIs of a job by the dotted paths of their fields."""
    found: dict[str, str] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            found |= places(value, f"{prefix}{name}.")
        elif isinstance(value, str) and _names_place(field, value):
            found[f"{prefix}{name}"] = value
    return found


def _names_place(field: FieldInfo, value: str) -> bool:
    return is_place(field) and value != "auto"
