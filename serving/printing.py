"""Records as people read them in a terminal: tables; and as programs do: JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click


def print_json(record: Any) -> None:
    click.echo(json.dumps(record, indent=1, ensure_ascii=False))


def print_record(title: str, found: Any) -> None:
    """Whatever a record holds, as tables: a list of records is one, a record of values another."""
    if isinstance(found, list) and all(isinstance(one, dict) for one in found):
        _print_grid(title, [], [([], one) for one in found])
    elif isinstance(found, dict) and _is_grid(found):
        _print_grid(title, [""], [([key], row) for key, row in found.items()])
    elif isinstance(found, dict):
        _print_parts(title, found)


def _print_grid(
    title: str, head: list[str], rows: Sequence[tuple[list[str], dict[str, Any]]]
) -> None:
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    cells = ([*key, *(cell(row.get(name)) for name in names)] for key, row in rows)
    print_table(title, [*head, *names], cells)


def _print_parts(title: str, found: dict[str, Any]) -> None:
    plain = {key: value for key, value in found.items() if _is_plain(value)}
    if plain:
        print_table(title, ("", ""), ([key, cell(value)] for key, value in plain.items()))
    for key, value in found.items():
        if key not in plain:
            print_record(f"{title}: {key}" if title else key, value)


def _is_grid(found: Mapping[str, Any]) -> bool:
    """Records of values by name."""
    rows = list(found.values())
    return bool(rows) and all(
        isinstance(row, dict) and row and all(map(_is_plain, row.values())) for row in rows
    )


def _is_plain(value: Any) -> bool:
    """Fits into a cell: a value, a figure with its interval, two models' figures, or some words."""
    if isinstance(value, dict):
        figures = "value" in value or {"candidate", "released"} <= value.keys()
        return figures and not any(isinstance(v, dict | list) for v in value.values())
    if isinstance(value, list):
        return not any(isinstance(v, dict | list) for v in value)
    return True


def cell(value: Any) -> str:
    """A value as people read it: four digits, an interval in brackets, nothing for None."""
    match value:
        case None | bool():
            return {None: "", True: "yes", False: "no"}[value]
        case float():
            return f"{value:.4g}"
        case list():
            return ", ".join(map(cell, value))
        case dict():
            return _figures(value)
    return str(value)


def _figures(found: dict[str, Any]) -> str:
    """A figure, or those of a candidate and the released model, with the interval."""
    named = [found[name] for name in ("value", "candidate", "released") if name in found]
    figures = " / ".join(map(cell, named))
    if "low" not in found or "high" not in found:
        return figures
    better = "" if "value" in found else "better by "
    return f"{figures} ({better}{cell(found['low'])} to {cell(found['high'])})"


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Nothing where there are no rows. No line is cut where the output is no screen."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    if table.row_count:
        width = None if sys.stdout.isatty() else 200
        Console(file=sys.stdout, width=width, markup=False, emoji=False).print(table)
