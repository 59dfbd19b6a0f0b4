"""The format is told by the content, not by the name; what cannot be read says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.archives.formats import FORMATS
from serving.archives.row import ArchiveError
from tests.archives.files import open_file, read_fields


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("id,text\n1,سيء\n", "csv"),
        ("id\ttext\n1\tسيء\n", "tsv"),
        ('{"text": "a"}\n{"text": "b"}\n', "jsonl"),
        ('[{"text": "a"}]', "json"),
        ("[12/03/2024, 10:15:33] Sara: hello\n[12/03/2024, 10:16:33] Shop: hi\n", "whatsapp"),
        ("12/03/2024, 10:15 - Sara: hello\n12/03/2024, 10:16 - Shop: hi\n", "whatsapp"),
        ("hello, this is no table at all\nbut lines\n", "csv"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_the_content_decides(content: str, expected: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "export.parquet"
    path.write_bytes(content.encode(encoding))
    assert open_file(path).format == expected


def test_a_format_that_is_told_wins(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("[12/03/2024, 10:15:33] Sara: hello\n")
    assert read_fields(path, format="csv")[0]["column_1"] == "[12/03/2024"
    with pytest.raises(ArchiveError, match="is Parquet that cannot be read"):
        open_file(path, format="parquet")


def test_a_format_that_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    with pytest.raises(ArchiveError, match=r"there is no format 'sql'; the formats are whatsapp,"):
        open_file(path, format="sql")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01", "is no text"),
        (b"%PDF-1.7\n%\xe2\xe3", "is PDF"),
        (b"<html><table><tr><td>text</td></tr></table></html>", "is HTML or XML"),
        (b"  <?xml version='1.0'?>", "is HTML or XML"),
    ],
)
def test_what_cannot_be_read_names_the_formats(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=rf"{reason}, .*{', '.join(FORMATS)}; save it as one"):
        open_file(path)
