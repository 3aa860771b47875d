"""Sources and storages that will not do: one line that names field, problem and remedy, exit code 2 or 3, and nothing written."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from PIL import Image

from tests.helpers.commands import ganray_here
from tests.helpers.refusals import as_root, mistake, mounted, objects
from tests.helpers.runs import TINY, checkpoints, ganray, train
from tests.helpers.s3_server import READER, S3Server

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("s3_server", "ray_address")]

QUICKSTART = "jobs/quickstart.yaml"


def used_kb(folder: Path) -> int:
    """Return the kilobytes that a file system holds."""
    return shutil.disk_usage(folder).used // 1024


def texts(folder: Path) -> None:
    for number in range(7):
        (folder / f"{number}.txt").write_text("words")


def broken_images(folder: Path) -> None:
    for number in range(7):
        (folder / f"{number}.jpg").write_text("words")


def images_and_broken_ones(folder: Path) -> None:
    broken_images(folder)
    for number in range(20):
        Image.new("RGB", (20, 20), (number, 0, 0)).save(folder / f"{number}.png")


def images_and_a_locked_one(folder: Path) -> None:
    """Leave a file that not even root may read, as others are to other users."""
    images_and_broken_ones(folder)
    for broken in folder.glob("*.jpg"):
        broken.unlink()
    (folder / "7.png").unlink()
    (folder / "7.png").symlink_to("/proc/sys/vm/drop_caches")


@pytest.mark.parametrize(
    ("fill", "field", "says"),
    [
        (images_and_a_locked_one, "data.source.path", r"cannot read .+: permission denied; grant this user the right"),
        (Path.rmdir, "data.source.path", r"the folder .+ does not exist; name an existing folder"),
        (lambda folder: None, "data.source.path", r"there are no images in .+; name a folder"),
        (texts, "data.source.path", r"there are no images in .+, but 0\.txt, 1\.txt, 2\.txt, and 4 more \(no image.+\); name a folder"),
        (broken_images, "data.source.path", r"none of 7 samples could be read: 0\.jpg \(not an image.+ 4\.jpg \([^,]+\); name a source"),
        (images_and_broken_ones, "data.max_bad_fraction", r"7 of \d+ samples .+: 0\.jpg .+, 1\.jpg .+, 4\.jpg \([^,]+\); repair or"),
    ],
    ids=["locked", "missing", "empty", "texts", "broken", "partly broken"],
)
def test_a_folder_that_is_not_one_of_images_is_refused(fill: Callable[[Path], object], field: str, says: str, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    fill(folder)
    storage = tmp_path / "store"
    named, line = mistake(ganray_here("train", "jobs/folder.yaml", f"data.source.path={folder}", f"storage={storage}"))
    assert named == field
    assert re.search(says, line), line
    assert objects(storage) == []


@pytest.mark.parametrize(
    ("who", "bucket_name", "says"),
    [
        ({}, "not-there", "there is no bucket not-there; create it"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret-0123456789"}, None, "the secret key is not the one of the access key; set AWS_"),
        ({"AWS_ACCESS_KEY_ID": READER.access_key, "AWS_SECRET_ACCESS_KEY": READER.secret_key}, None, "access is denied; let these"),
    ],
    ids=["unknown bucket", "wrong secret", "read-only"],
)
def test_a_bucket_that_cannot_be_written_is_refused(
    s3_server: S3Server, bucket: str, who: dict[str, str], bucket_name: str | None, says: str
) -> None:
    storage = f"s3://{bucket_name}/prefix" if bucket_name else bucket
    field, line = mistake(ganray_here("train", QUICKSTART, f"storage={storage}", **who), exit_code=3)
    assert field == "storage"
    assert says in line
    assert "secret-0123456789" not in line
    listed = s3_server.client().list_objects_v2(Bucket=bucket.split("/")[2])
    assert listed["KeyCount"] == 0
    assert "not-there" not in [entry["Name"] for entry in boto3.client("s3").list_buckets()["Buckets"]]


@as_root
def test_a_store_on_a_read_only_file_system_is_refused(tmp_path: Path) -> None:
    with mounted(tmp_path / "store", "-o", "ro,size=1m") as storage:
        field, line = mistake(ganray_here("train", QUICKSTART, f"storage={storage}"), exit_code=3)
        assert field == "storage"
        assert "read-only file system; mount it for writing" in line
        assert list(storage.iterdir()) == []


@as_root
def test_a_disk_that_fills_while_data_is_prepared_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    with mounted(tmp_path / "store", "-o", "size=1m") as storage:
        field, line = mistake(ganray_here("train", QUICKSTART, f"storage={storage}"), exit_code=3)
        assert field == "storage"
        assert "no space left on device; free some space" in line
        assert objects(storage) == []


@as_root
@pytest.mark.slow
def test_a_disk_that_fills_while_a_run_trains_is_said_once_and_with_room_again_the_run_goes_on(ray_address: str, tmp_path: Path) -> None:
    with mounted(tmp_path / "store", "-o", "size=6m") as storage:
        prepared = ganray("prepare", QUICKSTART, *TINY, f"storage={storage}", "--address", ray_address)
        assert prepared.returncode == 0, prepared.stderr
        subprocess.run(["mount", "-o", f"remount,size={used_kb(storage) + 1000}k", str(storage)], check=True)
        full = train(storage, "--address", ray_address)
        assert full.returncode == 3, full.stderr
        assert full.stderr.count("no space left on device") == 1
        assert full.stderr.splitlines()[-1].startswith("error: storage: cannot write")
        subprocess.run(["mount", "-o", "remount,size=20m", str(storage)], check=True)
        again = train(storage, "--address", ray_address)
        assert again.returncode == 0, again.stderr
        folders = sorted(path.name for path in (storage / "runs/tiny/checkpoints").iterdir())
        assert folders == [path.name for path in checkpoints(storage)]
