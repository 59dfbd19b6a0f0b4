"""CSV and TSV: every dialect that occurs comes back as it was written, and no row is lost."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.archives.row import ArchiveError
from tests.archives.files import open_file, read_bytes, read_rows

_WORDS = st.sampled_from(
    [
        "الطلب",
        "متأخر،",
        "bad,",
        "service;",
        "it's",
        "|",
        "1,5",
        "💔",
        "-",
        "=1",
        '"no"',
        "\n",
        "\r\n",
        "والله\t",
        "\u200f",
        "\u2028",
        "\x85",
    ]
)
_MESSAGES = st.lists(_WORDS, max_size=12).map(" ".join)


def write(records: list[list[str]], encoding: str = "utf-8", **dialect: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, **dialect).writerows(records)
    return text.getvalue().encode(encoding)


def read(folder: Path, content: str | bytes, **options: Any) -> list[dict[str, Any]]:
    raw = content if isinstance(content, bytes) else content.encode()
    rows = read_bytes(folder, raw, **options)
    assert [row.error for row in rows] == [None] * len(rows)
    return [row.fields for row in rows]


@settings(max_examples=60)
@given(
    messages=st.lists(_MESSAGES, min_size=3, max_size=20),
    delimiter=st.sampled_from(",;\t|"),
    quotes=st.sampled_from([('"', csv.QUOTE_MINIMAL), ('"', csv.QUOTE_ALL), ("'", csv.QUOTE_ALL)]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be"]),
)
def test_what_python_writes_comes_back(
    messages: list[str], delimiter: str, quotes: tuple[str, Any], encoding: str
) -> None:
    columns = ["id", "customer", "text", "channel"]
    cells = [[str(i), f"c{i % 3}", text, "chat"] for i, text in enumerate(messages)]
    with TemporaryDirectory() as folder:
        dialect = {"delimiter": delimiter, "quotechar": quotes[0], "quoting": quotes[1]}
        found = read(Path(folder), write([columns, *cells], encoding, **dialect))
    assert [list(row.values()) for row in found] == cells
    assert list(found[0]) == columns


@given(
    st.lists(st.lists(st.text(st.characters(codec="utf-8")), min_size=2, max_size=2), min_size=1)
)
def test_any_text_comes_back_from_a_table_whose_dialect_is_clear(cells: list[list[str]]) -> None:
    records = [["id", "text"], *cells]
    with TemporaryDirectory() as folder:
        raw = write(records, quoting=csv.QUOTE_ALL)
        found = read(Path(folder), raw, delimiter=",", encoding="utf-8", format="csv")
    assert [list(row.values()) for row in found] == cells


@given(st.binary(max_size=300), st.integers(0, 8))
def test_any_bytes_are_rows_and_none_is_dropped(noise: bytes, place: int) -> None:
    """Noise between good lines: all of its lines and all of the good ones are in some row."""
    good = [b"%d,in,hello" % i for i in range(9)]
    lines = [*good[:place], noise.replace(b"\x00", b"?"), *good[place:]]
    with TemporaryDirectory() as folder:
        raw = b"id,direction,text\n" + b"\n".join(lines)
        rows = read_bytes(Path(folder), raw, encoding="utf-8", format="csv", delimiter=",")
    kept = "\n".join("".join(map(str, row.fields.values())) for row in rows)
    for number in range(9):
        assert f"{number}inhello" in kept or f"{number},in,hello" in kept
    for word in noise.decode("utf-8", "replace").replace("\x00", "?").split():
        for part in word.replace('"', ",").split(","):
            assert part in kept


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_line_ends(end: str, tmp_path: Path) -> None:
    raw = end.join(["id,text", '1,"two\r\nlines"', '2,"two\nlines"', "3,one", ""])
    assert [row["text"] for row in read(tmp_path, raw)] == ["two\r\nlines", "two\nlines", "one"]


def test_an_escaped_quote_of_a_database_export(tmp_path: Path) -> None:
    raw = '"id","text"\n"1","he said \\"no\\", twice"\n"2","plain"\n'
    assert read(tmp_path, raw)[0] == {"id": "1", "text": 'he said "no", twice'}


def test_a_backslash_is_text_where_nothing_is_escaped(tmp_path: Path) -> None:
    assert read(tmp_path, "id,text\n1,C:\\new\n2,ok\n")[0]["text"] == "C:\\new"


def test_spaces_after_the_delimiter(tmp_path: Path) -> None:
    raw = 'id, text\n1, "late, again"\n2, "ok"\n'
    assert read(tmp_path, raw) == [{"id": "1", "text": "late, again"}, {"id": "2", "text": "ok"}]


def test_tabs_without_quoting(tmp_path: Path) -> None:
    raw = 'id\ttext\n1\t"bad" service\n2\tsize 5"\n3\t"never again\n4\tfine\n'
    assert [row["text"] for row in read(tmp_path, raw)] == [
        '"bad" service',
        'size 5"',
        '"never again',
        "fine",
    ]
    assert open_file(tmp_path / "archive").format == "tsv"


def test_semicolons_with_decimal_commas(tmp_path: Path) -> None:
    raw = "id;price;text\n1;2,5;سيء، جدا\n2;3,5;جيد\n"
    assert read(tmp_path, raw)[0] == {"id": "1", "price": "2,5", "text": "سيء، جدا"}


def test_the_first_line_with_which_excel_names_the_delimiter(tmp_path: Path) -> None:
    assert read(tmp_path, "sep=;\r\nid;text\r\n1;a, b\r\n") == [{"id": "1", "text": "a, b"}]


def test_a_delimiter_that_is_told(tmp_path: Path) -> None:
    assert read(tmp_path, "id^text\n1^a,b\n2^c,d\n", delimiter="^")[0]["text"] == "a,b"
    assert read(tmp_path, "id\ttext\n1\ta,b\n", delimiter="tab") == [{"id": "1", "text": "a,b"}]
    with pytest.raises(ArchiveError, match="the delimiter '::' is not one character"):
        read(tmp_path, "id::text\n", delimiter="::")


def test_one_column_with_commas(tmp_path: Path) -> None:
    raw = "text\nlate, late, late\nno comma\none, comma\n"
    assert [row["text"] for row in read(tmp_path, raw)] == [
        "late, late, late",
        "no comma",
        "one, comma",
    ]


def test_messages_alone_are_none_of_them_a_header(tmp_path: Path) -> None:
    found = read(tmp_path, "هلا والله\nوين طلبي\nشكرا\n")
    assert [row["column_1"] for row in found] == ["هلا والله", "وين طلبي", "شكرا"]


def test_a_table_without_header(tmp_path: Path) -> None:
    raw = "17,2024-03-01 10:00,in,late again\n18,2024-03-01 10:05,out,we are sorry\n"
    assert list(read(tmp_path, raw)[0]) == ["column_1", "column_2", "column_3", "column_4"]
    assert "no header" in open_file(tmp_path / "archive").understood[-1]


def test_column_names_that_are_missing_or_come_twice(tmp_path: Path) -> None:
    raw = "id,text,,text,column_3,text_2\n1,a,b,c,d,e\n2,f,g,h,i,j\n"
    names = ["id", "text", "column_3", "text_3", "column_3_2", "text_2"]
    assert read(tmp_path, raw)[0] == dict(zip(names, ["1", "a", "b", "c", "d", "e"], strict=True))


def test_too_few_and_too_many_cells(tmp_path: Path) -> None:
    raw = b"id,channel,text\n1,chat,ok\n2,chat\n3,chat,late,again\n4,chat,fine,,\n5,chat,ok\n"
    rows = read_bytes(tmp_path, raw)
    assert [row.fields["id"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert rows[1].fields == {"id": "2", "channel": "chat", "text": ""}
    assert rows[1].error is None
    assert rows[2].fields["raw"] == "3,chat,late,again"
    assert rows[2].error == "4 cells where there are 3 columns"
    assert rows[3].fields == {"id": "4", "channel": "chat", "text": "fine"}
    assert [row.error for row in rows][3:] == [None, None]


@pytest.mark.parametrize(
    "titles",
    [
        "Report of March\n\n",
        "Report of March,,\n,,\n",
        "Report, of March, 2024, all\n",
        '"Report\nof March"\n',
        "Company,Nour\nFrom,2024-01-01\nTo,2024-02-01\n",
        "a,b,c\n",
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_titles_above_the_header_are_told(titles: str, delimiter: str, tmp_path: Path) -> None:
    table = "id,customer,text\n1,c1,hello\n2,c2,bye\n"
    found = read(tmp_path, (titles + table).replace(",", delimiter))
    assert [list(row.values()) for row in found] == [["1", "c1", "hello"], ["2", "c2", "bye"]]
    told = open_file(tmp_path / "archive").understood[-1]
    assert "above the header left out (" in told
    assert all(word in told for word in titles.replace(",", " ").replace('"', "").split())


def test_a_header_that_comes_again_is_a_header(tmp_path: Path) -> None:
    """As in files that were put together."""
    raw = "id,channel,text\n1,email,hello\nid,channel,text\n2,phone,bye\n"
    assert [row["id"] for row in read(tmp_path, raw)] == ["1", "id", "2"]


def test_values_that_are_names_of_columns_are_no_header(tmp_path: Path) -> None:
    raw = "17,email,late again\n18,email,hello\n19,phone,hello\n"
    assert list(read(tmp_path, raw)[0].values()) == ["17", "email", "late again"]
    raw = "Nr,Art,Wort\nemail,message,late again\nemail,comment,hello\nphone,comment,hi\n"
    assert list(read(tmp_path, raw)[0]) == ["Nr", "Art", "Wort"]


@pytest.mark.parametrize("lines", [3_000, 30_000])
def test_a_cell_of_many_lines_is_one(lines: int, tmp_path: Path) -> None:
    long = "\n".join(f"line {i}, of it" for i in range(lines))
    raw = f'id,text,channel\n1,"{long}",chat\n2,ok,chat\n'
    assert [row["text"] for row in read(tmp_path, raw)] == [long, "ok"]


def test_a_quote_that_never_closes_costs_only_its_row(tmp_path: Path) -> None:
    good = [f'{i},chat,"late, {i}"' for i in range(5000)]
    lines = ["id,channel,text", *good[:10], '10,chat,"never, closed', *good[11:]]
    rows = read_bytes(tmp_path, "\n".join(lines).encode())
    assert len(rows) == 5000
    assert rows[10].fields["raw"] == '10,chat,"never, closed'
    assert [row.fields["text"] for row in (rows[9], rows[11], rows[-1])] == [
        "late, 9",
        "late, 11",
        "late, 4999",
    ]


def test_an_open_quote_is_bounded(tmp_path: Path) -> None:
    lines = ["id,channel,text", *(f'{i},chat,"x"' for i in range(9)), '9,chat,"open']
    later = [f"{i},chat,late" for i in range(10, 100_000)]
    rows = read_bytes(tmp_path, "\n".join(lines + later).encode())
    assert len(rows) == 100_000
    assert rows[9].fields == {"id": "9", "channel": "chat", "text": '"open'}
    assert rows[-1].fields == {"id": "99999", "channel": "chat", "text": "late"}


def test_an_open_quote_that_a_later_cell_seems_to_close_swallows_no_row(tmp_path: Path) -> None:
    texts = [f"late {i}" for i in range(3000)]
    texts[2000], texts[2500] = '"never closed', 'a screen of 5"'
    lines = ["id,channel,text", *(f"{i},chat,{text}" for i, text in enumerate(texts))]
    assert [row["text"] for row in read(tmp_path, "\n".join(lines))] == texts


def test_a_message_of_lines_with_delimiters_is_one(tmp_path: Path) -> None:
    listed = "\n".join(f"item {i}, red, {i} pieces" for i in range(9))
    raw = f'id,text,channel\n1,"{listed}",chat\n2,ok,chat\n'
    assert [row["text"] for row in read(tmp_path, raw)] == [listed, "ok"]


def test_quotes_within_a_quoted_cell(tmp_path: Path) -> None:
    raw = 'id,text,channel\n1,"he said "no" loudly",chat\n' + '2,"fine, ok",chat\n' * 5
    assert read(tmp_path, raw)[0]["text"] == 'he said "no" loudly'


def test_long_cells_blank_lines_and_nul(tmp_path: Path) -> None:
    long = "ش" * 300_000
    raw = f"id,text\n\n1,{long}\n\r\n2,a\0b\n   \n"
    found = read(tmp_path, raw)
    assert found == [{"id": "1", "text": long}, {"id": "2", "text": "a\0b"}]


@pytest.mark.parametrize("raw", ["", "\n\n", "id,text\n"])
def test_a_table_without_rows(raw: str, tmp_path: Path) -> None:
    assert read(tmp_path, raw) == []
    assert (open_file(tmp_path / "archive").understood == ["empty"]) == (not raw.strip())


def test_row_order_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\n" + "".join(f"{i},t\n" for i in range(3000)))
    assert [row.fields["id"] for row in read_rows(path)] == list(map(str, range(3000)))
