"""`brandtox thresholds fit`: thresholds for the messages of one company."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from model import Classifier, ModelError
from model.files import write_whole
from model.labels import LABELS
from serving.exchange import ExchangeError, Word, read_csv, read_jsonl
from serving.live import with_active_model
from serving.options import with_settings
from serving.printing import print_json, print_table
from serving.settings import Settings
from serving.thresholds import CONFIDENCE, At, Fit, LabelledRow, Rate, collect, fit

_READERS = {".jsonl": read_jsonl, ".csv": read_csv}
_NOBODY = "-"
"""Who labelled a row does not matter here."""


@click.group()
def thresholds() -> None:
    """Choose the probabilities from which labels are given, for one company."""


@thresholds.command("fit")
@click.argument("rows", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--false-alarms",
    type=click.FloatRange(0, 0.5, min_open=True),
    required=True,
    metavar="RATE",
    help="Most of the messages without a label that may get it, such as 0.02.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write the thresholds, for --thresholds of serve, classify and score. Without it"
    " nothing is written.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    type=click.Choice(LABELS),
    help="Fit this label only; repeat it for several. Default: all three.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@with_settings("model", "models", "threads")
def thresholds_fit(
    rows: Path,
    false_alarms: float,
    output: Path | None,
    labels: tuple[str, ...],
    as_json: bool,
    settings: Settings,
) -> None:
    """Fit thresholds to ROWS, labelled messages of one company (.jsonl or .csv, the columns of
    `brandtox feedback export`).

    For each label it chooses the lowest threshold at which, with 90 % confidence, at most RATE of the
    messages without the label get it. Take messages at random for this: those of the review queue are
    the hard ones, on which every rate is higher.

    Exits 0; 1 where no threshold could be fitted, or not that of a --label.
    """
    with _explained(rows):
        found, problems = _read(rows)
        classifier = Classifier.load(with_active_model(settings).model, settings.threads)
    for problem in problems:
        click.echo(problem, err=True)
    asked = [label for label in LABELS if label in labels] or LABELS
    fits = fit(found, classifier, classifier.manifest.thresholds, false_alarms, asked)
    record = _record(found, fits, classifier.version, false_alarms)
    print_json(record) if as_json else _print(fits, classifier.version, false_alarms)
    if output is not None and record["thresholds"]:
        _write(output, record)
        click.echo(f"written to {output}: set --thresholds (BRANDTOX_THRESHOLDS) to it", err=True)
    if not record["thresholds"] or any(one.label in labels and not one.fitted for one in fits):
        sys.exit(1)


@contextmanager
def _explained(rows: Path) -> Iterator[None]:
    try:
        yield
    except ModelError as error:
        raise click.ClickException(str(error)) from error
    except (ExchangeError, OSError) as error:
        raise click.ClickException(f"{rows}: {error}") from error


def _read(path: Path) -> tuple[list[LabelledRow], list[str]]:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise click.UsageError(f"{path.name} is no .jsonl or .csv: save it as one of these")
    with path.open("rb") as file:
        words: Iterator[Word] = reader(file, _NOBODY)
        rows, problems = collect(words)
    if not rows:
        why = f": {problems[0]}" if problems else ""
        raise click.ClickException(f"{path} has no labelled row{why}")
    return rows, problems


def _record(
    rows: Sequence[LabelledRow], fits: Sequence[Fit], model: str, false_alarms: float
) -> dict[str, Any]:
    """What is written: the same for the same rows and model."""
    said = json.dumps([[row.text, row.group, row.labels] for row in rows])
    return {
        "model": model,
        "false_alarms": false_alarms,
        "confidence": CONFIDENCE,
        "rows": len(rows),
        "data": hashlib.sha256(said.encode()).hexdigest()[:16],
        "thresholds": {one.label: one.fitted.threshold for one in fits if one.fitted},
        "labels": {one.label: asdict(one) for one in fits},
    }


def _write(output: Path, record: dict[str, Any]) -> None:
    try:
        write_whole(output, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error}") from error


_COLUMNS = ("label", "", "threshold", "false alarms", "at most", "recall", "rows with / without")


def _print(fits: Sequence[Fit], model: str, wanted: float) -> None:
    lines = [
        [one.label, name, *_cells(at)]
        for one in fits
        for name, at in (("released", one.released), ("fitted", one.fitted))
        if at is not None
    ]
    title = f"Thresholds of {model} for at most {wanted:.1%} false alarms (90 % confidence)"
    print_table(title, _COLUMNS, lines)
    for one in fits:
        if one.refusal:
            click.echo(f"{one.label} keeps its threshold: {one.refusal}", err=True)


def _cells(at: At) -> list[str]:
    alarms, recall = at.false_alarms, at.recall
    return [
        f"{at.threshold:.4f}",
        f"{alarms.value:.2%}",
        f"{alarms.high:.2%}",
        f"{recall.value:.1%} ({recall.low:.1%} to {recall.high:.1%})",
        f"{_counted(recall)} / {_counted(alarms)}",
    ]


def _counted(rate: Rate) -> str:
    """Groups count, rows are told beside them where there are more."""
    return str(rate.rows) if rate.rows == rate.groups else f"{rate.rows} in {rate.groups} groups"
