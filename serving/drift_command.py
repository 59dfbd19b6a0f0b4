"""`brandtox drift`: how messages and verdicts change from week to week."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from serving.drift import LEAST_WEEKS
from serving.options import with_settings
from serving.printing import print_json, print_table
from serving.settings import Settings
from serving.store.database import Database, StoreError
from serving.store.drift import report, wire_week

_NONE = (
    "No week is known yet: `brandtox serve` makes a week's figures from a day after its end on"
    " (weeks begin on Monday, 00:00 UTC)"
)


@click.command("drift")
@click.option(
    "--weeks", type=click.IntRange(1, 52), default=12, help="How many weeks. Default: 12."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@with_settings("database_url")
def drift(weeks: int, as_json: bool, settings: Settings) -> None:
    """Show how the messages, and what the model makes of them, change from week to week.

    Scores, languages, unknown pieces of words, what needs review, and how far people agree with the
    model, each with its usual range in the weeks before.
    """
    try:
        with closing(Database(settings.database_url.get_secret_value())) as database:
            database.migrate()
            with database.read() as connection:
                found = [wire_week(told) for told in report(connection, weeks)]
    except (StoreError, SQLAlchemyError) as error:
        raise click.ClickException(f"--database-url: {error}") from error
    if as_json:
        print_json({"weeks": found})
    elif found:
        _print(found)
    else:
        click.echo(_NONE)


def _print(weeks: Sequence[dict[str, Any]]) -> None:
    columns = ("week", "model", "messages", "outside their usual range")
    print_table("Weeks", columns, map(_row_of, weeks))
    last = weeks[-1]
    figures = ([name, *_cells(figure)] for name, figure in last["figures"].items())
    print_table(f"Week of {last['week']}", ("figure", "value", "usual range", ""), figures)
    if (known := last["compared_with"]) < LEAST_WEEKS:
        click.echo(f"Ranges need {LEAST_WEEKS} earlier weeks of one model; {known} are known.")


def _row_of(week: dict[str, Any]) -> list[str]:
    anew = " (begins anew)" * week["begins_anew"]
    outside = [name for name, figure in week["figures"].items() if figure["outside"]]
    return [week["week"], week["model"] + anew, str(week["messages"]), ", ".join(outside)]


def _cells(figure: dict[str, Any]) -> list[str]:
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    usual = "" if low is None else f"{low:.2%} to {high:.2%}"
    return ["-" if value is None else f"{value:.2%}", usual, "outside" * figure["outside"]]
