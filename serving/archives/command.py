"""The command `brandtox score`. What it needs is imported when it runs: the other commands start
without it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from serving.options import with_settings
from serving.settings import Settings

_SUFFIXES = (".parquet", ".csv", ".jsonl")
_ROLES = ("text", "id", "customer", "sent_at", "direction", "channel", "ticket", "agent")
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


_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("score", epilog=_EXAMPLES)
@click.argument("inputs", nargs=-1, required=True, metavar="IN…")
@click.option(
    "-o",
    "--output",
    callback=_check_output,
    metavar="OUT",
    help="File to write: .csv for spreadsheets, .parquet for analysts, .jsonl for programs. With"
    " --engine ray a folder, or a URL such as s3://bucket/scored.",
)
@click.option(
    "--preview", is_flag=True, help="Only tell how the archives are understood; score nothing."
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="ROLE=NAME",
    callback=_read_columns,
    help=f"Which column is what, where its name does not tell. Roles: {', '.join(_ROLES)}. A role"
    " without a NAME has no column.",
)
@click.option(
    "--company",
    multiple=True,
    metavar="NAME",
    help="Name under which the company writes in chats; give it several times for several.",
)
@click.option(
    "--incoming",
    multiple=True,
    metavar="VALUE",
    help="Value of the column of directions that means from the customer, where it is no known word.",
)
@click.option(
    "--format", "format_", metavar="FORMAT", help="Format of all archives. Else found out."
)
@click.option("--encoding", metavar="NAME", help="Of text files, such as cp1256. Else found out.")
@click.option("--delimiter", metavar="SIGN", help="Between columns of CSV. Else found out.")
@click.option(
    "--date-order",
    type=click.Choice(["dmy", "mdy", "ymd"]),
    help="Of day, month and year in dates such as 03/04/2024. Else found out.",
)
@click.option(
    "--timezone",
    metavar="ZONE",
    callback=_check_zone,
    help="Of times that name none, such as Africa/Cairo. Else BRANDTOX_DEFAULT_TIMEZONE, or UTC.",
)
@click.option(
    "--unpack-limit",
    type=click.IntRange(1),
    default=100 * 2**30,
    metavar="BYTES",
    help="Most that one archive may unpack to. Default: 100 GiB.",
)
@click.option("--report", type=_FILE, metavar="OUT.html", help="Write a page for people, too.")
@click.option(
    "--report-language", type=click.Choice(["ar", "en"]), default="en", help="Default: en."
)
@click.option("--mask", is_flag=True, help="Hide texts and names in the report.")
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
    help="Where the scores of texts are kept, so that none is scored twice. Default: OUT.scores.",
)
@click.option("--overwrite", is_flag=True, help="Replace an output that is there.")
@click.option("--restart", is_flag=True, help="Give up what an unfinished run has done.")
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
    help="With --engine ray: of the cluster. Else one of this machine's cores. [RAY_ADDRESS]",
)
@click.option("--quiet", is_flag=True, help="Tell only what is wrong.")
@with_settings("model", "threads", "database_url", "max_text_characters")
def score(inputs: tuple[str, ...], settings: Settings, **arguments: Any) -> None:
    """Score archives of messages: every row, every customer.

    IN is a file, a folder, a glob or - (standard input): CSV, TSV, JSON lines, JSON, Parquet, Excel,
    WhatsApp, Zendesk or Chatwoot exports, also as .gz, .zst and .zip. Formats and columns are found
    out; --preview shows how.

    OUT has every row and column, with scores, labels, language and errors. OUT.customers, beside it,
    has every customer. A run that was stopped goes on with the same command.

    Exits 0, or 1 if any row is an error.
    """
    if arguments["output"] is None and not arguments["preview"]:
        raise click.UsageError("say where to write (--output OUT), or give --preview")
    from serving.archives.session import score_archives

    if score_archives(inputs, settings, arguments):
        sys.exit(1)
