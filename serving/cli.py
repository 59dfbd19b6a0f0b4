"""The command `brandtox`. Commands of the training extra come in by entry point."""

from __future__ import annotations

import io
import sys
import time
from importlib.metadata import entry_points
from typing import Any

import click
import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from model import Classifier, ModelError
from model.registry import Registry
from serving.access import needs_keys
from serving.app import create_app
from serving.archives.command import score
from serving.drift_command import drift
from serving.feedback_command import feedback
from serving.lines import classify_lines
from serving.live import load_classifier, with_active_model
from serving.models_command import models
from serving.options import GroupedCommand, with_settings
from serving.rescore_command import rescore
from serving.services import webhook_of
from serving.settings import Settings
from serving.store.database import Database, StoreError
from serving.store.keys import SCOPES, create_key, list_keys, revoke_key
from serving.thresholds_command import thresholds
from serving.times import maybe_wire_time, wire_time
from serving.webhooks import WebhookError

_TRAINING_COMMANDS = {
    "train": "Train a model on labelled messages (training extra).",
    "evaluate": "Evaluate a model and write the report (training extra).",
    "release": "Export a trained model, if it passes the gates (training extra).",
    "retrain": "Train the model in use on with labelled rows of your own (training extra).",
}


class Commands(click.Group):
    """The built-in commands and those of the training extra."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_TRAINING_COMMANDS})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, name) or _training_command(name)


def _training_command(name: str) -> click.Command | None:
    return _Deferred(name, help=_TRAINING_COMMANDS[name]) if name in _TRAINING_COMMANDS else None


class _Deferred(click.Command):
    """A command that is loaded when it is called: loading torch to list the commands takes seconds."""

    def make_context(
        self, info_name: str | None, args: list[str], *rest: Any, **extra: Any
    ) -> click.Context:
        return _load_command(str(self.name)).make_context(info_name, args, *rest, **extra)


def _load_command(name: str) -> click.Command:
    """The command of an installed extra.

    Raises:
        ClickException: the extra is not installed, with what to do.
    """
    missing = ""
    try:
        for entry in entry_points(group="brandtox.commands", name=name):
            command: click.Command = entry.load()
            return command
    except ModuleNotFoundError as error:
        missing = f" ({error.name} is missing)"
    raise click.ClickException(
        f"`brandtox {name}` needs the training extra{missing}: pip install 'brandtox[train]'"
    )


@click.group("brandtox", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="brandtox")
def main() -> None:
    """Score customer messages for abuse, threat and accusatory tone.

    `brandtox serve` starts the service, `brandtox classify` scores a file. -h after a command
    explains it.
    """


def _load(settings: Settings) -> Classifier:
    """The model in use, with the company's thresholds."""
    try:
        folder = with_active_model(settings).model
        return load_classifier(folder, settings.threads, settings.thresholds)
    except ModelError as error:
        raise click.ClickException(str(error)) from error


def _database(settings: Settings) -> Database:
    """The store, brought to this version's schema."""
    try:
        database = Database(settings.database_url.get_secret_value())
        database.migrate()
    except (StoreError, SQLAlchemyError) as error:
        raise click.ClickException(f"--database-url: {error}") from error
    return database


_NO_KEYS = (
    "WARNING: no API keys are in use: every program on this machine may read and write everything"
    " (--api-keys required, `brandtox keys create`)"
)

_FIXED_MODEL = "--model (BRANDTOX_MODEL) is {}: what is promoted in {} is not looked at"


@main.command(cls=GroupedCommand)
@with_settings()
def serve(settings: Settings) -> None:
    """Start the service, which answers HTTP.

    \b
    POST /classify         judge messages; nothing is kept
    POST /messages         keep messages, and follow their customers
    GET  /customers        every customer's index, with what it comes from
    GET  /portfolio, /lost, /alerts, /drift
    GET  /models, /metrics, /healthz, /readyz
    GET  /docs             these and all other routes

    Each setting is a flag here, or the variable in brackets; a flag wins.
    """  # noqa: D301 (click wants the character)
    try:
        keys = needs_keys(settings)
        webhook_of(settings)
    except (ValueError, WebhookError) as error:
        raise click.ClickException(str(error)) from error
    _database(settings).close()
    registry = Registry(settings.models) if settings.model is None else None
    app = create_app(settings, _load(settings), models=registry)
    if registry is None:
        click.echo(_FIXED_MODEL.format(settings.model, settings.models), err=True)
    if not keys:
        click.secho(_NO_KEYS, err=True, fg="yellow", bold=True)
    uvicorn.run(app, host=settings.host, port=settings.port)


_CLASSIFY_EXAMPLE = """\b
Example:
  echo '{"id": 1, "text": "فين الأوردر؟"}' | brandtox classify"""


@main.command(epilog=_CLASSIFY_EXAMPLE)
@click.argument("file", type=click.File("rb"), default="-")
@with_settings("model", "models", "thresholds", "threads", "max_text_characters")
def classify(file: io.BufferedIOBase, settings: Settings) -> None:
    """Score JSON lines, one verdict a line.

    Lines are read from FILE, or from standard input; verdicts go to standard output. A line is an
    object with a "text" and any other fields, which are kept. A broken line gives an error record in
    its place. Exits 0, or 1 if any line is an error.
    """
    classifier = _load(settings)
    lines, errors = classify_lines(
        file, sys.stdout.buffer, classifier, settings.max_text_characters
    )
    if errors:
        click.echo(f'{errors} of {lines} lines are errors; see their "error"', err=True)
        sys.exit(1)


main.add_command(score)
main.add_command(drift)
main.add_command(feedback)
main.add_command(models)
main.add_command(rescore)
main.add_command(thresholds)


@main.group()
def keys() -> None:
    """Make, list and revoke API keys.

    Who calls a service that others can reach sends one: `Authorization: Bearer KEY`. Keys are kept in
    the service's database, and work at once.
    """


@keys.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What the key opens; give it several times for several.",
)
@with_settings("database_url")
def keys_create(name: str, scopes: tuple[str, ...], settings: Settings) -> None:
    """Make a key and print it, this once.

    NAME is for you to know it by, such as the program that will use it.

    \b
    Scopes:
      classify  POST /classify
      write     send messages, customers, tickets and other feeds
      read      customers, portfolio, alerts, models
      review    decisions and corrections of people, and the review queue
      admin     everything, and alone delete and export customers
    Any key may read /metrics: for Prometheus, make one of scope classify.
    """  # noqa: D301 (click wants the character)
    database = _database(settings)
    with database.begin() as connection:
        secret = create_key(connection, name, scopes, time.time())
    database.close()
    click.echo(secret)


@keys.command("list")
@with_settings("database_url")
def keys_list(settings: Settings) -> None:
    """List the keys, without their secrets."""
    database = _database(settings)
    with database.read() as connection:
        found = list_keys(connection)
    database.close()
    for key in found:
        revoked = maybe_wire_time(key["revoked_at"])
        state = f"revoked {revoked}" if revoked else "in use"
        click.echo(
            f"{key['id']}  {key['name']}  {key['scopes']}  {wire_time(key['created_at'])}  {state}"
        )


@keys.command("revoke")
@click.argument("key_id")
@with_settings("database_url")
def keys_revoke(key_id: str, settings: Settings) -> None:
    """Revoke the key with an id; it stops working within seconds.

    `brandtox keys list` tells the ids.
    """
    database = _database(settings)
    with database.begin() as connection:
        revoked = revoke_key(connection, key_id, time.time())
    database.close()
    if not revoked:
        raise click.ClickException(f"no key {key_id!r} is in use")
