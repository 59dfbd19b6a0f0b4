"""`brandtox feedback`: corrections out to a file, in from one, and how far two readers agree."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, cast

import click
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from serving.agreement import Agreement, agreements
from serving.exchange import ExchangeError, Word, read_csv, read_jsonl
from serving.label_studio import configuration, read_tasks
from serving.options import with_settings
from serving.routes.feedback import Format, export
from serving.settings import Settings
from serving.store.audit import record
from serving.store.database import Database, StoreError
from serving.store.feedback import Correction, FeedbackError, Kept, keep, readings_of_two

_READERS: dict[Format, Callable[[IO[bytes], str | None], Iterator[Word]]] = {
    "jsonl": read_jsonl,
    "csv": read_csv,
    "label-studio": read_tasks,
}
_SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".csv": "csv", ".json": "label-studio"}
_FORMAT = click.Choice(sorted(_READERS))


@contextmanager
def _store(settings: Settings) -> Iterator[Database]:
    """The store, brought to this version's schema; what is wrong with it is told."""
    try:
        with closing(Database(settings.database_url.get_secret_value())) as database:
            database.migrate()
            yield database
    except (StoreError, SQLAlchemyError) as error:
        raise click.ClickException(f"--database-url: {error}") from error


def _format_of(file: Path, given: str | None) -> Format:
    found = cast(Format | None, given) or _SUFFIXES.get(file.suffix.lower())
    if found is None:
        raise click.UsageError(f"{file.name} is no .jsonl, .csv or .json: say --format")
    return found


@click.group()
def feedback() -> None:
    """Take corrections of people out of the store, or into it.

    A support lead corrects what the model says (POST /feedback, POST /review); what comes out here is
    what retraining reads.
    """


@feedback.command("export")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option(
    "--format",
    "format_",
    type=_FORMAT,
    help="jsonl, csv, or label-studio (a JSON file to import there). Default: by FILE's name, jsonl"
    " without one.",
)
@with_settings("database_url")
def feedback_export(output: Path | None, format_: str | None, settings: Settings) -> None:
    """Write all corrections that hold, to FILE or to standard output."""
    kind = _format_of(output or Path("-.jsonl"), format_)
    with _store(settings) as database:
        with database.begin() as connection:
            record(connection, time.time(), None, "export_feedback", None, {"format": kind})
        lines = export(database, kind)
        if output is None:
            for line in lines:
                sys.stdout.buffer.write(line.encode())
            return
        try:
            with output.open("w", encoding="utf-8", newline="") as file:
                file.writelines(lines)
        except OSError as error:
            raise click.ClickException(f"{output} cannot be written: {error.strerror}") from error


@feedback.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--format", "format_", type=_FORMAT, help="Where the file's name does not tell.")
@click.option("--reviewer", metavar="NAME", help="Whose words those are that name none.")
@with_settings("database_url")
def feedback_import(
    file: Path, format_: str | None, reviewer: str | None, settings: Settings
) -> None:
    """Read corrections from FILE: .jsonl, .csv, or .json (an export of Label Studio).

    What is there already is left as it is: the same file may be read again. What cannot be used is told
    line by line, and everything else is kept. Exits 0, or 1 if any line could not be used.
    """
    kind = _format_of(file, format_)
    try:
        with _store(settings) as database, file.open("rb") as opened:
            counts, errors = import_words(database, _READERS[kind](opened, reviewer))
    except ExchangeError as error:
        raise click.ClickException(f"{file.name}: {error}") from error
    for line in errors:
        click.echo(line, err=True)
    click.echo(
        f"{counts['new']} new, {counts['replaced']} replaced, {counts['duplicate']} known already,"
        f" {counts['older']} older than what is kept, {len(errors)} not usable"
    )
    if errors:
        sys.exit(1)


def import_words(database: Database, words: Iterator[Word]) -> tuple[Counter[str], list[str]]:
    """Keep the words; how many are in which state, and what is wrong with the others."""
    counts: Counter[str] = Counter()
    errors: list[str] = []
    for word in words:
        if word.correction is None:
            errors.append(f"{word.place}: {word.error}")
            continue
        try:
            counts[_kept(database, word.correction).state] += 1
        except FeedbackError as error:
            errors.append(f"{word.place}: {error}")
    return counts, errors


def _kept(database: Database, correction: Correction) -> Kept:
    """One correction a transaction: several would lock their customers in any order, which requests
    that lock them in another wait for.
    """

    def once() -> Kept:
        with database.begin() as connection:
            return keep(connection, correction, None, time.time())

    try:
        return once()
    except IntegrityError:
        return once()


@feedback.command("agreement")
@with_settings("database_url")
def feedback_agreement(settings: Settings) -> None:
    """Tell how far two readers of the same messages agree, label by label."""
    with _store(settings) as database, database.read() as connection:
        pairs = readings_of_two(connection)
    click.echo(f"{len(pairs)} messages were read by two people.")
    click.echo(f"{'label':<15}{'pairs':>6}{'agree':>8}{'kappa':>8}{'95 %':>16}{'on yes':>8}")
    for one in agreements(pairs):
        click.echo(_line(one))


def _line(one: Agreement) -> str:
    interval = "" if one.low is None or one.high is None else f"{one.low:.2f} to {one.high:.2f}"
    figures = (
        f"{_figure(one.raw):>8}{_figure(one.kappa):>8}{interval:>16}{_figure(one.positive):>8}"
    )
    note = f"  too few: {one.note}" if one.note else ""
    return f"{one.label:<15}{one.pairs:>6}{figures}{note}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


@feedback.command("configuration")
def feedback_configuration() -> None:
    """Print the labelling configuration for a project of Label Studio."""
    click.echo(configuration(), nl=False)
