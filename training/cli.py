"""`brandtox train`, `evaluate` and `release`: the commands of the training extra."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.logging import RichHandler

from model import Classifier, ModelError
from model.manifest import MANIFEST, RELEASED
from training import recipe
from training.base import load_base
from training.baselines import evaluate_baselines
from training.data import Data, load_data
from training.evaluate import customer_parts
from training.evaluate import evaluate as evaluate_model
from training.export import PARITY, GateError, customer_rows, export, verdict_probabilities
from training.fit import CheckpointError
from training.own import DATASETS
from training.release import reliability_panels, write_card
from training.report import PARTS, plot_curves, plot_reliability, write_headline, write_report
from training.run import Run

_DOCS = Path("docs")
Command = Callable[..., Any]

_corpora = click.option(
    "--corpora",
    envvar="BRANDTOX_CORPORA",
    type=click.Path(path_type=Path),
    help="Folder of public corpora as Parquet; without it, datasets/ alone. [BRANDTOX_CORPORA]",
)
_datasets = click.option(
    "--datasets",
    envvar="BRANDTOX_DATASETS",
    type=click.Path(path_type=Path, exists=True),
    default=DATASETS,
    help="Folder of our own labelled messages. [BRANDTOX_DATASETS]",
)
_permissive = click.option(
    "--permissive",
    is_flag=True,
    help="Only corpora whose licence is MIT, Apache-2.0, CC BY or CC0.",
)
_run = click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("runs/latest"),
    help="Folder of the training run.",
)


def with_data(command: Command) -> Command:
    """The options that `load_rows` takes."""
    for option in (_permissive, _datasets, _corpora):
        command = option(command)
    return command


def load_rows(corpora: Path | None, datasets: Path, permissive: bool) -> Data:
    """All rows, or an error that says what to do; what is being done is told from here on."""
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(show_path=False)]
    )
    try:
        data = load_data(corpora, datasets, permissive)
    except (OSError, KeyError, ValueError) as error:
        raise click.ClickException(f"the data cannot be read: {error!r}") from error
    if not data.train:
        raise click.ClickException(f"no rows to train on in {datasets}: it needs messages/*.jsonl")
    return data


@click.command()
@click.option(
    "--base",
    default="bundled",
    help="The encoder: `bundled`, a Hugging Face id, or a local folder.",
    show_default=True,
)
@click.option(
    "--epochs", type=click.IntRange(1), help="Epochs of each stage, instead of the recipe's."
)
@_run
@with_data
def train(
    base: str,
    epochs: int | None,
    folder: Path,
    corpora: Path | None,
    datasets: Path,
    permissive: bool,
) -> None:
    """Train a model: public corpora first, customer messages last. Resumes a stopped run.

    On two cores the whole recipe takes about three hours; a GPU is used when there is one.
    """
    run = Run(folder)
    data = load_rows(corpora, datasets, permissive)
    try:
        recipe.train(run, data, base, epochs)
    except (CheckpointError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    files = sorted(folder.glob("*.curve.json"))
    curves = {file.name.split(".")[0]: json.loads(file.read_text()) for file in files}
    plot_curves(curves, folder / "curves.png")
    click.echo(f"trained; now: brandtox release --run {folder}")


def _trained(folder: Path) -> Run:
    run = Run(folder)
    if not run.weights(recipe.FINAL).exists():
        raise click.ClickException(f"no trained run in {folder}: `brandtox train` makes one")
    return run


@click.command()
@_run
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    default=RELEASED,
    help="Model folder to write.",
    show_default="model/released",
)
@click.option("--version", required=True, help="Version of the model, part of every verdict.")
@with_data
def release(
    folder: Path, target: Path, version: str, corpora: Path | None, datasets: Path, permissive: bool
) -> None:
    """Export a trained run to a model folder, if it passes the parity gates.

    Calibration and thresholds are fit on dev rows. The folder is replaced only as a whole.
    """
    run = _trained(folder)
    data = load_rows(corpora, datasets, permissive)
    try:
        run.check(run.base(), data.train)
    except CheckpointError as error:
        raise click.ClickException(str(error)) from error
    target = target.resolve()
    if target.exists() and not (target / MANIFEST).exists() and any(target.iterdir()):
        raise click.ClickException(f"{target} is no model folder: give a new or empty one")
    new, old = (target.with_name(target.name + suffix) for suffix in (".new", ".old"))
    for left_over in (new, old):
        shutil.rmtree(left_over, ignore_errors=True)
    try:
        parity = export(run, data, new, version)
    except GateError as error:
        shutil.rmtree(new, ignore_errors=True)
        raise click.ClickException(f"not released: {error}") from error
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    click.echo(f"released {version} to {target}: {parity}")


def _baselines_report(classifier: Classifier, data: Data) -> dict[str, Any]:
    rows = recipe.CUSTOMERS_STAGE.sample(data.train)
    parts = customer_parts(data.test)
    scores = {
        name: verdict_probabilities(classifier, [row.text for row in members])
        for name, members in parts.items()
    }
    return evaluate_baselines(load_base(), rows, parts, scores)


@click.command()
@click.option(
    "--model", type=click.Path(path_type=Path), default=RELEASED, show_default="model/released",
    help="Model folder to evaluate.",
)  # fmt: skip
@click.option(
    "--to", "target", type=click.Path(path_type=Path), default=_DOCS, show_default=True,
    help="Folder for results.json, results.md and reliability.png.",
)  # fmt: skip
@click.option(
    "--baselines", is_flag=True,
    help="Also train two baselines on the same rows and measure the model's lead (half an hour).",
)  # fmt: skip
@click.option(
    "--split", type=click.Choice(["test", "dev"]), default="test", show_default=True,
    help="dev: what to choose by; the test rows are for the last look only.",
)  # fmt: skip
@with_data
def evaluate(
    model: Path,
    target: Path,
    baselines: bool,
    split: str,
    corpora: Path | None,
    datasets: Path,
    permissive: bool,
) -> None:
    """Evaluate a model folder on the test rows and write the report."""
    published = target.resolve() == _DOCS.resolve()
    if published and model.resolve() != RELEASED:
        raise click.ClickException(f"{_DOCS} holds the released model's results: give --to FOLDER")
    try:
        classifier = Classifier.load(model)
    except ModelError as error:
        raise click.ClickException(str(error)) from error
    data = load_rows(corpora, datasets, permissive)
    if split == "dev":
        data = replace(data, dev=[], test=data.dev)
    missing = set(PARTS) - set(customer_parts(data.test))
    if published and (split == "dev" or missing or not baselines):
        raise click.ClickException(
            "this would replace the published results of the released model by a part of them:"
            " give --to FOLDER, or all corpora, --baselines and the test split"
        )
    report = evaluate_model(classifier, data) | {"split": split}
    if (parity := model / PARITY).exists():
        report["parity"] = json.loads(parity.read_text())
    if baselines:
        report["baselines"] = _baselines_report(classifier, data)
    write_report(report, target)
    plot_reliability(
        reliability_panels(classifier, customer_rows(data.test)), target / "reliability.png"
    )
    if published or (model.resolve() != RELEASED and split == "test"):
        write_card(model, report)
    if published:
        write_headline(report, Path("README.md"))
    click.echo((target / "results.md").read_text(encoding="utf-8"))
