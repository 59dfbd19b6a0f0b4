"""Files, folders, globs, zips and standard input: each archive once, unpacked while it is read."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from serving.archives.formats import open_archives
from serving.archives.row import ArchiveError, ReadOptions, Source
from serving.archives.sources import find_sources
from tests.archives.files import open_file, read_fields

_LIMIT = 2**30
_TABLE = "id,text\n1,مرحبا\n2,hello\n".encode()
_RECORDS = [{"id": "1", "text": "مرحبا"}, {"id": "2", "text": "hello"}]


def names(*inputs: object, told: list[str] | None = None) -> list[str]:
    told = [] if told is None else told
    sources = find_sources([str(one) for one in inputs], _LIMIT, told.append)
    return [source.name for source in sources]


def content(source: Source) -> bytes:
    with source.open() as stream:
        return stream.read()


def zstd(data: bytes) -> bytes:
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as stream:
        stream.write(data)
    return bytes(packed.getvalue())


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_folder_is_read_sorted_with_all_below_it(tmp_path: Path) -> None:
    for name in ("b.csv", "a/z.jsonl", "a/.hidden", ".DS_Store", "a/photo.JPG", ".git/x.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(_TABLE)
    told: list[str] = []
    assert names(tmp_path, told=told) == [str(tmp_path / "a/z.jsonl"), str(tmp_path / "b.csv")]
    assert told == [f"{tmp_path}: 4 files left out (hidden, pictures, sound, documents)"]


def test_a_glob_and_a_file_with_a_glob_s_signs(tmp_path: Path) -> None:
    for name in ("1.csv", "2.csv", "3.txt", "[1].csv"):
        (tmp_path / name).write_bytes(_TABLE)
    assert names(tmp_path / "?.csv") == [str(tmp_path / "1.csv"), str(tmp_path / "2.csv")]
    assert names(tmp_path / "[1].csv") == [str(tmp_path / "[1].csv")]


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(_TABLE)
    assert names(path, tmp_path, tmp_path / "*.csv") == [str(path)]


@pytest.mark.parametrize("given", ["missing.csv", "*.csv", "."])
def test_nothing_found_names_what_was_looked_for(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArchiveError, match=f"no archive at {given.replace('*', '.')}"):
        find_sources([given], _LIMIT)


def test_no_input() -> None:
    with pytest.raises(ArchiveError, match="no input: name files"):
        find_sources([], _LIMIT)


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_packed_files_are_told_by_their_bytes(pack: type, tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    half = len(_TABLE) // 2
    path.write_bytes(pack(_TABLE[:half]) + pack(_TABLE[half:]))
    assert read_fields(path) == _RECORDS


def test_gzip_with_zeros_between_and_after(tmp_path: Path) -> None:
    path = tmp_path / "tape.gz"
    half = len(_TABLE) // 2
    parts = [gzip.compress(_TABLE[:half]), bytes(512), gzip.compress(_TABLE[half:])]
    path.write_bytes(b"".join(parts) + bytes(500_000))
    assert read_fields(path) == _RECORDS


def test_zstandard_that_begins_with_a_frame_to_skip(tmp_path: Path) -> None:
    path = tmp_path / "export.csv.zst"
    path.write_bytes(b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstd(_TABLE))
    assert read_fields(path) == _RECORDS


@pytest.mark.parametrize(
    ("damaged", "says"),
    [
        (gzip.compress(_TABLE)[:5], r"a.gz is damaged or cut off \(Compressed file ended"),
        (gzip.compress(_TABLE) + b"rest", f"cut off after {len(_TABLE)} unpacked bytes"),
        (zstd(_TABLE)[:5], r"a.gz is damaged or cut off \(Truncated"),
    ],
)
def test_where_a_packed_file_is_damaged(damaged: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(damaged)
    with pytest.raises(ArchiveError, match=says):
        open_file(path)


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_a_packed_file_that_is_cut_off(pack: type, tmp_path: Path) -> None:
    path = tmp_path / "export.csv.gz"
    lines = (b"%d,%d\n" % (i, i * 2**40 % 1_000_003) for i in range(100_000))
    path.write_bytes(pack("id,نص\n".encode() + b"".join(lines))[:-20])
    rows = open_file(path).rows()
    assert next(rows).fields["id"] == "0"
    with pytest.raises(ArchiveError, match=r"gz is damaged or cut off after [\d,]+ unpacked bytes"):
        list(rows)


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_a_file_that_unpacks_beyond_the_limit(pack: type, tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(pack(b"id,text\n" + b"1,a\n" * 2**17))
    with pytest.raises(ArchiveError, match="unpacks to more than 262,144 bytes: raise --unpack"):
        list(open_file(path, unpack_limit=2**18).rows())
    assert sum(1 for _ in open_file(path, unpack_limit=2**20).rows()) == 2**17


def test_a_member_of_a_zip_that_unpacks_beyond_the_limit(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "bomb.zip", {"a.csv": b"id,text\n" + b"1,a\n" * 2**17})
    with pytest.raises(ArchiveError, match="unpacks to more than"):
        list(open_file(path, unpack_limit=2**18).rows())


def test_each_member_of_a_zip_is_a_source(tmp_path: Path) -> None:
    members = {
        "b.csv": _TABLE,
        "a/c.csv.gz": gzip.compress(_TABLE),
        "p.png": b"",
        "__MACOSX/b": b"",
    }
    path = write_zip(tmp_path / "export.zip", members)
    told: list[str] = []
    assert names(path, told=told) == [f"{path}/b.csv", f"{path}/a/c.csv.gz"]
    assert told == [f"{path}: 2 files left out (hidden, pictures, sound, documents)"]
    for source in find_sources([str(path)], _LIMIT):
        (archive,) = open_archives([source], ReadOptions())
        assert [row.fields for row in archive.rows()] == _RECORDS


def test_names_in_a_zip_that_are_utf_8_without_saying_so(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    named = "ملف.csv".encode()
    placeholder = "x" * len(named)
    write_zip(path, {placeholder: _TABLE})
    path.write_bytes(path.read_bytes().replace(placeholder.encode(), named))
    (source,) = find_sources([str(path)], _LIMIT)
    assert source.name == f"{path}/ملف.csv"
    assert content(source) == _TABLE


def test_what_was_sent_in_a_whatsapp_chat_is_left_out(tmp_path: Path) -> None:
    chat = b"12/03/2024, 10:15 - Sara: the box is empty\n12/03/2024, 10:16 - Shop: sorry\n"
    members = {"WhatsApp Chat with Sara.txt": chat, "prices.csv": _TABLE, "more.zip": b"PK\x03\x04"}
    path = write_zip(tmp_path / "chat.zip", members)
    told: list[str] = []
    archives = open_archives(find_sources([str(path)], _LIMIT), ReadOptions(), told.append)
    assert [archive.format for archive in archives] == ["whatsapp"]
    assert told == [f"{path}: 2 files sent in the chat left out"]


def test_an_empty_zip(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"a.zip is an empty zip: export it again"):
        names(write_zip(tmp_path / "a.zip", {}))


def test_a_zip_in_a_zip(tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "inner", {"a.csv": _TABLE}).read_bytes()
    path = write_zip(tmp_path / "outer.zip", {"inner.zip": inner})
    with pytest.raises(ArchiveError, match=r"inner.zip is a zip inside another file: unpack it"):
        open_file(path)


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "secret.zip", {"a.csv": _TABLE})
    data = bytearray(path.read_bytes())
    for header, flags in (b"PK\x03\x04", 6), (b"PK\x01\x02", 8):
        data[data.index(header) + flags] |= 1
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match=r"a.csv needs a password: unpack it first"):
        open_file(path)


@pytest.mark.parametrize("cut", [30, 200])
def test_a_damaged_zip(cut: int, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.csv": os.urandom(500)})
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ArchiveError, match="is a damaged zip"):
        open_file(path)


def test_a_wrong_byte_in_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", _TABLE)
    path.write_bytes(path.read_bytes().replace(b"hello", b"jello"))
    with pytest.raises(ArchiveError, match=r"a.csv cannot be opened: Bad CRC"):
        open_file(path)


def test_standard_input_can_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = set()
    for _ in range(2):
        monkeypatch.setattr(
            "sys.stdin", SimpleNamespace(buffer=io.BytesIO(gzip.compress(_TABLE, mtime=0)))
        )
        (source,) = find_sources(["-"], _LIMIT)
        assert source.name == "-"
        assert content(source) == content(source) == _TABLE
        prints.add(source.fingerprint())
    assert len(prints) == 1


def test_a_fingerprint_changes_with_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(_TABLE)
    (source,) = find_sources([str(path)], _LIMIT)
    before, status = source.fingerprint(), path.stat()
    assert source.fingerprint() == before
    path.write_bytes(_TABLE.replace(b"hello", b"jello"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert source.fingerprint() != before


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_two_files_of_one_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for _ in range(2):
            archive.writestr("a.csv", _TABLE)
    with pytest.raises(ArchiveError, match="several files of the same name: unpack it first"):
        names(path)
