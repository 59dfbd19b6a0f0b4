"""The checks of a labelled file for a reader: on the console, and as check.md and check.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from training.checks import Checks, Remark
from training.report import table

_SHOWN = 10


def write_checks(checks: Checks, folder: Path) -> None:
    """Write `check.json` and `check.md` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(checks.as_dict(), indent=1, ensure_ascii=False)
    (folder / "check.json").write_text(text + "\n", encoding="utf-8")
    (folder / "check.md").write_text(to_markdown(checks), encoding="utf-8")


def print_checks(checks: Checks, folder: Path, console: Console) -> None:
    """The first lines of each part; all of them are in the folder's check.md."""
    console.print(f"[bold]{_summary(checks)}[/bold]", highlight=False)
    for title, lines in sections(checks):
        style = "red" if title == _ERRORS else "yellow"
        console.print(f"[{style}]{title} ({len(lines)})[/{style}]", highlight=False)
        for line in lines[:_SHOWN]:
            console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
        if len(lines) > _SHOWN:
            console.print(
                f"  … {len(lines) - _SHOWN} more in {folder / 'check.md'}", soft_wrap=True
            )


_ERRORS = "What must be corrected first"


def sections(checks: Checks) -> list[tuple[str, list[str]]]:
    """Title and lines of each part that has any."""
    parts = [
        (_ERRORS, checks.errors),
        ("To know", checks.notes),
        ("Lines left out", checks.unread),
        ("Columns that are not read", checks.unread_columns),
        ("Left out because models are measured on them", _remarks(checks.held_out)),
        ("Conflicts", _remarks(checks.conflicts)),
        ("Labels that look wrong, likeliest first", _suspicions(checks)),
        ("Duplicates", _remarks(checks.duplicates)),
    ]
    return [(title, list(lines)) for title, lines in parts if lines]


def to_markdown(checks: Checks) -> str:
    lines = ["# Check of the labelled rows", "", _summary(checks), ""]
    counts = [(name, count["rows"], count["yes"]) for name, count in checks.labels.items()]
    lines += [*table(("label", "rows that tell it", "yes"), counts), ""]
    total = sum(checks.languages.values())
    shares = [(name, rows, f"{rows / total:.0%}") for name, rows in checks.languages.items()]
    lines += table(("language", "rows", "share"), shares)
    for title, members in sections(checks):
        lines += ["", f"## {title}", "", *(f"- {_plain(member)}" for member in members)]
    return "\n".join(lines) + "\n"


def _plain(line: str) -> str:
    """Without what Markdown would read as its own."""
    return "".join("\\" + c if c in "\\`*_[]<>|#" else c for c in line)


def _summary(checks: Checks) -> str:
    yes = ", ".join(
        f"{name} {count['yes']} of {count['rows']}" for name, count in checks.labels.items()
    )
    return (
        f"{len(checks.kept)} rows to train on ({yes or 'no labels'}), {len(checks.unread)} lines left out,"
        f" {len(checks.suspicions)} labels that look wrong,"
        f" unknown pieces {checks.unknown_pieces:.1%}"
    )


def _remarks(remarks: Sequence[Remark]) -> list[str]:
    return [f"{', '.join(r.places)}: “{r.text}” {r.message}" for r in remarks]


def _suspicions(checks: Checks) -> list[str]:
    return [
        f"{s['place']}: “{s['text']}” {s['label']} is {_word(s['given'])}, but the other rows say"
        f" {s['expected']:.0%} and the model {s['model']:.0%};"
        f" {s['alike']} of {s['neighbours']} similar messages say yes"
        for s in checks.suspicions
    ]


def _word(flag: int) -> str:
    return "yes" if flag else "no"
