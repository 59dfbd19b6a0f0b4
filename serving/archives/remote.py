"""Parquet files wherever fsspec reaches: this machine, S3, Google Cloud, Azure, HDFS."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from fsspec.core import has_magic, url_to_fs

from serving.archives.parquet import ParquetArchive
from serving.archives.row import ArchiveError, ReadOptions

_MAGIC = b"PAR1"
_SIDE_BY_SIDE = 16
"""Files whose ends are read at once: each waits for the network, not for this machine."""


@dataclass(frozen=True)
class RemoteFile:
    """A file by its URL; see `row.Source`."""

    name: str
    url: str

    @property
    def path(self) -> Path:
        return Path(self.url)

    def open(self) -> BinaryIO:
        filesystem, path = locate(self.url)
        stream: BinaryIO = filesystem.open(path, "rb")
        return stream

    def fingerprint(self) -> str:
        """Changes with its place, size and time of change, or whatever its storage tells of it."""
        filesystem, path = locate(self.url)
        return str(filesystem.ukey(path))


def locate(url: str) -> tuple[Any, str]:
    """The file system of a URL, or of a path of this machine, and the path in it.

    Raises:
        ArchiveError: there is no such file system, or what it needs is not installed.
    """
    try:
        filesystem, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ArchiveError(f"{url} cannot be reached: {error}") from error
    return filesystem, path


def absolute(given: str) -> str:
    """A URL as it is, a path from the root: it must name the same place in every process."""
    return given.rstrip("/") if "://" in given else str(Path(given).absolute())


def open_parquet(inputs: Sequence[str]) -> list[ParquetArchive]:
    """The Parquet files that files, folders and globs name, each once, in order.

    A folder is read with all below it, sorted; names that begin with `_` or `.` are left out, as
    other readers of Parquet folders do.

    Raises:
        ArchiveError: nothing is there, or a file is not Parquet.
    """
    files = {file.url: file for given in inputs for file in _find(given)}
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        return list(pool.map(_open, files.values()))


def _find(given: str) -> list[RemoteFile]:
    filesystem, path = locate(given)
    if has_magic(path):
        paths = sorted(p for p in filesystem.glob(path) if filesystem.isfile(p))
    elif filesystem.isfile(path):
        paths = [path]
    else:
        paths = [p for p in sorted(filesystem.find(path)) if not _is_hidden(p[len(path) :])]
    if not paths:
        raise ArchiveError(f"no Parquet file at {given}: no such file, folder or glob")
    return [_file(given, filesystem, path, found) for found in paths]


def _is_hidden(path: str) -> bool:
    return any(part.startswith(("_", ".")) for part in path.split("/"))


def _file(given: str, filesystem: Any, path: str, found: str) -> RemoteFile:
    """Its name is written the way the input was: as a URL, or as a path from here."""
    url = filesystem.unstrip_protocol(found)
    if "://" in given:
        return RemoteFile(url, url)
    given = given.rstrip("/")
    return RemoteFile(found[len(path) - len(given) :] if path.endswith(given) else found, url)


def _open(file: RemoteFile) -> ParquetArchive:
    try:
        with file.open() as stream:
            head = stream.read(len(_MAGIC))
    except OSError as error:
        raise ArchiveError(f"{file.name} cannot be read: {error}") from error
    if head != _MAGIC:
        raise ArchiveError(
            f"{file.name} is not Parquet, and --engine ray reads Parquet alone: leave it out, or"
            " score it with --engine local"
        )
    return ParquetArchive(file, ReadOptions())


@contextmanager
def writing(url: str) -> Iterator[BinaryIO]:
    """A file that appears under its name when it is whole."""
    filesystem, path = locate(url)
    folder, _, name = path.rpartition("/")
    part = f"{folder}/_{name}.{uuid4().hex}"
    filesystem.makedirs(folder, exist_ok=True)
    with filesystem.open(part, "wb") as stream:
        yield stream
    filesystem.mv(part, path)


def write_json(url: str, value: Any) -> None:
    with writing(url) as stream:
        stream.write(json.dumps(value).encode())


def read_json(url: str) -> Any:
    """None if it is not there."""
    try:
        return json.loads(read_bytes(url))
    except FileNotFoundError:
        return None


def read_bytes(url: str) -> bytes:
    filesystem, path = locate(url)
    content: bytes = filesystem.cat_file(path)
    return content


def exists(url: str) -> bool:
    filesystem, path = locate(url)
    filesystem.invalidate_cache()
    return bool(filesystem.exists(path))


def names_in(url: str) -> set[str]:
    """Names of the files right in a folder; none if it is not there."""
    filesystem, path = locate(url)
    filesystem.invalidate_cache()
    try:
        return {found.rpartition("/")[2] for found in filesystem.ls(path, detail=False)}
    except FileNotFoundError:
        return set()


def remove(url: str) -> None:
    """A file, or a folder with all in it, if it is there."""
    filesystem, path = locate(url)
    if exists(url):
        filesystem.rm(path, recursive=True)
