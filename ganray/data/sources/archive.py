"""The files of a zip archive, local or on s3://, each read by its place in the archive: nothing is unpacked to disk."""

import io
import itertools
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, cast

from ganray.data.card import SkippedSample
from ganray.data.sources.files import FileTree, SourceFile
from ganray.data.sources.rows import PATH_FIELD, is_hidden, is_remote, open_folder, split_path
from ganray.errors import DataError
from ganray.modalities.formats import FILE_KINDS, FileKind, extension
from ganray.storage import MissingObject, ObjectInfo, ObjectStore

SUFFIX = ".zip"
BUFFER_BYTES = 1 << 20  # read ahead while the directory at an archive's end is parsed
ADDRESS = struct.Struct("<QQQIH")  # first byte, byte after the last, size once unpacked, CRC-32, method of compression
LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of a name and of extra fields, which follow and precede the content
MAX_HEADER_BYTES = LOCAL_HEADER.size + 2 * 0xFFFF
MAX_MEMBER_BYTES = 1 << 30  # unpacked, in memory
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
BROKEN = (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, UnicodeDecodeError, struct.error, EOFError, ValueError)


@dataclass(frozen=True)
class ArchiveReader:
    """Reads the members of an archive; an address says where one lies and how it is compressed."""

    lost: ClassVar[str] = "is damaged in its archive"
    store: ObjectStore
    key: str

    def read(self, address: bytes) -> bytes | None:
        """Unpack a member, None if it is damaged or the archive has vanished."""
        start, stop, size, crc, method = ADDRESS.unpack(address)
        content = _content(self._part(start, stop))
        data = content[:size] if method == zipfile.ZIP_STORED else _inflate(content, size)
        return data if len(data) == size and zlib.crc32(data) == crc else None

    def head(self, address: bytes, num_bytes: int) -> bytes:
        """Unpack the beginning of a member."""
        start, stop, size, _, method = ADDRESS.unpack(address)
        content = _content(self._part(start, min(stop, start + MAX_HEADER_BYTES + num_bytes)))
        return content[: min(num_bytes, size)] if method == zipfile.ZIP_STORED else _inflate(content, num_bytes)

    def _part(self, start: int, stop: int) -> bytes:
        try:
            return self.store.read_range(self.key, start, stop - start)
        except MissingObject:
            return b""


def is_archive(path: str) -> bool:
    """Return whether a path or URI is named as a zip archive is."""
    return _split(path)[1].lower().endswith(SUFFIX)


def archive_files(path: str, wanted: FileKind = FILE_KINDS["image"]) -> FileTree | None:
    """List the members of the archive of a kind of file at a path, None if there is a folder or nothing. Raises `DataError` if damaged."""
    folder, name = _split(path)
    if not is_remote(path) and not Path(folder, name).is_file():
        return None
    store = open_folder(folder)
    if name not in [info.key for info in _objects(store, name, path)]:
        return None
    files, left_out = [], []
    for found in _members(store, name, path):
        if isinstance(found, SourceFile):
            files.append(found)
        else:
            left_out.append(found)
    files = _without_common_folder(sorted({file.key: file for file in files}.values(), key=lambda file: file.key), wanted)
    return FileTree(name[: -len(SUFFIX)], _uri(store, name), ArchiveReader(store, name), files, left_out)


def _split(path: str) -> tuple[str, str]:
    """Split a path or URI into folder and name; a link keeps its own name, as that of its target may be any."""
    local = Path(path).expanduser().absolute()
    return split_path(path) if is_remote(path) else (str(local.parent), local.name)


def _objects(store: ObjectStore, name: str, path: str) -> list[ObjectInfo]:
    """List the objects whose keys start with the archive's name; a local folder is not walked."""
    return store.list(name) if is_remote(path) else [ObjectInfo(name, 0, 0.0)]


def _uri(store: ObjectStore, name: str) -> str:
    return store.child(name).uri


def _members(store: ObjectStore, name: str, path: str) -> Iterator[SourceFile | SkippedSample]:
    """Yield an archive's members in its directory's order, without folders and hidden files; those that cannot be read with the reason."""
    try:
        with store.open(name) as file, zipfile.ZipFile(io.BufferedReader(cast(io.RawIOBase, file), BUFFER_BYTES)) as archive:
            members, end = archive.infolist(), archive.start_dir
            if any(member.header_offset not in range(end) for member in members):
                raise zipfile.BadZipFile("its beginning is missing")
    except BROKEN as error:
        raise DataError(PATH_FIELD, f"{path} is not a whole zip archive ({error})", "copy it again, or unpack it to a folder") from error
    next_start = dict(itertools.pairwise([*sorted(member.header_offset for member in members), end]))
    for member in members:
        key = "/".join(part for part in member.filename.replace("\\", "/").split("/") if part not in ("", "."))
        if not key or member.filename.endswith(("/", "\\")) or is_hidden(key):
            continue
        if problem := _problem(member):
            yield SkippedSample(name=key, reason=problem)
        else:
            stop = min(next_start[member.header_offset], member.header_offset + MAX_HEADER_BYTES + member.compress_size)
            address = ADDRESS.pack(member.header_offset, stop, member.file_size, member.CRC, member.compress_type)
            yield SourceFile(key, member.file_size, f"{member.CRC:08x}", address)


def _problem(member: zipfile.ZipInfo) -> str | None:
    """Return why a member is not read, None if it is."""
    mode = member.external_attr >> 16
    if member.flag_bits & 1:
        return "encrypted"
    if member.compress_type not in METHODS:
        return "compressed by another method than deflate"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "not a regular file"
    return "larger than 1 GiB" if member.file_size > MAX_MEMBER_BYTES else None


def _without_common_folder(files: list[SourceFile], wanted: FileKind) -> list[SourceFile]:
    """Return files by their keys below the one folder of an archive that was made of a folder, unless samples lie right in it."""
    top = {file.key.partition("/")[0] for file in files}
    below = [file.key.partition("/")[2] for file in files]
    if len(top) != 1 or any("/" not in key and (not key or extension(key) in wanted.extensions()) for key in below):
        return files
    return [replace(file, key=key) for file, key in zip(files, below, strict=True)]


def _content(part: bytes) -> bytes:
    """Return what follows a member's local header, b"" if there is none."""
    if len(part) < LOCAL_HEADER.size:
        return b""
    signature, name, extra = LOCAL_HEADER.unpack_from(part)
    return part[LOCAL_HEADER.size + name + extra :] if signature == b"PK\3\4" else b""


def _inflate(content: bytes, max_bytes: int) -> bytes:
    """Return the first bytes of a deflated member, b"" if it is damaged."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, max(1, max_bytes))
    except zlib.error:
        return b""
