"""The names of a table's columns: which row has them, and one name for each column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from serving.archives.columns import is_known_name
from serving.archives.row import ReadOptions

FIRST_ROWS = 20
"""Among these is the header, if there is one; what stands above it are titles and notes."""
_LONGEST_NAME = 60
_SHOWN_TITLE = 40
_NO_NAME = re.compile(
    r"\+?[\d٠-٩۰-۹.,:/\\ -]+(am|pm|[صم])?|\d{4}-\d\d-\d\d.*|.*://.*|\S+@\S+\.\S+", re.I
)
_NUMBERED = re.compile(r"column_\d+")


def column_names(first: Sequence[str], width: int, is_header: bool) -> list[str]:
    """One name for each column: the header's, column_1, column_2 … where there is none, and name_2,
    name_3 … where a name comes again.
    """
    width = max(width, len(first))
    given = [*first, *[""] * (width - len(first))] if is_header else [""] * width
    named = [name.strip() or f"column_{place}" for place, name in enumerate(given, 1)]
    names: dict[str, None] = {}
    for name in named:
        unique, copies = name, 1
        while unique in names or (copies > 1 and unique in named):
            copies += 1
            unique = f"{name}_{copies}"
        names[unique] = None
    return list(names)


def find_header(rows: Sequence[Sequence[str]], options: ReadOptions) -> tuple[int, bool]:
    """How many rows stand above the table, and whether its first row names the columns.

    The header is the row with the most names that are told or known, two at least; else the first
    row as wide as the table. In doubt the table begins in the first row, so that no row is lost.

    Args:
        rows: the first rows, at least one.
        options: tell names of columns.
    """
    place = _best_named(rows, options)
    if place is None:
        place = _first_wide(rows, options)
    return place, _is_header(rows[place:], options)


def _is_header(rows: Sequence[Sequence[str]], options: ReadOptions) -> bool:
    """Whether the first row names the columns.

    In doubt it does; a single column or a single row it does not, so that no message is lost.
    """
    first = [cell.strip() for cell in rows[0]]
    told = _told(options)
    if told & set(first) or count_names(rows):
        return True
    if any(map(_NUMBERED.fullmatch, told)):
        return False
    table = _filled(first) > 1 and len(rows) > 1
    return table and not any(map(_is_value, first)) and not any(_repeats(rows))


def count_names(rows: Sequence[Sequence[str]]) -> int:
    """How many cells of the first row are known names of columns, and not values of them."""
    known = (place for place, cell in enumerate(rows[0]) if is_known_name(cell))
    return sum(not _repeats_at(place, rows) for place in known)


def rows_above(rows: Sequence[Sequence[str]]) -> list[str]:
    """A statement on the rows above a table, if there are any."""
    titles = [" ".join(" ".join(row).split()) for row in rows]
    shown = [title[:_SHOWN_TITLE] for title in titles if title]
    if not shown:
        return []
    count = "1 row" if len(shown) == 1 else f"{len(shown)} rows"
    return [f"{count} above the header left out ({' | '.join(shown)})"]


def _best_named(rows: Sequence[Sequence[str]], options: ReadOptions) -> int | None:
    best, most = None, (0, 1)
    told = _told(options)
    for place, row in enumerate(rows[:FIRST_ROWS]):
        names = (len(told.intersection(cell.strip() for cell in row)), count_names(rows[place:]))
        if names > most and (place == 0 or names[0] or _stands_out(rows, place, names[1])):
            best, most = place, names
    return best


def _stands_out(rows: Sequence[Sequence[str]], place: int, names: int) -> bool:
    """Whether a later row can be the header: without values, and either wider than all above it or
    of known names alone.
    """
    width = _filled(rows[place])
    wider = all(_filled(row) < width for row in rows[:place])
    return (wider or names == width) and not any(_is_value(cell.strip()) for cell in rows[place])


def _first_wide(rows: Sequence[Sequence[str]], options: ReadOptions) -> int:
    """The first row with as many cells as most have, if it can be the header; else 0."""
    widths = Counter(map(_filled, rows))
    width = max(widths, key=lambda width: (widths[width], width))
    place = next(place for place, row in enumerate(rows) if _filled(row) >= width)
    below = rows[place:]
    named = place < FIRST_ROWS and count_names(below) >= count_names(rows)
    return place if named and _is_header(below, options) else 0


def _told(options: ReadOptions) -> set[str]:
    return set(options.columns.values()) - {""}


def _filled(row: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)


def _is_value(cell: str) -> bool:
    return len(cell) > _LONGEST_NAME or "\n" in cell or bool(_NO_NAME.fullmatch(cell))


def _repeats(rows: Sequence[Sequence[str]]) -> Iterator[bool]:
    """For each cell of the first row, whether it comes again below, as values do and names do not."""
    return (_repeats_at(place, rows) for place, cell in enumerate(rows[0]) if cell)


def _repeats_at(place: int, rows: Sequence[Sequence[str]]) -> bool:
    """Whether a cell of the first row comes again below it; a header that comes again does not count."""
    first = rows[0]
    return any(place < len(row) and row[place] == first[place] and row != first for row in rows[1:])
