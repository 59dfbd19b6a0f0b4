"""The format is told by the content, not by the name; what cannot be read says so."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def _tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "packer"),
    [
        (bz2.compress(b"id,text"), "bzip2"),
        (lzma.compress(b"id,text"), "xz"),
        (gzip.compress(gzip.compress(b"id,text")), "gzip twice"),
        (_tar(), "tar"),
    ],
)
def test_other_packers_are_named(content: bytes, packer: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=f"is packed with {packer}, which is not read: unpack"):
        open_file(path)


@cache
def _whole_files() -> list[bytes]:
    """A file of each kind that has a structure to damage, not packed where that hides it."""
    table = "id,text\n" + "".join(f'{i},"الطلب {i}, late"\n' for i in range(50))
    book, workbook, columns, archive = openpyxl.Workbook(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    for i in range(20):
        book.worksheets[0].append([f"نص {i}", i])
    book.save(workbook)
    pq.write_table(pa.table({"text": [f"نص {i}" for i in range(50)]}), columns, compression="none")
    with zipfile.ZipFile(archive, "w") as stored, zipfile.ZipFile(workbook) as members:
        for name in members.namelist():
            stored.writestr(name, members.read(name))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as stored:
        stored.writestr("a.csv", table)
    texts = [table.encode(encoding) for encoding in ("utf-8", "utf-16-le", "cp1256")]
    return [*texts, gzip.compress(texts[0]), *(b.getvalue() for b in (columns, archive, zipped))]


@settings(max_examples=150)
@given(st.data())
def test_a_damaged_file_is_rows_or_a_clear_error(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(_whole_files()), label="file")
    place = data.draw(st.integers(0, len(whole)), label="place")
    instead = data.draw(st.just(b"") | st.binary(max_size=8) | st.just(bytes(64)), label="instead")
    rest = data.draw(st.sampled_from([whole[place + len(instead) :], whole[place:], b""]))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "archive"
        path.write_bytes(whole[:place] + instead + rest)
        try:
            rows = list(open_file(path, unpack_limit=2**24).rows())
        except ArchiveError as error:
            assert "archive" in str(error)
        else:
            assert len(rows) < 5000
