"""`brandtox retrain`: a company's labelled rows in, a judged candidate beside the model in use."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path

import click
from rich.console import Console
from rich.markdown import Markdown

from model import Classifier, ModelError
from model.manifest import load_manifest
from model.registry import Registry, RegistryError
from training.check_report import print_checks, write_checks
from training.checks import Checks, check
from training.cli import load_rows, with_data
from training.data import Data
from training.dequantise import start_run
from training.export import GateError
from training.fit import CheckpointError
from training.gate import Gate
from training.gate_report import REPORT, judge, plain_verdict
from training.labelled import LabelledError, read_labelled
from training.retrain import RECIPES, Recipe, known_rows, make_candidate, split_rows, train_on
from training.rows import Row, fingerprint

log = logging.getLogger(__name__)
_DIGITS = 8
_NO_CORPORA = (
    "Not checked without --corpora: real messages and the public corpora. Thresholds and calibration"
    " were chosen on the written messages of datasets/ alone."
)


@click.command()
@click.argument(
    "new", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option(
    "--recipe", type=click.Choice(list(RECIPES)), default="full", show_default=True,
    help="full: the whole network; head: its last layer alone, in a fraction of the time.",
)  # fmt: skip
@click.option("--check-only", is_flag=True, help="Check the rows and stop.")
@click.option("--name", help="Id of the candidate.", show_default="parent+date.fingerprint")
@click.option(
    "--run", "folder", type=click.Path(path_type=Path),
    help="Folder of the run.", show_default="runs/retrain-FINGERPRINT",
)  # fmt: skip
@click.option(
    "--models", envvar="BRANDTOX_MODELS", type=click.Path(path_type=Path), default=Path("models"),
    show_default=True, help="Folder of retrained models. [BRANDTOX_MODELS]",
)  # fmt: skip
@with_data
def retrain(
    new: tuple[Path, ...],
    recipe: str,
    check_only: bool,
    name: str | None,
    folder: Path | None,
    models: Path,
    corpora: Path | None,
    datasets: Path,
    permissive: bool,
) -> None:
    """Train the model in use on with labelled rows of your own, and judge the result.

    NEW are JSON lines, CSV or Parquet with a column `text` and any of abuse, threat, accusation (1, 0
    or empty), such as `brandtox feedback export` writes. The rows are checked first. The candidate goes
    to the models folder; nothing changes for the service until it is promoted. The same command goes
    on where it was stopped.
    """
    console = Console()
    data = load_rows(corpora, datasets, permissive)
    registry = Registry(models)
    try:
        parent = registry.active()
        rows, checks = _checked(new, data, parent)
    except (LabelledError, ModelError) as error:
        raise click.ClickException(str(error)) from error
    folder = folder or Path("runs") / f"retrain-{fingerprint(rows)[:_DIGITS]}"
    write_checks(checks, folder)
    print_checks(checks, folder, console)
    if checks.errors:
        raise click.ClickException("; ".join(checks.errors))
    if check_only:
        return
    try:
        gate = _retrain(
            rows, checks.suspicious_share, data, registry, parent, RECIPES[recipe], name, folder
        )
    except (CheckpointError, GateError, ModelError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    _print_verdict(console, gate, registry, corpora)


def _checked(new: tuple[Path, ...], data: Data, parent: Path) -> tuple[list[Row], Checks]:
    """The rows that may train, and what was found."""
    labelled = read_labelled(new)
    checks = check(labelled, data, Classifier.load(parent))
    return [labelled.rows[i] for i in checks.kept], checks


def _retrain(
    rows: list[Row],
    suspicious_share: float,
    data: Data,
    registry: Registry,
    parent: Path,
    recipe: Recipe,
    name: str | None,
    folder: Path,
) -> Gate:
    """Train, export, judge, and put the candidate into the models folder."""
    new, fresh = split_rows(rows)
    known = known_rows(data.train, rows, fresh)
    made_of = fingerprint([*new, *known])
    old = load_manifest(parent).model
    version = name or f"{old.split('+')[0]}+{datetime.date.today():%Y%m%d}.{made_of[:_DIGITS]}"
    if version in {path.name for path in registry.list()}:
        raise RegistryError(
            f"there is a model {version!r} of these rows already (`brandtox models show {version}`):"
            " give --name for another"
        )
    log.info(
        "%d new rows to train on, %d to judge by, %d known ones", len(new), len(fresh), len(known)
    )
    run = start_run(parent, folder, {"data": made_of, "recipe": repr(recipe)})
    train_on(run, new, known, recipe)
    candidate = make_candidate(run, data, old, version, made_of)
    gate = judge(candidate, parent, data.test, fresh, suspicious_share)
    registry.add(candidate)
    for weights in folder.glob("*.pt"):
        weights.unlink()
    return gate


def _print_verdict(console: Console, gate: Gate, registry: Registry, corpora: Path | None) -> None:
    console.print(Markdown("\n".join(plain_verdict(gate))))
    if corpora is None:
        console.print(_NO_CORPORA)
    console.print(f"The whole report: {registry.folder / gate.candidate / REPORT}", soft_wrap=True)
    force = "" if gate.passed else ' --force --reason "…"'
    console.print(f"To use it: brandtox models promote {gate.candidate}{force}", soft_wrap=True)
