"""The command `brandtox score`. What it needs is imported when it runs: the other commands start
without it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from click.core import ParameterSource

from serving.options import with_settings
from serving.settings import Settings

_SUFFIXES = (".parquet", ".csv", ".jsonl")
_ROLES = ("text", "id", "customer", "name", "sent_at", "direction", "channel", "ticket", "agent")
_FORMATS = ("csv", "tsv", "jsonl", "json", "parquet", "excel", "whatsapp", "zendesk", "chatwoot")
_SECTIONS = {
    "What to write": "output report report_language mask scores overwrite restart",
    "How to read (found out, unless told)": "preview columns company incoming date_order timezone"
    " format_ encoding delimiter unpack_limit",
    "Into the service": "into_store source_name database_url",
    "How to run": "model models thresholds threads max_text_characters engine ray_address quiet",
}
_NEEDS = {
    "report_language": "report",
    "mask": "report",
    "source_name": "into_store",
    "database_url": "into_store",
}
"""Options that do nothing without another one."""
_EXAMPLES = """\b
Examples:
  A WhatsApp chat, exported on a phone ("Nour Store" is your own name in it):
    brandtox score "WhatsApp Chat with Omar.zip" --company "Nour Store" -o omar.csv
\b
  A year of tickets, with a page to read and a file for analysts:
    brandtox score tickets.csv --preview
    brandtox score tickets.csv --column text=Notes --report tickets.html -o scored.parquet
"""


def _read_columns(_: click.Context, __: click.Parameter, told: tuple[str, ...]) -> dict[str, str]:
    columns = {}
    for one in told:
        role, equals, name = one.partition("=")
        if not equals or role not in _ROLES:
            raise click.BadParameter(
                f"{one!r} is not ROLE=NAME, where ROLE is one of {', '.join(_ROLES)}"
            )
        if role in columns:
            raise click.BadParameter(f"{role} is told twice; it has one column")
        columns[role] = name
    return columns


def _check_output(
    context: click.Context, _: click.Parameter, told: str | None
) -> Path | str | None:
    if told is None:
        return None
    if context.params["engine"] == "ray":
        if told.endswith((".csv", ".jsonl")):
            raise click.BadParameter("--engine ray writes a folder of Parquet files: name a folder")
        return told
    output = Path(told)
    if output.suffix not in _SUFFIXES:
        raise click.BadParameter(f"{output} must end with one of {', '.join(_SUFFIXES)}")
    if not output.parent.is_dir():
        raise click.BadParameter(f"there is no folder {output.parent}: make it first")
    if output.is_dir():
        raise click.BadParameter(f"{output} is a folder: name a file")
    return output


def _check_zone(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    try:
        return name and ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise click.BadParameter(f"{name!r} is no time zone of the IANA database") from error


def _check_together(context: click.Context) -> None:
    """No option is told that would do nothing."""
    told = [name for name in context.params if _is_told(context, name)]
    for name in told:
        if (other := _NEEDS.get(name)) and not context.params[other]:
            raise click.UsageError(
                f"{_flag(name)} does nothing without {_flag(other)}: give both, or neither"
            )
    if "ray_address" in told and context.params["engine"] != "ray":
        raise click.UsageError("--ray-address does nothing without --engine ray: give both")


def _is_told(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


class _Sections(click.Command):
    """Its help lists the options by what they are for."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        records = {option.name: option.get_help_record(ctx) for option in options}
        sections = {heading: names.split() for heading, names in _SECTIONS.items()}
        named = {name for names in sections.values() for name in names}
        sections["Other"] = [name for name in records if name not in named]
        for heading, names in sections.items():
            with formatter.section(heading):
                formatter.write_dl([record for name in names if (record := records[name])])


_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("score", cls=_Sections, epilog=_EXAMPLES)
@click.argument("inputs", nargs=-1, required=True, metavar="IN…")
@click.option(
    "-o",
    "--output",
    callback=_check_output,
    metavar="OUT",
    help="The file for the rows; its ending says the format: .csv for spreadsheets, .parquet for"
    " analysts, .jsonl for programs. With --engine ray a folder, or a URL such as s3://bucket/scored.",
)
@click.option(
    "--preview",
    is_flag=True,
    help="Show how IN is understood, with examples and what is missing; score and write nothing."
    " Try it first.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="ROLE=NAME",
    callback=_read_columns,
    help="Which column of IN is what, such as text=Notes; repeat it for several. ROLE is one of"
    f" {', '.join(_ROLES)}. ROLE= says that there is no such column.",
)
@click.option(
    "--company",
    multiple=True,
    metavar="NAME",
    help="Your company's own name in WhatsApp chats; repeat it for several names.",
)
@click.option(
    "--incoming",
    multiple=True,
    metavar="VALUE",
    help="What the column of directions says of a customer's message, where that is no common word"
    " (in, customer, وارد …); repeat it for several values.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(_FORMATS),
    metavar="FORMAT",
    help=f"Format of every IN: {', '.join(_FORMATS)}.",
)
@click.option("--encoding", metavar="NAME", help="Of text files, such as utf-8 or windows-1256.")
@click.option("--delimiter", metavar="SIGN", help="Between the columns of CSV, such as ';' or tab.")
@click.option(
    "--date-order",
    type=click.Choice(["dmy", "mdy", "ymd"]),
    help="Of day, month and year in dates such as 03/04/2024.",
)
@click.option(
    "--timezone",
    metavar="ZONE",
    callback=_check_zone,
    help="Of times that name none, such as Africa/Cairo. Default: BRANDTOX_DEFAULT_TIMEZONE, or UTC.",
)
@click.option(
    "--unpack-limit",
    type=click.IntRange(1),
    default=100 * 2**30,
    metavar="BYTES",
    help="Most that one packed file may unpack to. Default: 100 GiB.",
)
@click.option(
    "--report", type=_FILE, metavar="OUT.html", help="Also write a page for people to read."
)
@click.option(
    "--report-language",
    type=click.Choice(["ar", "en"]),
    default="en",
    help="With --report: its language. Default: en.",
)
@click.option("--mask", is_flag=True, help="With --report: hide texts and names in it.")
@click.option(
    "--into-store", is_flag=True, help="Also load the messages into the service's database."
)
@click.option(
    "--source-name",
    metavar="NAME",
    help="With --into-store: what the messages' source is called. Default: archive:FILE.",
)
@click.option(
    "--scores",
    type=_FILE,
    metavar="FILE",
    help="Where the scores of texts are kept, so that no text is scored twice; several outputs may"
    " share one. Default: OUT.scores.",
)
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@click.option("--restart", is_flag=True, help="Begin anew, where an unfinished run would go on.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    is_eager=True,
    help="ray scores Parquet files on a cluster; see docs/cluster.md. Default: local.",
)
@click.option(
    "--ray-address",
    envvar="RAY_ADDRESS",
    metavar="ADDRESS",
    help="With --engine ray: of the cluster. Default: this machine alone. [RAY_ADDRESS]",
)
@click.option("--quiet", is_flag=True, help="Tell only what is wrong.")
@with_settings("model", "models", "thresholds", "threads", "database_url", "max_text_characters")
def score(inputs: tuple[str, ...], settings: Settings, **arguments: Any) -> None:
    """Score archives of messages: every row, every customer.

    IN is a file, a folder, a glob in quotes ('chats/*.zip') or - (standard input): CSV, TSV, JSON
    lines, JSON, Parquet, Excel, WhatsApp, Zendesk or Chatwoot exports, also packed as .gz, .zst or
    .zip. Several become one output.

    OUT gets every row, in order, with its own columns and the scores after them. OUT.customers, beside
    it, gets a line for each customer. A run that was stopped goes on with the same command.

    Exits 0, or 1 if any row is an error: such rows are kept, and the error says why.
    """
    if arguments["output"] is None and not arguments["preview"]:
        raise click.UsageError("say where to write (--output OUT), or give --preview")
    _check_together(click.get_current_context())
    from serving.archives.session import score_archives

    if score_archives(inputs, settings, arguments):
        sys.exit(1)
