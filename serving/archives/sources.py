"""Files, folders, globs, members of zips and standard input as sources, unpacked while they are read."""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, cast

import pyarrow as pa

from serving.archives.row import ArchiveError, Source

ZIP_MAGIC = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_GZIP = b"\x1f\x8b"
_ZSTD = (b"\x28\xb5\x2f\xfd", *(bytes([n]) + b"\x2a\x4d\x18" for n in range(0x50, 0x60)))
"""First bytes of a frame, and of one to skip, with which some tools begin."""
_BLOCK = 2**18
_ENCRYPTED, _UTF_8_NAME = 0x1, 0x800
"""Flags of a zip's members."""
_DAMAGES = (
    *(OSError, EOFError, RuntimeError, NotImplementedError, UnicodeError),
    *(zipfile.BadZipFile, zlib.error),
)

_NO_ARCHIVES = frozenset(
    {".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".heic", ".svg", ".ico", ".mp4", ".mov"}
    | {".avi", ".mkv", ".3gp", ".webm", ".opus", ".ogg", ".oga", ".mp3", ".m4a", ".aac", ".amr"}
    | {".wav", ".vcf", ".pdf", ".doc", ".docx", ".ppt", ".pptx", ".apk", ".html", ".htm", ".md"}
)
_NO_ARCHIVE_NAMES = frozenset({"thumbs.db", "desktop.ini"})

Tell = Callable[[str], object]
"""Takes a sentence for the person at the terminal."""


@dataclass(frozen=True)
class FileSource:
    """A file or a member of a zip; gzip and Zstandard are told by their first bytes.

    Attributes:
        limit: bytes that it may unpack to.
        member: the name inside the zip.
        spool: keeps the temporary file of standard input until the source is gone.
    """

    name: str
    path: Path
    limit: int
    member: str | None = None
    spool: IO[bytes] | None = field(default=None, repr=False, compare=False)

    def open(self) -> BinaryIO:
        """See `Source.open`. A file that is not packed can be sought in; an unpacked one cannot."""
        try:
            packed = _open_member(self.path, self.member)
            unpacked = _unpack(packed)
        except _DAMAGES as error:
            raise ArchiveError(f"{self.name} cannot be opened: {error}") from error
        if unpacked is packed and self.member is None:
            return packed
        return io.BufferedReader(_Unpacked(unpacked, packed, self.name, self.limit), _BLOCK)

    def fingerprint(self) -> str:
        """A hash of its place, size and time of change, and of its first and last bytes.

        Standard input has no place and no time.
        """
        status = self.path.stat()
        place = [] if self.spool else [str(self.path.resolve()), status.st_mtime_ns]
        digest = hashlib.sha256(repr([*place, self.member, status.st_size]).encode())
        with self.path.open("rb") as stream:
            digest.update(stream.read(_BLOCK))
            stream.seek(max(0, status.st_size - _BLOCK))
            digest.update(stream.read(_BLOCK))
        return digest.hexdigest()


class _Unpacked(io.RawIOBase):
    """Counts what comes out, and turns the libraries' errors into ours."""

    def __init__(self, stream: BinaryIO, packed: BinaryIO, name: str, limit: int) -> None:
        self._stream, self._packed, self._name, self._limit = stream, packed, name, limit
        self._take = getattr(stream, "read1", stream.read)  # read() loses what is before a damage
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            block = self._take(len(buffer))
        except _DAMAGES as error:
            place = f" after {self._read:,} unpacked bytes" if self._read else ""
            raise ArchiveError(
                f"{self._name} is damaged or cut off{place} ({error}): copy or export it again"
            ) from error
        self._read += len(block)
        if self._read > self._limit:
            raise _too_large(self._name, self._limit)
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._packed.close()
        super().close()


def _too_large(name: str, limit: int) -> ArchiveError:
    return ArchiveError(
        f"{name} unpacks to more than {limit:,} bytes: raise --unpack-limit if you trust it"
    )


def _open_member(path: Path, member: str | None) -> BinaryIO:
    if member is None:
        return path.open("rb")
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(member).flag_bits & _ENCRYPTED:
            raise ArchiveError(f"{path}/{member} needs a password: unpack it first")
        return cast(BinaryIO, archive.open(member))


def _unpack(packed: BinaryIO) -> BinaryIO:
    head: bytes = packed.peek(4)  # type: ignore[attr-defined]
    if head.startswith(_GZIP):
        return cast(BinaryIO, gzip.GzipFile(fileobj=packed))
    if head.startswith(_ZSTD):
        return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(packed, "r"), "zstd"))
    return packed


@contextmanager
def seekable(source: Source) -> Iterator[BinaryIO]:
    """Its bytes as a file that can be sought in: a copy on disk where it has to be unpacked."""
    with source.open() as stream:
        if stream.seekable():
            yield stream
            return
        with tempfile.TemporaryFile(prefix="brandtox-") as copy:
            shutil.copyfileobj(stream, copy, _BLOCK)
            copy.seek(0)
            yield copy


def find_sources(inputs: Sequence[str], limit: int, tell: Tell = lambda _: None) -> list[Source]:
    """The sources that files, folders, globs and "-" (standard input) name, each once, in order.

    A folder is read with all below it, sorted. Hidden files, pictures and the like are left out of
    folders, globs and zips, and told.

    Args:
        inputs: as the user wrote them.
        limit: bytes that one source may unpack to.
        tell: takes a sentence for the user on what was left out.

    Raises:
        ArchiveError: nothing is there, or a zip is damaged or holds no archive.
    """
    sources: dict[tuple[Path, str | None], Source] = {}
    for given in inputs:
        for file in _files(given, limit, tell):
            for source in _members(file, tell):
                sources.setdefault((source.path.resolve(), source.member), source)
    if not sources:
        raise ArchiveError('no input: name files, folders, globs such as "chats/*.zip", or -')
    return list(sources.values())


def _files(given: str, limit: int, tell: Tell) -> list[FileSource]:
    if given == "-":
        return [_spool(limit)]
    paths = [Path(given)] if Path(given).is_file() else _below(given, tell)
    return [FileSource(str(path), path, limit) for path in paths]


def _below(given: str, tell: Tell) -> list[Path]:
    """The files in a folder, or that a glob names."""
    folder = Path(given)
    found = folder.rglob("*") if folder.is_dir() else glob.iglob(given, recursive=True)  # noqa: PTH207
    files = sorted(path for path in map(Path, found) if path.is_file())
    root = len(folder.parts) if folder.is_dir() else 0
    kept = [path for path in files if _may_be_archive(path.parts[root:])]
    _tell_left_out(given, len(files) - len(kept), tell)
    if not kept:
        raise ArchiveError(
            f"no archive at {given}: no such file, and no folder or glob with archives"
        )
    return kept


def _may_be_archive(parts: Sequence[str]) -> bool:
    hidden = any(part.startswith((".", "~$")) and part not in {".", ".."} for part in parts)
    name = parts[-1].casefold()
    return not (
        hidden
        or name in _NO_ARCHIVE_NAMES
        or parts[0] == "__MACOSX"
        or Path(name).suffix in _NO_ARCHIVES
    )


def _tell_left_out(name: str, count: int, tell: Tell) -> None:
    if count:
        files = "file" if count == 1 else "files"
        tell(f"{name}: {count:,} {files} left out (hidden, pictures, sound, documents)")


def _spool(limit: int) -> FileSource:
    """Standard input, kept in a temporary file so that it can be read again."""
    spool = tempfile.NamedTemporaryFile(prefix="brandtox-")  # noqa: SIM115 (lives as the source)
    shutil.copyfileobj(sys.stdin.buffer, spool, _BLOCK)
    spool.flush()
    return FileSource("-", Path(spool.name), limit, spool=spool)


def _members(file: FileSource, tell: Tell) -> list[FileSource]:
    """The archives in a zip; the file itself when it is none."""
    with file.path.open("rb") as stream:
        if stream.read(4) not in {ZIP_MAGIC, _EMPTY_ZIP} or is_spreadsheet(stream):
            return [file]
    try:
        with zipfile.ZipFile(file.path) as archive:
            members = [info for info in archive.infolist() if info.filename and not info.is_dir()]
    except _DAMAGES as error:
        raise ArchiveError(f"{file.name} is a damaged zip: {error}") from error
    names = {info.filename: _member_name(info) for info in members}
    kept = [
        info.filename
        for info in members
        if _may_be_archive(PurePosixPath(_member_name(info)).parts)
    ]
    _tell_left_out(file.name, len(members) - len(kept), tell)
    if not members:
        raise ArchiveError(f"{file.name} is an empty zip: export it again, or leave it out")
    if not kept:
        raise ArchiveError(f"{file.name} holds no archive, only {len(members):,} other files")
    if len(set(kept)) < len(kept):
        raise ArchiveError(f"{file.name} holds several files of the same name: unpack it first")
    return [replace(file, name=f"{file.name}/{names[name]}", member=name) for name in kept]


def _member_name(info: zipfile.ZipInfo) -> str:
    """Its name as it was meant: many phones write UTF-8 without saying so."""
    if info.flag_bits & _UTF_8_NAME:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename


def is_spreadsheet(stream: BinaryIO) -> bool:
    """Whether a zip is an Excel or OpenDocument file."""
    try:
        with zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
    except _DAMAGES:
        return False
    return "[Content_Types].xml" in names or "mimetype" in names


def check_unpacked(stream: BinaryIO, name: str, limit: int) -> None:
    """Unpack a zip once to see that it is whole and within the limit.

    Raises:
        ArchiveError: it is damaged, or its members hold more than `limit` bytes.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            if sum(info.file_size for info in archive.infolist()) > limit:
                raise _too_large(name, limit)
            # No member gives more than the size that it declares: more is a wrong checksum.
            damaged = archive.testzip()
    except _DAMAGES as error:
        raise ArchiveError(f"{name} is damaged ({error}): copy or export it again") from error
    if damaged is not None:
        raise ArchiveError(f"{name} is damaged in {damaged}: copy or export it again")
