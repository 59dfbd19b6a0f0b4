"""The names of a table's columns: whether its first row has them, and one name for each column."""

from __future__ import annotations

import re
from collections.abc import Sequence

from serving.archives.columns import is_known_name
from serving.archives.row import ReadOptions

_LONGEST_NAME = 60
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


def is_header(rows: Sequence[Sequence[str]], options: ReadOptions) -> bool:
    """Whether the first row names the columns.

    In doubt it does; a single column or a single row it does not, so that no message is lost.
    """
    first = [cell.strip() for cell in rows[0]]
    told = set(options.columns.values())
    if told & set(first) or any(map(is_known_name, first)):
        return True
    if any(map(_NUMBERED.fullmatch, told)):
        return False
    table = len(first) > 1 and len(rows) > 1
    return table and not any(map(_is_value, first)) and not _repeats(rows)


def _is_value(cell: str) -> bool:
    return len(cell) > _LONGEST_NAME or "\n" in cell or bool(_NO_NAME.fullmatch(cell))


def _repeats(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a cell of the first row comes again below it, as values do and names do not."""
    return any(
        cell and place < len(row) and row[place] == cell
        for place, cell in enumerate(rows[0])
        for row in rows[1:]
    )
