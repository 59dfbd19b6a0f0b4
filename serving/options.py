"""Command-line options made of the settings."""

from __future__ import annotations

import functools
import getpass
import os
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import SecretStr, ValidationError

from serving.settings import GROUPS, INDEX, Settings, default_of, flag_of, variable_of

Command = Callable[..., Any]


def this_user() -> str:
    """The name of the user of this system; the number where it has none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        return f"user {os.getuid()}"


def with_settings(*names: str) -> Callable[[Command], Command]:
    """Options for the named settings (all by default), passed on as one `settings` object."""
    every = {n: f for group in GROUPS.values() for n, f in group.model_fields.items()}
    fields = {n: f for n, f in every.items() if not names or n in names}

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run_with_settings(**arguments: Any) -> Any:
            given = {name: arguments.pop(name) for name in fields}
            given = {name: value for name, value in given.items() if value is not None}
            return command(settings=_settings(given), **arguments)

        run: Command = run_with_settings
        for name, field in reversed(fields.items()):
            shown = default_of(field)
            default = "" if shown is None else f" Default: {shown}."
            text = f"{field.description}{default} [{variable_of(name)}]"
            run = click.option(flag_of(name), name, type=_kind(field), help=text)(run)
        return run

    return decorate


def _kind(field: Any) -> Any:
    annotation = field.annotation
    if isinstance(annotation, types.UnionType):
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        return click.Choice(get_args(annotation))
    if annotation is SecretStr:
        return str
    return click.Path(path_type=Path) if annotation is Path else annotation


def _settings(given: dict[str, Any]) -> Settings:
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = "; ".join(map(_explain, error.errors()))
        raise click.UsageError(problems) from error


def _explain(problem: Any) -> str:
    name = str(problem["loc"][0])
    return f"{flag_of(name)} ({variable_of(name)}): {problem['msg']}, not {problem['input']!r}"


_HELP_ALL = "help_all"
_POINTER = (
    f"{len(GROUPS[INDEX].model_fields)} settings with good defaults: half-lives, weights and"
    " thresholds of the index, the service pain and the early signs. --help-all lists them."
)


class GroupedCommand(click.Command):
    """A command with all settings: its help lists them under their headings, those of the index only
    when asked for them.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params.append(_help_all_option())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records = {param.name: param.get_help_record(ctx) for param in self.get_params(ctx)}
        for heading, group in GROUPS.items():
            found = [record for name in group.model_fields if (record := records.pop(name))]
            with formatter.section(heading):
                if heading == INDEX and _HELP_ALL not in ctx.meta:
                    formatter.write_text(_POINTER)
                else:
                    formatter.write_dl(found)
        with formatter.section("Help"):
            formatter.write_dl([record for record in records.values() if record])


def _help_all_option() -> click.Option:
    def show(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
        if asked and not ctx.resilient_parsing:
            ctx.meta[_HELP_ALL] = True
            click.echo(ctx.get_help())
            ctx.exit()

    return click.Option(
        ["--help-all"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show this message with the settings of the index, and exit.",
    )
