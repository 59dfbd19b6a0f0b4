"""The command `brandtox rescore`: the stored history judged by the model in use."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from model import ModelError
from model.manifest import RELEASED, read_manifest
from serving import rescoring
from serving.live import load_classifier, with_active_model
from serving.options import this_user, with_settings
from serving.printing import print_json, print_record
from serving.rescoring import RescoringError, Shown
from serving.settings import Settings
from serving.store.database import Database, StoreError
from serving.store.rescored import count_waiting

_AGAIN = "the same command goes on from where it was"


@click.command("rescore")
@click.option("--apply", "applies", is_flag=True, help="Let the new verdicts count.")
@click.option("--undo", "undoes", is_flag=True, help="Let the replaced verdicts count again.")
@click.option(
    "--customers",
    type=click.IntRange(0),
    default=1_000,
    help="Customers to read with both verdicts, drawn at random. Default: 1000.",
)
@click.option(
    "--examples",
    type=click.IntRange(0),
    default=5,
    help="Examples of each change. Default: 5.",
)
@click.option("--texts", is_flag=True, help="Print the texts of the examples, too.")
@click.option("--by", metavar="NAME", help="Who decides. Default: the user of this system.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@with_settings("model", "models", "thresholds", "threads", "database_url")
def rescore(
    applies: bool,
    undoes: bool,
    customers: int,
    examples: int,
    texts: bool,
    by: str | None,
    as_json: bool,
    settings: Settings,
) -> None:
    """Judge the stored messages by the model in use.

    A change of model rewrites nothing: old verdicts keep counting. This command judges their messages
    anew beside them, and shows what would change; --apply then lets the new ones count, and --undo the
    old ones again. The service may run. Messages whose text is not kept keep their verdict.
    """
    if applies and undoes:
        raise click.UsageError("give --apply or --undo, not both")
    who = by or this_user()
    with _explained():
        database = Database(settings.database_url.get_secret_value())
        try:
            database.migrate()
            if undoes:
                _tell(as_json, _undo(database, who))
            elif applies:
                _tell(as_json, _apply(database, settings, who))
            else:
                shown = Shown(customers, examples, texts)
                _tell(as_json, _compare(database, settings, shown))
        finally:
            database.close()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (ModelError, RescoringError) as error:
        raise click.ClickException(str(error)) from error
    except (StoreError, SQLAlchemyError) as error:
        raise click.ClickException(f"--database-url: {error}; {_AGAIN}") from error


def _compare(database: Database, settings: Settings, shown: Shown) -> dict[str, Any]:
    folder = with_active_model(settings).model
    classifier = load_classifier(folder, settings.threads, settings.thresholds)
    with database.read() as connection:
        waiting, without = count_waiting(connection, classifier.version)
    with click.progressbar(length=waiting, label="Judging anew", file=sys.stderr) as bar:
        thresholds = classifier.manifest.thresholds
        unread = rescoring.score_history(database, classifier, thresholds, bar.update)
    found = rescoring.difference(database, settings, classifier.version, shown, time.time())
    rescoring.note_shown(database, classifier.version)
    return found | {"without_text": without, "unread": unread}


def _apply(database: Database, settings: Settings, who: str) -> dict[str, Any]:
    folder = with_active_model(settings).model
    model = read_manifest(folder or RELEASED).model
    count = rescoring.apply(database, model, who, time.time())
    return {"model": model, "exchanged": count, "undo": "brandtox rescore --undo"}


def _undo(database: Database, who: str) -> dict[str, Any]:
    model, count = rescoring.undo(database, who, time.time())
    return {"undone": model, "exchanged": count}


def _tell(as_json: bool, found: dict[str, Any]) -> None:
    if as_json:
        print_json(found)
    else:
        print_record("", found)
