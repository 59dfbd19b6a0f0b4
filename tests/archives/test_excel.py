"""Excel: typed values, the sheets with the table, and nothing of what stands around it."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from serving.archives.row import ArchiveError
from tests.archives.files import open_file, read_fields

_HEADER = ["id", "العميل", "date", "text"]
_NOON = dt.datetime(2024, 3, 1, 12, 30, 15)
_ROWS: list[list[Any]] = [[1, "c1", _NOON, "سيء"], [2, "c2", _NOON, "good"]]


def write(
    path: Path, *sheets: list[list[Any]], change: Callable[[Worksheet], Any] | None = None
) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for number, rows in enumerate(sheets, 1):
        sheet = book.create_sheet(f"sheet {number}")
        for row in rows:
            sheet.append(row)
    if change is not None:
        change(book.worksheets[0])
    book.save(path)
    return path


def records(rows: list[list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(_HEADER, row, strict=True)) for row in rows]


def test_values_have_their_types(tmp_path: Path) -> None:
    values = [7, 2.5, True, "٣", None, _NOON, dt.time(3, 4), dt.timedelta(hours=30), "=1+1"]
    names = [f"name {place}" for place in range(len(values))]
    path = write(tmp_path / "a.xlsx", [names, values])
    (row,) = read_fields(path)
    assert list(row.values()) == [*values[:8], None]
    assert [type(value) for value in row.values()][:3] == [int, float, bool]
    assert open_file(path).format == "excel"


def test_a_cell_with_an_error_is_empty(tmp_path: Path) -> None:
    def change(sheet: Worksheet) -> None:
        sheet["D2"].value, sheet["D2"].data_type = "#N/A", "e"

    assert (
        read_fields(write(tmp_path / "a.xlsx", [_HEADER, *_ROWS], change=change))[0]["text"] is None
    )


def test_empty_rows_and_columns_are_skipped(tmp_path: Path) -> None:
    empty: list[Any] = [None] * 4
    rows = [[None, *row] for row in [empty, _HEADER, empty, *_ROWS, empty]]

    def change(sheet: Worksheet) -> None:
        sheet["K40"].number_format = "0.00"

    assert read_fields(write(tmp_path / "a.xlsx", rows, change=change)) == records(_ROWS)


def test_a_title_above_the_header_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", [["تقرير الرسائل"], [], _HEADER, *_ROWS])
    assert read_fields(path) == records(_ROWS)
    assert open_file(path).understood == [
        "sheets read: sheet 1",
        "1 row above the header left out (تقرير الرسائل)",
    ]


@pytest.mark.parametrize(
    "titles",
    [
        [["Customer:", "Nour"]],
        [["Report", "2024"], []],
        [["Messages"], ["From", "2024-01-01", "to", "2024-02-01"]],
        [["a", "b", "c", "d"]],
    ],
)
def test_titles_of_several_cells(titles: list[list[Any]], tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", [*titles, _HEADER, *_ROWS])
    assert read_fields(path) == records(_ROWS)
    told = open_file(path).understood[-1]
    assert all(cell in told for title in titles for cell in title)


def test_a_header_of_unknown_names_below_a_title(tmp_path: Path) -> None:
    rows = [["x", "a b c", 1], ["y", "d e f", 2]]
    path = write(tmp_path / "a.xlsx", [["A list"], ["foo", "bar", "baz"], *rows])
    assert [list(row.values()) for row in read_fields(path)] == rows
    assert open_file(path).columns == ["foo", "bar", "baz"]


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ([["hello there"], ["bye now"], ["late", "a stray note"]], ["column_1", "column_2"]),
        ([["text"], ["bye now"], ["late", "a stray note"], ["ok"]], ["text", "column_2"]),
        ([["text", None, "b"], ["hello"], ["late"], ["x", 1, 2]], ["text", "column_2", "b"]),
    ],
)
def test_a_stray_note_swallows_no_row(
    rows: list[list[Any]], columns: list[str], tmp_path: Path
) -> None:
    path = write(tmp_path / "a.xlsx", rows)
    texts = [row[0] for row in rows if row[0] not in columns]
    assert [row[columns[0]] for row in read_fields(path)] == texts
    assert open_file(path).columns == columns


def test_a_cover_sheet_is_not_the_table(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", [["Contents", "Page"], ["All", 1]], [_HEADER, *_ROWS])
    assert read_fields(path) == records(_ROWS)
    assert open_file(path).understood[-1] == "sheets left out: sheet 1"


def test_the_column_that_is_told_tells_the_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", [["x", "y"], ["foo", "bar"], ["a", "b"]])
    assert read_fields(path, columns={"text": "bar"}) == [{"foo": "a", "bar": "b"}]


def test_sheets_with_the_same_header_are_one_table(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.xlsx",
        [],
        [_HEADER, _ROWS[0]],
        [["total", "month"], [2, "March"]],
        [_HEADER, _ROWS[1]],
    )
    assert read_fields(path) == records(_ROWS)
    assert open_file(path).understood == [
        "sheets read: sheet 2, sheet 4",
        "sheets left out: sheet 3",
    ]


def test_a_hidden_sheet_is_no_table(tmp_path: Path) -> None:
    def change(sheet: Worksheet) -> None:
        sheet.sheet_state = "hidden"

    path = write(tmp_path / "a.xlsx", [["x", "y"], [1, 2]], [_HEADER, *_ROWS], change=change)
    assert read_fields(path) == records(_ROWS)


def test_a_cell_that_is_merged_over_rows_is_in_each_of_them(tmp_path: Path) -> None:
    rows = [_HEADER, *_ROWS, [3, "c3", _NOON, "x"]]
    path = write(tmp_path / "a.xlsx", rows, change=lambda sheet: sheet.merge_cells("B2:B3"))
    assert [row["العميل"] for row in read_fields(path)] == ["c1", "c1", "c3"]


def test_a_sheet_without_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", _ROWS)
    assert [list(row.values()) for row in read_fields(path)] == _ROWS
    assert open_file(path).columns == ["column_1", "column_2", "column_3", "column_4"]


def test_no_cells_at_all(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", [])
    assert read_fields(path) == []
    assert open_file(path).understood == ["sheets read: none, all are empty"]


def test_a_spreadsheet_in_a_zip(tmp_path: Path) -> None:
    inner = write(tmp_path / "a.xlsx", [_HEADER, *_ROWS])
    outer = tmp_path / "outer.zip"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(inner, "a.xlsx")
    assert read_fields(outer) == records(_ROWS)


def test_a_file_that_unpacks_beyond_the_limit(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", [_HEADER, *(_ROWS * 500)])
    with pytest.raises(
        ArchiveError, match=r"unpacks to more than 20,000 bytes: raise --unpack-limit"
    ):
        open_file(path, unpack_limit=20_000)


def test_a_file_that_lies_about_its_size(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", [_HEADER, *(_ROWS * 500)])
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("xl/worksheets/sheet1.xml").file_size
    path.write_bytes(raw.replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little")))
    with pytest.raises(ArchiveError, match=r"is damaged in xl/worksheets/sheet1.xml"):
        open_file(path, unpack_limit=20_000)


def test_a_file_that_is_no_excel(tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(b"\xd0\xcf\x11\xe0" + b"junk" * 300)
    with pytest.raises(ArchiveError, match="is no Excel file that can be read"):
        open_file(path)
    document = io.BytesIO()
    with zipfile.ZipFile(document, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<document/>")
    path.write_bytes(document.getvalue())
    with pytest.raises(ArchiveError, match="is no Excel file that can be read"):
        open_file(path)


def test_an_open_document_sheet(tmp_path: Path) -> None:
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "table", "text")
    )
    rows = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>'
            for cell in row
        )
        + "</table:table-row>"
        for row in (["id", "text"], ["a", "سيء"])
    )
    path = tmp_path / "a.ods"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr(
            "content.xml",
            f"<office:document-content {spaces}><office:body><office:spreadsheet>"
            f'<table:table table:name="one">{rows}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    assert read_fields(path) == [{"id": "a", "text": "سيء"}]
