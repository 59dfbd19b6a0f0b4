"""Archives as files: written by the tests, opened as the command opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serving.archives.formats import open_archives
from serving.archives.row import Archive, ReadOptions, Row
from serving.archives.sources import find_sources


def open_file(path: Path, **options: Any) -> Archive:
    """The one archive at a path."""
    told = ReadOptions(**options)
    (archive,) = open_archives(find_sources([str(path)], told.unpack_limit), told)
    return archive


def read_rows(path: Path, **options: Any) -> list[Row]:
    """Its rows, which are the same on every reading."""
    archive = open_file(path, **options)
    rows = list(archive.rows())
    assert list(archive.rows()) == rows
    return rows


def read_fields(path: Path, **options: Any) -> list[dict[str, Any]]:
    """The fields of its rows, none of which is an error."""
    rows = read_rows(path, **options)
    assert [row.error for row in rows] == [None] * len(rows)
    return [row.fields for row in rows]


def read_bytes(folder: Path, content: bytes, **options: Any) -> list[Row]:
    """The rows of a file with this content and a name that says nothing."""
    path = folder / "archive"
    path.write_bytes(content)
    return read_rows(path, **options)
