"""The encoding is found out, even of one short message; a wrong byte costs no row."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.archives.encodings import bytes_as_text, encoding_of, find_encoding, open_text
from serving.archives.row import ArchiveError
from serving.archives.sources import find_sources
from tests.archives.files import open_file, read_bytes, read_fields

_ARABIC = (
    "والله ما بشتري منكم مرة ثانية",
    "الطلب وصل متأخر، وين حقي؟",
    "id,text\n7,شكراً لكم\n8,very bad service\n",
    "كم سعر التوصيل",
    "يا حرامية",
)
_LATIN = (
    "Der Größte Ärger, schöne Grüße aus Köln",
    "El señor no me respondió, qué vergüenza, hasta mañana",
    "Le café déjà livré à l’hôtel, ça va très mal",
    "It’s a “bad” service – I’m leaving… £20",
)


@pytest.mark.parametrize("text", _ARABIC)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1256"])
def test_arabic_is_found_out(text: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    (source,) = find_sources([str(path)], 2**20)
    with open_text(source, encoding_of(source)) as stream:
        assert stream.read() == text


@pytest.mark.parametrize("text", [_ARABIC[0], _ARABIC[1], _ARABIC[3]])
def test_the_arabic_of_iso_8859_6(text: str) -> None:
    assert find_encoding(text.encode("iso8859-6")) == "iso8859-6"


@pytest.mark.parametrize("text", _LATIN)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-be", "cp1252"])
def test_latin_is_found_out(text: str, encoding: str) -> None:
    """The French letters and the quotes have the same bytes in Windows-1252 and Windows-1256."""
    raw = text.encode(encoding)
    assert raw.decode(find_encoding(raw)) == text


def test_arabic_that_begins_late(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    english = b"".join(b"%d,no arabic in this line\n" % i for i in range(20_000))
    path.write_bytes(b"id,text\n" + english + "20000,الطلب وصل متأخر\n".encode("cp1256"))
    archive = open_file(path)
    assert archive.understood[0] == "Windows-1256"
    assert list(archive.rows())[-1].fields == {"id": "20000", "text": "الطلب وصل متأخر"}


def test_a_wrong_byte_far_into_utf_8_costs_no_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = [f"{i},الطلب {i}\n".encode() for i in range(50_000)]
    lines[40_000] = b"40000,\xd8\xa7\xff\xd9\x84\n"
    path.write_bytes(b"id,text\n" + b"".join(lines))
    archive = open_file(path)
    assert archive.understood == ["UTF-8", "commas between columns"]
    rows = [row.fields["text"] for row in archive.rows()]
    assert rows[40_000] == "ا\ufffdل"
    assert [rows[i] for i in (0, 39_999, 40_001, -1)] == [
        f"الطلب {i}" for i in (0, 39_999, 40_001, 49_999)
    ]
    assert archive.understood[-1] == "wrong bytes, shown as \ufffd: 1"


def test_one_wrong_byte_in_a_short_file_is_damage_not_another_encoding() -> None:
    assert find_encoding("الطلب وصل متأخر".encode() + b"\xff") == "utf-8"


def test_a_character_cut_by_the_end_of_the_sample_is_no_damage() -> None:
    assert find_encoding("ا".encode()[:1]) == "utf-8"


def test_an_encoding_that_is_told_wins(tmp_path: Path) -> None:
    raw = "id,text\n1,Größe\n".encode("cp1252")
    assert read_bytes(tmp_path, raw, encoding="windows-1252")[0].fields["text"] == "Größe"
    told = read_bytes(tmp_path, "id,text\n1,نص\n".encode("utf-16-be"), encoding="UTF-16BE")
    assert told[0].fields == {"id": "1", "text": "نص"}


def test_a_mark_is_never_part_of_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for encoding in "utf-8-sig", "utf-16", "utf-32":
        path.write_bytes("id,text\n1,نص\n".encode(encoding))
        told = encoding.removesuffix("-sig")
        assert read_fields(path, encoding=told) == read_fields(path) == [{"id": "1", "text": "نص"}]


def test_bytes_that_are_no_text_are_base64() -> None:
    assert bytes_as_text("سيء".encode()) == "سيء"
    assert bytes_as_text(b"\xff\x00") == "/wA="


def test_an_encoding_that_does_not_exist(tmp_path: Path) -> None:
    for name in "arabic-9", "base64":
        with pytest.raises(ArchiveError, match=f"there is no encoding '{name}': use utf-8"):
            read_bytes(tmp_path, b"id,text\n", encoding=name)
