"""Excel (.xlsx, .xlsb, .xls) and OpenDocument sheets, one sheet in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pyarrow as pa
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetVisibleEnum,
)

from serving.archives.headers import column_names, is_header
from serving.archives.row import ArchiveError, ReadOptions, Row, Source
from serving.archives.sources import ZIP_MAGIC, check_unpacked, seekable

_FIRST_ROWS = 20
_EXACT = 2**53


class ExcelArchive:
    """The first visible sheet with cells, and all that have the same header.

    Whole numbers are int, empty cells and errors such as #N/A are None, formulas have the value that
    was saved with them. A cell merged over several rows is in each of them. Empty rows are skipped.
    Titles above the header (rows with one cell) are left out.
    """

    format = "excel"
    schema: pa.Schema | None = None

    def __init__(self, source: Source, options: ReadOptions) -> None:
        """Find the sheets and the header.

        Raises:
            ArchiveError: it is damaged, needs a password, or unpacks beyond the limit.
        """
        self.source = source
        self.columns: list[str] | None = []
        self._limit = options.unpack_limit
        self._tables: dict[str, int] = {}
        self._others: list[str] = []
        self._header = True
        first: list[Any] | None = None
        with self._opened() as workbook:
            for sheet in _visible(workbook):
                above, rows = _begin(sheet)
                if first is None:
                    first, self._tables[sheet.name] = rows[0], above
                    self._header = is_header([list(map(_text, row)) for row in rows], options)
                    names = list(map(_text, first))
                    self.columns = column_names(names, len(names), self._header)
                elif self._header and rows[0] == first:
                    self._tables[sheet.name] = above
                else:
                    self._others.append(sheet.name)

    @property
    def understood(self) -> list[str]:
        """See `Archive`."""
        titles = sum(self._tables.values())
        return [
            f"sheets read: {', '.join(self._tables) or 'none, all are empty'}",
            *([f"sheets left out: {', '.join(self._others)}"] if self._others else []),
            *([f"{titles} rows above the header left out"] if titles else []),
            *([] if self._header else ["no header: the columns are column_1, column_2 …"]),
        ]

    def rows(self) -> Iterator[Row]:
        """See `Archive.rows`."""
        columns = self.columns or []
        with self._opened() as workbook:
            for name, above in self._tables.items():
                rows = _filled_rows(workbook.get_sheet_by_name(name))
                for cells in islice(rows, above + self._header, None):
                    yield Row(dict(zip(columns, cells, strict=True)))

    @contextmanager
    def _opened(self) -> Iterator[CalamineWorkbook]:
        name = self.source.name
        try:
            with seekable(self.source) as stream:
                if stream.read(4) == ZIP_MAGIC:
                    check_unpacked(stream, name, self._limit)
                stream.seek(0)
                with CalamineWorkbook.from_filelike(stream) as workbook:
                    yield workbook
        except PasswordError as error:
            raise ArchiveError(f"{name} needs a password: save it without one") from error
        except CalamineError as error:
            raise ArchiveError(
                f"{name} is no Excel file that can be read ({error}): save it again, or as CSV"
            ) from error


def _visible(workbook: CalamineWorkbook) -> Iterator[CalamineSheet]:
    """The visible sheets that have cells."""
    for metadata in workbook.sheets_metadata:
        if metadata.visible == SheetVisibleEnum.Visible:
            sheet = workbook.get_sheet_by_name(metadata.name)
            if sheet.height:
                yield sheet


def _begin(sheet: CalamineSheet) -> tuple[int, list[list[Any]]]:
    """How many titles stand above the table, and the table's first rows."""
    rows = list(islice(_filled_rows(sheet), _FIRST_ROWS))
    filled = [sum(cell is not None for cell in row) for row in rows]
    above = next((place for place, count in enumerate(filled) if count > 1), 0)
    return above, rows[above:]


def _filled_rows(sheet: CalamineSheet) -> Iterator[list[Any]]:
    """The rows that are not empty, as wide as the sheet."""
    _, left = sheet.start or (0, 0)
    carried = {
        (row, first[1] - left)
        for first, last in sheet.merged_cell_ranges or []
        for row in range(first[0] + 1, last[0] + 1)
    }
    above: list[Any] = []
    for number, cells in enumerate(sheet.iter_rows()):
        row = [_value(cell) for cell in cells]
        if carried:
            row = [above[i] if (number, i) in carried else cell for i, cell in enumerate(row)]
        above = row
        if any(cell is not None for cell in row):
            yield row


def _value(cell: Any) -> Any:
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _EXACT:
        return int(cell)
    return None if cell == "" else cell


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)
