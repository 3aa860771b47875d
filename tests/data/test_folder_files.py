"""Which files of a folder, prefix or archive are samples, and what they say about classes: a table of cases, without Ray."""

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ganray.config import Data, FolderSource, ParquetSource
from ganray.data.sources import list_source
from ganray.data.sources.archive import archive_files
from ganray.data.sources.files import folder_files
from ganray.data.sources.folder import list_folder
from ganray.data.sources.labels import find_classes
from ganray.data.sources.rows import Listing
from ganray.errors import DataError
from ganray.modalities.formats import extension, image_extensions, starts_as_image
from ganray.storage import open_store

Tree = Mapping[str, bytes]
ON_S3 = ("strays in the root", "names without an extension", "dataset.json")  # cases that are tried there, too


def encoded(format: str = "PNG", grey: int = 0) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (4, 4), (grey,) * 3).save(buffer, format)
    return buffer.getvalue()


PNG = encoded()
TEXT = b"a,b\n1,2\n"
TWO_CLASSES = {"cat/1.png": PNG, "cat/2.png": PNG, "dog/1.png": PNG}
KEYS = sorted(TWO_CLASSES)


def labels_json(**labels: object) -> bytes:
    return json.dumps({"labels": [[name.replace("__", "/") + ".png", label] for name, label in labels.items()]}).encode()


CASES: dict[
    str, tuple[Tree, list[str] | None, list[str], dict[str, str]]
] = {  # files, classes, samples, left out with a part of the reason
    "class folders": (TWO_CLASSES, ["cat", "dog"], KEYS, {}),
    "one folder is no class": ({"all/1.png": PNG, "all/2.png": PNG}, None, ["all/1.png", "all/2.png"], {}),
    "strays in the root": (
        {**TWO_CLASSES, "Thumbs.db": TEXT, "labels.csv": TEXT, "README": TEXT, "notes.md": TEXT, "run.sh": TEXT},
        ["cat", "dog"],
        KEYS,
        {"README": "first bytes", **dict.fromkeys(["Thumbs.db", "labels.csv", "notes.md", "run.sh"], "extension")},
    ),
    "a stray in a class folder": ({**TWO_CLASSES, "cat/Thumbs.db": TEXT}, ["cat", "dog"], KEYS, {"cat/Thumbs.db": "extension"}),
    "a class needs a sample": ({**TWO_CLASSES, "meta/labels.csv": TEXT}, ["cat", "dog"], KEYS, {"meta/labels.csv": "extension"}),
    "hidden files are not mentioned": ({**TWO_CLASSES, ".DS_Store": TEXT, "cat/.x.png": PNG, ".git/y.png": PNG}, ["cat", "dog"], KEYS, {}),
    "a damaged image is a sample": ({**TWO_CLASSES, "dog/2.JPG": TEXT}, ["cat", "dog"], [*KEYS, "dog/2.JPG"], {}),
    "an empty file of an image's name is a sample": ({**TWO_CLASSES, "dog/2.png": b""}, ["cat", "dog"], [*KEYS, "dog/2.png"], {}),
    "a format that Pillow lacks is a sample": ({**TWO_CLASSES, "dog/2.heic": PNG}, ["cat", "dog"], [*KEYS, "dog/2.heic"], {}),
    "names without an extension": (
        {"a": PNG, "b.0001": encoded("JPEG"), "c.jpg_large": encoded("WEBP"), "d": TEXT, "e.2": b"", "f.png?w=9": encoded("GIF")},
        None,
        ["a", "b.0001", "c.jpg_large", "f.png?w=9"],
        {"d": "first bytes", "e.2": "first bytes"},
    ),
    "an archive is a source of its own": ({"1.png": PNG, "more.zip": b"PK"}, None, ["1.png"], {"more.zip": "archive"}),
    "an image in no class folder": ({**TWO_CLASSES, "0.png": PNG}, None, ["0.png", *KEYS], {}),
    "dataset.json": (
        {"0/a.png": PNG, "0/b.png": PNG, "1/c.png": PNG, "dataset.json": labels_json(**{"0__a": 10, "0__b": 9, "1__c": 10})},
        ["9", "10"],
        ["0/a.png", "0/b.png", "1/c.png"],
        {},
    ),
    "dataset.json of images in the root": (
        {"a.png": PNG, "b.png": PNG, "dataset.json": labels_json(a="x", b="y")},
        ["x", "y"],
        ["a.png", "b.png"],
        {},
    ),
    "dataset.json of one-hot vectors": (
        {"a.png": PNG, "b.png": PNG, "dataset.json": labels_json(a=[0, 1, 0], b=[1.0, 0.0, 0.0])},
        ["0", "1"],
        ["a.png", "b.png"],
        {},
    ),
    "dataset.json without labels": ({**TWO_CLASSES, "dataset.json": b'{"labels": null}'}, None, KEYS, {}),
    "dataset.json of other labels": (
        {**TWO_CLASSES, "dataset.json": labels_json(cat__1=[0.1, 0.2])},
        ["cat", "dog"],
        KEYS,
        {"dataset.json": "no classes"},
    ),
    "dataset.json of another form": (
        {**TWO_CLASSES, "dataset.json": b'{"title": "pets"}'},
        ["cat", "dog"],
        KEYS,
        {"dataset.json": "not of the form"},
    ),
    "dataset.json that is damaged": ({**TWO_CLASSES, "dataset.json": b"{"}, ["cat", "dog"], KEYS, {"dataset.json": "not of the form"}),
    "dataset.json of other images": (
        {**TWO_CLASSES, "dataset.json": labels_json(x=1)},
        ["cat", "dog"],
        KEYS,
        {"dataset.json": "none of the images"},
    ),
    "a dataset.json elsewhere": (
        {**TWO_CLASSES, "cat/dataset.json": labels_json(x=1)},
        ["cat", "dog"],
        KEYS,
        {"cat/dataset.json": "extension"},
    ),
}


@pytest.fixture
def put(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str, Tree], str]:
    """What puts files in a folder, an archive or a bucket, and returns the path by which a job names them."""

    def put_in(place: str, tree: Tree) -> str:
        if place == "archive":
            return archive(tree, tmp_path)
        return in_store(tree, f"{request.getfixturevalue('bucket')}/images" if place == "s3" else str(tmp_path / "images"))

    return put_in


def in_store(tree: Tree, uri: str) -> str:
    store = open_store(uri)
    for key, data in tree.items():
        store.write(key, data)
    return uri


def archive(tree: Tree, folder: Path, name: str = "images.zip", method: int = zipfile.ZIP_DEFLATED) -> str:
    with zipfile.ZipFile(folder / name, "w", method) as file:
        for key, data in tree.items():
            file.writestr(key, data)
    return str(folder / name)


def listed(path: str, **settings: object) -> Listing:
    return list_folder(FolderSource(path=path, **settings))


def keys_in(listing: Listing) -> list[str]:
    return [key for key, _, _ in listing.identity[2]]


@pytest.mark.parametrize(("case", "place"), [*product(CASES, ["folder", "archive"]), *product(ON_S3, ["s3"])])
def test_samples_and_classes_of(case: str, place: str, put: Callable[[str, Tree], str]) -> None:
    tree, classes, samples, left_out = CASES[case]
    listing = listed(put(place, tree))
    assert (listing.identity[1], keys_in(listing)) == (classes, samples)
    reasons = {sample.name: sample.reason for sample in listing.left_out}
    assert reasons.keys() == left_out.keys()
    assert [part for name, part in left_out.items() if part not in reasons[name]] == []


def test_what_was_left_out_is_told_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = in_store({**TWO_CLASSES, **{f"{number}.csv": TEXT for number in range(5)}, "notes": TEXT}, str(tmp_path))
    (message,) = listed(path).messages
    told = "6 files left out: 0.csv, 1.csv, 2.csv, and 2 more (no image by extension); notes (no image by first bytes)"
    assert message == f"{path}: {told}"
    assert not caplog.records  # a listing that is made to see whether a source has changed repeats nothing


@pytest.mark.parametrize(
    ("strays", "labels", "told"),
    [
        (["x.png"], "auto", "no classes: 1 image of 4 lies in none of the 2 class folders, such as x.png"),
        (["x.png", "y.png"], "auto", "no classes: 2 images of 5 lie in none of the 2 class folders, such as x.png"),
        (["x.png"], "none", None),
        (["v.png", "w.png", "x.png", "y.png"], "auto", None),  # most images are in no folder: the others are no classes
    ],
)
def test_auto_says_what_keeps_images_from_having_classes(strays: list[str], labels: str, told: str | None, tmp_path: Path) -> None:
    listing = listed(in_store({**TWO_CLASSES, **dict.fromkeys(strays, PNG)}, str(tmp_path)), labels=labels)
    assert listing.identity[1] is None
    assert [message.partition(": ")[2].partition(";")[0] for message in listing.messages] == ([told] if told else [])


def test_images_that_a_dataset_json_leaves_out_stay_unlabelled_and_are_mentioned(tmp_path: Path) -> None:
    listing = listed(in_store({"a.png": PNG, "b.png": PNG, "dataset.json": labels_json(b=3)}, str(tmp_path)))
    assert listing.identity[1] == ["3"]
    assert "1 image of 2 without a label in dataset.json, such as a.png" in listing.messages[0]


NO_CLASSES = ("null", "true", "[1]", '[0, "1"]', "{}", "NaN", "1e999", "0.5", r'"\ud800"', "9" * 5000)
NO_LABELS = ('"text"', "7", "[]", "[1]", "[[1]]", '[["cat/1.png"]]', '[["cat/1.png", 1, 2]]', "{}", "[[]]", "[" * 100_000)


@pytest.mark.parametrize("labels", [*NO_LABELS, *(f'{{"cat/1.png": {label}}}' for label in NO_CLASSES)], ids=lambda labels: labels[:20])
def test_labels_that_are_no_classes_leave_those_of_folders(labels: str, tmp_path: Path) -> None:
    listing = listed(in_store({**TWO_CLASSES, "dataset.json": f'{{"labels": {labels}}}'.encode()}, str(tmp_path)))
    assert listing.identity[1] == ["cat", "dog"]
    assert [sample.name for sample in listing.left_out] == ["dataset.json"]


@pytest.mark.parametrize(
    ("tree", "labels", "problem"),
    [
        (TWO_CLASSES, "dataset.json", "there is no dataset.json"),
        ({**TWO_CLASSES, "dataset.json": b"[]"}, "dataset.json", "not of the form"),
        ({**TWO_CLASSES, "dataset.json": labels_json(cat__1=0.5)}, "dataset.json", "no classes"),
        ({**TWO_CLASSES, "x.png": PNG}, "folders", "x.png is in no sub-folder"),
    ],
)
def test_labels_that_are_demanded_and_missing_are_errors(tree: Tree, labels: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=problem) as error:
        listed(in_store(tree, str(tmp_path)), labels=labels)
    assert error.value.field == "data.source.labels"


def test_labels_by_folders_prevail_where_the_job_says_so(tmp_path: Path) -> None:
    path = in_store({**TWO_CLASSES, "dataset.json": labels_json(cat__1=1)}, str(tmp_path))
    assert listed(path, labels="folders").identity[1] == ["cat", "dog"]
    assert listed(path, labels="none").identity[1] is None


def test_other_labels_are_another_dataset(tmp_path: Path) -> None:
    keys = {"a.png": PNG, "b.png": PNG}
    first = listed(in_store({**keys, "dataset.json": labels_json(a=1, b=2)}, str(tmp_path))).identity
    second = listed(in_store({"dataset.json": labels_json(a=2, b=1)}, str(tmp_path))).identity
    assert first[:3] == second[:3]
    assert first != second


def test_the_identity_of_a_folder_of_images_is_as_it_was(tmp_path: Path) -> None:
    listing = listed(in_store(TWO_CLASSES, str(tmp_path)))
    files = [[key, len(PNG), str((tmp_path / key).stat().st_mtime)] for key in KEYS]
    assert listing.identity == [str(tmp_path), ["cat", "dog"], files]


def linked(root: Path) -> None:
    (root.parent / "elsewhere" / "deep").mkdir(parents=True)
    (root.parent / "elsewhere" / "deep" / "1.png").write_bytes(PNG)
    (root / "ape").symlink_to(root.parent / "elsewhere")
    (root / "cat" / "linked.png").symlink_to(root.parent / "elsewhere" / "deep" / "1.png")


def linked_twice(root: Path) -> None:
    (root / "bee").symlink_to("cat")  # sorts before what it names
    (root / "up").symlink_to(root)
    (root / "dog" / "again").symlink_to(root / "dog")


def dead_links(root: Path) -> None:
    (root / "cat" / "gone.png").symlink_to("nowhere.png")
    (root / "circle.png").symlink_to("circle.png")


def special_files(root: Path) -> None:
    os.mkfifo(root / "cat" / "pipe.png")
    (root / "cat" / "null.png").symlink_to("/dev/null")
    (root / "dog" / "2.png").mkdir()


def odd_names(root: Path) -> None:
    for name in (b"caf\xe9.png", "日本 #1?.png".encode(), b"new\nline.png"):
        Path(os.fsdecode(os.fsencode(root / "dog") + b"/" + name)).write_bytes(PNG)


def storage_below(root: Path) -> None:
    for key in ("datasets/x/shard.png", "runs/x/samples/1.png", "models/m/1/samples.png", "sweeps/s/1.png"):
        in_store({key: PNG}, str(root / "store"))
    (root / "cow").symlink_to(root / "store" / "runs")


ON_DISK: dict[Callable[[Path], None], tuple[list[str], list[str], dict[str, str]]] = {  # classes, further samples, left out
    linked: (["ape", "cat", "dog"], ["ape/deep/1.png", "cat/linked.png"], {}),
    linked_twice: (["cat", "dog"], [], dict.fromkeys(["bee", "up", "dog/again"], "read by another name")),
    dead_links: (["cat", "dog"], [], {"cat/gone.png": "link to nothing", "circle.png": "link that leads to itself"}),
    special_files: (["cat", "dog"], [], dict.fromkeys(["cat/pipe.png", "cat/null.png"], "not a regular file")),
    odd_names: (["cat", "dog"], ["dog/caf\\xe9.png", "dog/new\nline.png", "dog/日本 #1?.png"], {}),
    storage_below: (
        ["cat", "dog"],
        [],
        dict.fromkeys(["store/datasets", "store/runs", "store/models", "store/sweeps", "cow"], "the job's storage"),
    ),
}


@pytest.mark.parametrize("add", ON_DISK, ids=lambda add: add.__name__)
def test_a_folder_with(add: Callable[[Path], None], tmp_path: Path) -> None:
    root = tmp_path / "images"
    in_store(TWO_CLASSES, str(root))
    add(root)
    classes, samples, left_out = ON_DISK[add]
    listing = list_folder(FolderSource(path=str(root)), open_store(str(root / "store")))
    assert (listing.identity[1], keys_in(listing)) == (classes, sorted([*KEYS, *samples]))
    reasons = {sample.name: sample.reason for sample in listing.left_out}
    assert reasons.keys() == left_out.keys()
    assert [part for name, part in left_out.items() if part not in reasons[name]] == []


def test_names_that_are_not_utf_8_are_read(tmp_path: Path) -> None:
    odd_names(Path(in_store({"dog/1.png": PNG}, str(tmp_path))))
    tree = folder_files(str(tmp_path), None)
    assert [tree.reader.read(file.address) for file in tree.files] == [PNG] * 4


@pytest.mark.parametrize("kind", ["folder", "s3"])
@pytest.mark.parametrize("below", ["", "/own/store"])
def test_the_jobs_storage_is_never_a_sample(kind: str, below: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    root = f"{request.getfixturevalue('bucket')}/images" if kind == "s3" else str(tmp_path)
    in_store(TWO_CLASSES, root)
    in_store({"datasets/x/1.png": PNG, "runs/r/samples/2.png": PNG}, root + below)
    without, listing = listed(root), list_folder(FolderSource(path=root), open_store(root + below))
    assert (len(keys_in(without)), keys_in(listing), listing.identity[1]) == (5, KEYS, ["cat", "dog"])
    assert {sample.name.strip("/") for sample in listing.left_out} == {f"{below}/{name}".strip("/") for name in ("datasets", "runs")}


def test_shards_in_the_jobs_storage_are_no_parquet_source(tmp_path: Path) -> None:
    for key in ("a.parquet", "store/datasets/a-0123456789ab/shard-00000.parquet", "store/other/b.parquet"):
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"image": [PNG]}), tmp_path / key)
    listing = list_source(Data(source=ParquetSource(path=str(tmp_path))), open_store(tmp_path / "store"))
    assert keys_in(listing) == ["a.parquet", "store/other/b.parquet"]


def test_a_source_inside_the_storage_is_read(tmp_path: Path) -> None:
    path = in_store(TWO_CLASSES, str(tmp_path / "datasets"))
    assert keys_in(list_folder(FolderSource(path=path), open_store(tmp_path))) == KEYS


@pytest.mark.parametrize("place", ["folder", "archive"])
@pytest.mark.parametrize(("tree", "told"), [({}, ""), ({"a.csv": TEXT, "b.csv": TEXT}, ", but a.csv, b.csv .no image by extension.")])
def test_a_source_without_images_says_what_there_is(
    tree: Tree, told: str, place: str, put: Callable[[str, Tree], str], tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match=f"there are no images in .*{told}") as error:
        listed(put(place, tree))
    assert error.value.field == "data.source.path"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_of_an_archive_are_read_whole(method: int, tmp_path: Path) -> None:
    tree = {"a/1.png": PNG, "a/empty.png": b"", "b/2.png": os.urandom(100_000), "b/noise": encoded(grey=9)}
    found = archive_files(archive(tree, tmp_path, method=method))
    assert found is not None
    assert {file.key: found.reader.read(file.address) for file in found.files} == tree
    assert {file.key: found.reader.head(file.address, 8) for file in found.files} == {key: data[:8] for key, data in tree.items()}
    assert list(tmp_path.iterdir()) == [tmp_path / "images.zip"]


def test_members_of_an_archive_on_s3_are_read(bucket: str, tmp_path: Path) -> None:
    tree = {"a/1.png": PNG, "b/2.png": os.urandom(100_000), "b/noise": encoded(grey=9)}
    open_store(bucket).write("images.zip", Path(archive(tree, tmp_path)).read_bytes())
    found = archive_files(f"{bucket}/images.zip")
    assert found is not None
    assert {file.key: found.reader.read(file.address) for file in found.files} == tree
    assert listed(f"{bucket}/images.zip").identity[1] == ["a", "b"]


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["pets/cat/1.png", "pets/dog/1.png", "pets/README.md", "__MACOSX/pets/cat/._1.png"], ["cat", "dog"]),  # as a Mac makes it
        (["pets\\cat\\1.png", "pets\\dog\\1.png"], ["cat", "dog"]),  # as some tools on Windows do
        (["./cat/1.png", "/dog/1.png"], ["cat", "dog"]),
        (["cat/1.png"], None),
    ],
)
def test_folders_in_archives_that_others_make(names: list[str], classes: list[str] | None, tmp_path: Path) -> None:
    assert listed(archive(dict.fromkeys(names, PNG), tmp_path)).identity[1] == classes


def test_members_that_are_not_read_are_named_with_the_reason(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path := tmp_path / "x.ZIP", "w") as file:
        file.writestr("1.png", PNG)
        file.writestr(link, "1.png")
        file.writestr("lzma.png", PNG, zipfile.ZIP_LZMA)
        file.writestr("locked.png", PNG)
    data = path.read_bytes()
    entry = data.rindex(b"PK\1\2")
    path.write_bytes(data[: entry + 8] + struct.pack("<H", 1) + data[entry + 10 :])  # the flag of encryption
    listing = listed(str(path))
    assert (keys_in(listing), listing.name) == (["1.png"], "x")
    assert {sample.name: sample.reason for sample in listing.left_out} == {
        "link.png": "not a regular file",
        "lzma.png": "compressed by another method than deflate",
        "locked.png": "encrypted",
    }


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-30], lambda data: b"no archive", lambda _: b"", lambda data: data[len(data) // 2 :]]
)
def test_an_archive_that_is_not_whole_is_an_error_of_one_line(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = Path(archive(TWO_CLASSES, tmp_path))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"zip archive") as error:
        listed(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_members_read_as_nothing_or_as_they_were(method: int, tmp_path: Path) -> None:
    path = Path(archive({"1.png": PNG}, tmp_path, method=method))
    found = archive_files(str(path))
    assert found is not None
    whole = path.read_bytes()
    for position in range(whole.index(b"PK\1\2")):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        data = found.reader.read(found.files[0].address)
        assert data is None or zlib.crc32(data) == zlib.crc32(PNG)
    path.unlink()
    assert found.reader.read(found.files[0].address) is None


def test_a_link_to_an_archive_is_one_whatever_its_target_is_called(tmp_path: Path) -> None:
    (tmp_path / "link.zip").symlink_to(archive(TWO_CLASSES, tmp_path, name="blob"))
    listing = listed(str(tmp_path / "link.zip"))
    assert (keys_in(listing), listing.name) == (KEYS, "link")


def test_a_folder_named_like_an_archive_is_a_folder(tmp_path: Path) -> None:
    assert keys_in(listed(in_store(TWO_CLASSES, str(tmp_path / "images.zip")))) == KEYS


def test_extensions_begin_with_a_letter_and_end_the_name() -> None:
    names = {
        "a.PNG": ".png",
        "a.tar.gz": ".gz",
        "a": "",
        ".png": "",
        "x/.png": "",
        "a.0001": "",
        "a.jpg_large": "",
        "d.ir/a": "",
        "a.b.Jpeg": ".jpeg",
    }
    assert {name: extension(name) for name in names} == names
    assert {".png", ".jpg", ".webp", ".tif", ".heic"} <= image_extensions()
    assert not {".pdf", ".h5", ".mpg", ".csv", ".json", ".txt", ".zip", ".parquet", ""} & image_extensions()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "JPEG2000", "AVIF"])
def test_first_bytes_tell_every_common_format(format: str) -> None:
    assert starts_as_image(encoded(format)[:32])
    assert not starts_as_image(b"BM is no bitmap by its first letters")
    assert not starts_as_image(b"")


def test_labels_come_from_the_first_sub_folder() -> None:
    keys = ["b/1.png", "a/x/2.png", "b/3.png"]
    assert find_classes(keys, "auto") == find_classes(keys, "folders") == ["a", "b"]
    assert find_classes(keys, "none") is None
    assert find_classes([*keys, "loose.png"], "auto") is None
    assert find_classes(["all/1.png", "all/2.png"], "auto") is None
    assert find_classes(["all/1.png", "all/2.png"], "folders") == ["all"]
    with pytest.raises(DataError, match=r"loose\.png"):
        find_classes([*keys, "loose.png"], "folders")


def test_sounds_are_listed_where_sounds_are_wanted_and_images_are_hinted_at(tmp_path: Path) -> None:
    root = in_store(
        {"low/a.wav": b"RIFF", "high/b.MP3": b"ID3", "high/c.flac": b"fLaC", "cover.png": PNG, "bare": b"OggS"}, str(tmp_path / "x")
    )
    found = list_folder(FolderSource(path=root, labels="none"), kind="sound")
    assert keys_in(found) == ["bare", "high/b.MP3", "high/c.flac", "low/a.wav"]
    assert [(sample.name, sample.reason) for sample in found.left_out] == [("cover.png", "no sound by extension")]
    with pytest.raises(DataError, match=r"there are no sounds in .*0.png.*or set data.modality=image for the images"):
        list_folder(FolderSource(path=in_store({"0.png": PNG, "1.png": PNG, "notes.txt": b""}, str(tmp_path / "y"))), kind="sound")
    with pytest.raises(DataError, match=r"there are no images in .*or set data.modality=sound for the sounds"):
        listed(in_store({"0.wav": b"RIFF"}, str(tmp_path / "z")))
