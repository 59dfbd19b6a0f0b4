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

from serving.archives.headers import (
    FIRST_ROWS,
    column_names,
    count_names,
    find_header,
    rows_above,
)
from serving.archives.row import ArchiveError, ReadOptions, Row, Source
from serving.archives.sources import ZIP_MAGIC, check_unpacked, seekable

_SAMPLE_ROWS = 100
_EXACT = 2**53


class ExcelArchive:
    """The visible sheet whose header has the most known names, else the first with cells; and all
    that have the same header.

    Whole numbers are int, empty cells and errors such as #N/A are None, formulas have the value that
    was saved with them. A cell merged over several rows is in each of them. Empty rows are skipped.
    Titles above the header are left out.
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
        self._above: dict[str, int] = {}
        self._header = True
        self._titles: list[list[str]] = []
        with self._opened() as workbook:
            sheets = {sheet.name: _first_rows(sheet) for sheet in _visible(workbook)}
        if sheets:
            self._find_table(sheets, options)
        self._others = [name for name in sheets if name not in self._above]

    def _find_table(self, sheets: dict[str, list[list[str]]], options: ReadOptions) -> None:
        found = {name: find_header(rows, options) for name, rows in sheets.items()}
        best = max(found, key=lambda name: count_names(sheets[name][found[name][0] :]))
        above, self._header = found[best]
        header = sheets[best][above]
        self.columns = column_names(header, len(header), self._header)
        for name, rows in sheets.items():
            if name == best:
                self._above[name] = above
            elif self._header and header in rows[:FIRST_ROWS]:
                self._above[name] = rows.index(header)
            self._titles += rows[: self._above.get(name, 0)]

    @property
    def understood(self) -> list[str]:
        """See `Archive`."""
        return [
            f"sheets read: {', '.join(self._above) or 'none, all are empty'}",
            *([f"sheets left out: {', '.join(self._others)}"] if self._others else []),
            *rows_above(self._titles),
            *([] if self._header else ["no header: the columns are column_1, column_2 …"]),
        ]

    def rows(self) -> Iterator[Row]:
        """See `Archive.rows`."""
        columns = self.columns or []
        with self._opened() as workbook:
            for name, above in self._above.items():
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


def _first_rows(sheet: CalamineSheet) -> list[list[str]]:
    return [list(map(_text, row)) for row in islice(_filled_rows(sheet), _SAMPLE_ROWS)]


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
