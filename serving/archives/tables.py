"""CSV and TSV, in whatever dialect they are written; a broken row costs no other row."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import Any, TextIO

from serving.archives.dialects import (
    DELIMITERS,
    SAMPLE_CHARACTERS,
    SAMPLE_ROWS,
    SINGLE_COLUMN,
    Dialect,
    find_dialect,
)
from serving.archives.encodings import encoding_name, open_text, read_head, replaced
from serving.archives.headers import column_names, find_header, rows_above
from serving.archives.row import ArchiveError, ReadOptions, Row, Source

LONGEST_LINE = 2**24
"""Characters; what is longer is read as several lines."""
_MOST_CHARACTERS = 2**20
"""Of a record before its last line: an open quote swallows no more."""
_FEW_LINES = 10
"""A message may have so many lines that look like rows."""
csv.field_size_limit(sys.maxsize)  # the bounds are those above; the module's own is 128 KiB


class TableArchive:
    """A CSV or TSV file."""

    def __init__(self, source: Source, encoding: str, options: ReadOptions) -> None:
        """Find out the dialect and the header.

        Raises:
            ArchiveError: the delimiter told is not one character.
        """
        self.source, self._encoding = source, encoding
        head = read_head(source, encoding, SAMPLE_CHARACTERS)
        told, self._named = options.delimiter, head[:4].lower() == "sep="
        if self._named:
            line = head.splitlines()[0]
            told, head = told or line[4:5] or "\t", head[len(line) :].lstrip("\r\n")
        self._dialect = find_dialect(head, _delimiter(told))
        self._find_header(head, options)
        self.schema = None
        self._replaced = 0

    def _find_header(self, head: str, options: ReadOptions) -> None:
        self._above, self._header = 0, False
        self._titles: list[list[str]] = []
        self.columns: list[str] | None = []
        width = 0
        for _ in range(2):  # which line ends a broken record depends on the width
            records = _records(_Lines(io.StringIO(head, newline="")), self._dialect, width)
            rows = list(islice(records, SAMPLE_ROWS))
            if not rows:
                return
            self._above, self._header = find_header(rows, options)
            self._titles, table = rows[: self._above], rows[self._above :]
            width = Counter(map(len, table)).most_common(1)[0][0]
            self.columns = column_names(table[0], width, self._header)
            width = len(self.columns)

    @property
    def format(self) -> str:
        return "tsv" if self._dialect.delimiter == "\t" else "csv"

    @property
    def understood(self) -> list[str]:
        """See `Archive`; after reading, also how many bytes were wrong."""
        if not self.columns:
            return ["empty"]
        delimiter, quote = self._dialect.delimiter, self._dialect.quote
        return [
            encoding_name(self._encoding),
            "one column"
            if delimiter == SINGLE_COLUMN
            else f"{DELIMITERS.get(delimiter, repr(delimiter))} between columns",
            *([] if quote == '"' else ["no quotes" if quote is None else f"quotes are {quote}"]),
            *(["backslashes escape"] if self._dialect.escaped else []),
            *rows_above(self._titles),
            *([] if self._header else ["no header: the columns are column_1, column_2 …"]),
            *replaced(self._replaced),
        ]

    def rows(self) -> Iterator[Row]:
        """See `Archive.rows`."""
        columns = self.columns or []
        self._replaced = 0
        with open_text(self.source, self._encoding) as text:
            if self._named:
                text.readline()
            lines = _Lines(text)
            records = _records(lines, self._dialect, len(columns))
            for cells in islice(records, self._above + self._header, None):
                self._replaced += lines.replaced
                if len(cells) == len(columns):
                    yield Row(dict(zip(columns, cells, strict=True)))
                else:
                    yield _uneven(columns, cells, lines.raw)


def _uneven(columns: list[str], cells: list[str], raw: str) -> Row:
    """A row with another number of cells than the header: those missing at its end are empty, and
    one with too many is an error with the line.
    """
    if len(cells) < len(columns):
        return Row(dict(zip_longest(columns, cells, fillvalue="")))
    if not any(cells[len(columns) :]):
        return Row(dict(zip(columns, cells, strict=False)))
    fields: dict[str, Any] = dict(zip(columns, cells, strict=False))
    error = f"{len(cells)} cells where there are {len(columns)} columns"
    return Row(fields | {"raw": raw}, error)


class _Lines:
    """The lines of a text; those of the record under way are kept and can be read again."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._characters = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._characters >= _MOST_CHARACTERS:
            raise csv.Error("the record is too long")
        line = self._again.popleft() if self._again else self._text.readline(LONGEST_LINE)
        if not line:
            raise StopIteration
        self._taken.append(line)
        self._characters += len(line)
        return line

    def begin(self) -> None:
        """What comes now is another record."""
        self._taken.clear()
        self._characters = 0

    def keep_first(self) -> str:
        """The first line of the record; the others will be read again."""
        self._again.extendleft(reversed(self._taken[1:]))
        del self._taken[1:]
        return self._taken[0]

    @property
    def later(self) -> list[str]:
        return self._taken[1:]

    @property
    def raw(self) -> str:
        return "".join(self._taken).rstrip("\r\n")

    @property
    def replaced(self) -> int:
        return sum(line.count("\ufffd") for line in self._taken)


def _records(lines: _Lines, dialect: Dialect, width: int) -> Iterator[list[str]]:
    """The cells of each record, without blank lines.

    A quote that does not close, or closes within a cell, or a record over several lines that has
    swallowed others: the first line is then split without heed to quotes, and the others are read
    anew.
    """
    reader = dialect.reader(lines)
    while True:
        lines.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            cells = dialect.split(lines.keep_first().rstrip("\r\n"))
        if _has_swallowed(cells, lines.later, dialect, width):
            cells = dialect.split(lines.keep_first().rstrip("\r\n"))
        if len(cells) > 1 or (cells and (width == 1 or cells[0].strip())):
            yield cells


def _has_swallowed(cells: list[str], later: list[str], dialect: Dialect, width: int) -> bool:
    """Whether later lines of a record are others: one, where its own width is wrong; else all that
    are between its quotes, if they are many.
    """
    whole = (len(dialect.split(line)) == width for line in later)
    if len(cells) != width:
        return any(whole)
    return width > 2 and len(later) > _FEW_LINES and all(islice(whole, len(later) - 1))


def _delimiter(told: str | None) -> str | None:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(told or "", told)
    if delimiter is not None and len(delimiter) != 1:
        raise ArchiveError(f"the delimiter {told!r} is not one character, nor tab")
    return delimiter
