"""The dialect of a CSV file: what stands between cells, and what around them."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from serving.archives.headers import FIRST_ROWS, count_names

SAMPLE_CHARACTERS = 2**18
SAMPLE_ROWS = 1000
SINGLE_COLUMN = "\x1f"
DELIMITERS = {
    ",": "commas",
    "\t": "tabs",
    ";": "semicolons",
    "|": "bars",
}
_QUOTES = ('"', "'")
_CONSISTENT, _CONSISTENT_WITH_HEADER = 0.8, 0.5
"""The least share of rows with the same number of columns; less where the first row has it too."""


@dataclass(frozen=True)
class Dialect:
    """How cells are told apart.

    Attributes:
        quote: None where quotes are part of the text.
        escaped: a backslash takes the meaning from the next character.
        spaced: spaces follow the delimiter.
    """

    delimiter: str
    quote: str | None = '"'
    escaped: bool = False
    spaced: bool = False

    def reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """Python's reader in this dialect, strict."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quote,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            escapechar="\\" if self.escaped else None,
            skipinitialspace=self.spaced,
            strict=True,
        )

    def split(self, line: str) -> list[str]:
        """The cells of a line whose quotes are wrong: at every delimiter, without outer quotes."""
        cells = [cell.strip() if self.spaced else cell for cell in line.split(self.delimiter)]
        return [c[1:-1] if len(c) > 1 and c[0] == c[-1] == self.quote else c for c in cells]


def find_dialect(sample: str, delimiter: str | None = None) -> Dialect:
    """The dialect in which most rows have the same number of columns, the more the better.

    Args:
        sample: the beginning of the file, from the header on.
        delimiter: the one told, or None.
    """
    lines, cut = list(io.StringIO(sample, newline="")), len(sample) >= SAMPLE_CHARACTERS
    if cut and len(lines) > 1:
        del lines[-1]
    best, best_score = None, -1.0
    for dialect in _candidates(sample, delimiter):
        score = _score(dialect, lines, cut)
        if score > best_score:
            best, best_score = dialect, score
    assert best is not None
    return best


def _candidates(sample: str, delimiter: str | None) -> Iterator[Dialect]:
    """Those for which there is a sign, the common ones first."""
    escapes = (False, True) if '\\"' in sample or "\\'" in sample else (False,)
    spaces = (False, True) if any(f" {quote}" in sample for quote in _QUOTES) else (False,)
    quotes = ('"', *(quote for quote in ("'",) if quote in sample), None)
    delimiters = [delimiter] if delimiter else [d for d in DELIMITERS if d in sample]
    for each in delimiters:
        for quote, escaped, spaced in product(quotes, escapes, spaces):
            yield Dialect(each, quote, escaped, spaced)
    if not delimiter:
        yield Dialect(SINGLE_COLUMN)
        yield Dialect(SINGLE_COLUMN, None)


def _score(dialect: Dialect, lines: list[str], cut: bool) -> float:
    """0 to 1: the share of rows with the most frequent number of columns, the more the better.

    Cells that are still quoted take from it; so does a first row with another number. Titles above
    a header of known names do not count.
    """
    rows = _sample_rows(dialect, lines, cut)
    rows = rows[_header_place(rows) :]
    widths: dict[int, float] = defaultdict(float)
    for row in rows:
        if row:
            widths[len(row)] += 1 - _still_quoted(row, dialect) / len(row)
    if not widths:
        return 0.0
    weight, width = max((weight, width) for width, weight in widths.items())
    share = weight / len(rows)
    if dialect.delimiter == SINGLE_COLUMN:
        return share * 0.01
    score = share * (1 - 1 / width)
    if len(rows[0]) == width:
        return score if share >= _CONSISTENT_WITH_HEADER else 0.0
    return score / 2 if share >= _CONSISTENT else 0.0


def _header_place(rows: list[list[str]]) -> int:
    """The place of the first row with two known names, else 0."""
    return next((n for n in range(len(rows))[:FIRST_ROWS] if count_names(rows[n:]) > 1), 0)


def _sample_rows(dialect: Dialect, lines: list[str], cut: bool) -> list[list[str]]:
    """The rows in these lines; an empty one for what breaks the dialect's rules, but not for a
    record that the end of the sample cuts.
    """
    reader = dialect.reader(iter(lines))
    rows: list[list[str]] = []
    while len(rows) < SAMPLE_ROWS:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            if cut and rows and "end of data" in str(error):
                break
            rows.append([])
            continue
        if row:
            rows.append(row)
    return rows


def _still_quoted(row: list[str], dialect: Dialect) -> int:
    """How many cells have quotes around them that the dialect should have taken away."""
    return sum(
        len(bare) > 1
        and bare[0] == bare[-1]
        and bare[0] in _QUOTES
        and (bare[0] != dialect.quote or cell[0] == " ")
        for cell in row
        for bare in [cell.strip(" ")]
    )
