"""What a Ray job takes along from this folder: the package and job files, not data that lies beside them."""

import shutil
import zipfile
from pathlib import Path

from ray._private.runtime_env.packaging import create_package

REPOSITORY = Path(__file__).parents[2]
TAKEN = ["ganray/cli/__init__.py", "ganray/data/bundled/a.parquet", "jobs/birds.yaml", "mine.yaml", "pyproject.toml"]
LEFT = ["images/1.png", "images/ganray/1.png", "photos.zip", "store/runs/a/job.json", "tests/test_a.py", "README.md", "benchmarks/a.csv"]


def test_a_job_takes_code_and_job_files_along_and_no_data(tmp_path: Path) -> None:
    folder, package = tmp_path / "folder", tmp_path / "package.zip"
    for name in [*TAKEN, *LEFT]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    shutil.copy(REPOSITORY / ".rayignore", folder)
    create_package(str(folder), package, include_gitignore=True, include_parent_dir=False, excludes=[])
    assert sorted(name for name in zipfile.ZipFile(package).namelist() if not name.endswith("/")) == sorted(TAKEN)
