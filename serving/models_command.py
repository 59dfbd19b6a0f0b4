"""The commands `brandtox models …`: which models there are, which one is in use, and how that changes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from model import Classifier, ModelError
from model.manifest import RELEASED, load_manifest, read_manifest
from model.registry import Registry, comparison_of, gate_of
from model.thresholds import read_thresholds
from serving.options import this_user, with_settings
from serving.printing import cell, print_json, print_record, print_table
from serving.settings import Settings

Command = Callable[..., None]

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_BY = click.option(
    "--by", metavar="NAME", help="Who decides. Default: the name of the user of this system."
)
_TOLD = ("created", "base", "parent", "data")
_FIXED = "NOTE: BRANDTOX_MODEL is {}: it is used there whatever is promoted"
_FIT = "If you use thresholds of your own (--thresholds), fit them anew: brandtox thresholds fit"
_FOLLOW = "Labels follow the thresholds in {}"
_FIT_ANEW = (
    "NOTE: the thresholds in {} are for {}, and are not applied to {}: fit them anew"
    " (brandtox thresholds fit)"
)


@click.group()
def models() -> None:
    """List, compare, promote and roll back models.

    Retrained models lie in the folder `--models`, the released one comes with brandtox. A running
    service takes up what is promoted within seconds, without a dropped request.
    """


def _with_registry(command: Command) -> Command:
    """Gives the command the models folder, and tells its errors."""

    @functools.wraps(command)
    def run(settings: Settings, **arguments: Any) -> None:
        try:
            command(Registry(settings.models), **arguments)
        except (ModelError, OSError) as error:
            raise click.ClickException(str(error)) from error

    return with_settings("models")(run)


@models.command("list")
@_JSON
@_with_registry
def list_models(registry: Registry, as_json: bool) -> None:
    """List all models, the one in use marked with *."""
    found = [_describe(registry, folder) for folder in registry.list()]
    if as_json:
        print_json({"models": found})
        return
    columns = ("", "model", "created", "parent", "data", "gate", "promoted")
    print_table("", columns, map(_row_of, found))
    for model in found:
        if model["error"]:
            click.echo(f"{model['model']} cannot be used: {model['error']}", err=True)


def _row_of(model: Mapping[str, Any]) -> list[str]:
    last = model["promotions"][-1:]
    promoted = "".join(f"{one['at']} by {one['by']}" for one in last)
    told = [cell(model[name]) for name in ("model", "created", "parent", "data", "gate")]
    return ["*" * model["active"], *told, promoted]


def _describe(registry: Registry, folder: Path) -> dict[str, Any]:
    found = registry.describe(folder)
    manifest = found.pop("manifest")
    told = {name: getattr(manifest, name, None) or None for name in _TOLD}
    return {"model": found.pop("model"), **told, **found}


@models.command("show")
@click.argument("model", metavar="ID", required=False)
@_JSON
@_with_registry
def show(registry: Registry, model: str | None, as_json: bool) -> None:
    """Show what is known of the model ID; by default of the one in use."""
    folder = registry.find(model) if model else registry.active()
    manifest = load_manifest(folder)
    found = _describe(registry, folder) | {"folder": str(folder)}
    gate = gate_of(folder) or {}
    thresholds, metrics = manifest.thresholds, manifest.metrics
    if as_json:
        print_json(found | {"gate": gate or None, "thresholds": thresholds, "metrics": metrics})
        return
    facts = {name: value for name, value in found.items() if name not in ("promotions", "error")}
    print_record("", facts | {"report": _report(folder)})
    print_record("Thresholds", thresholds)
    for title, part in (("Checks of the gate", "checks"), ("Something better", "better")):
        print_record(title, gate.get(part, []))
    print_record("Promotions", found["promotions"])


def _report(folder: Path) -> str | None:
    """Where a person reads on."""
    found = (folder / name for name in ("report.md", "card.md"))
    return next((str(path) for path in found if path.is_file()), None)


@models.command("compare")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@_JSON
@_with_registry
def compare(registry: Registry, a: str, b: str, as_json: bool) -> None:
    """Compare two models: one of them a candidate that was compared with the other when it was trained."""
    first, second = registry.find(a), registry.find(b)
    found = _comparison(first, b) or _comparison(second, a)
    if found is None:
        raise click.ClickException(
            f"{a} and {b} were never compared: a comparison is made when a candidate is trained"
            " (`brandtox retrain`, training extra), with the model that is then in use"
        )
    if as_json:
        print_json(found)
    else:
        print_record("", found)


def _comparison(folder: Path, other: str) -> dict[str, Any] | None:
    """What a candidate's folder says of it beside another model."""
    found = comparison_of(folder)
    if found is None:
        return None
    parent = read_manifest(folder).parent or read_manifest(RELEASED).model
    return found if found.get("released", parent) == other else None


@models.command("promote")
@click.argument("model", metavar="ID")
@click.option("--force", is_flag=True, help="Promote it though its gate refused it.")
@click.option("--reason", default="", help="Why; it is recorded, and --force needs it.")
@_BY
@_with_registry
def promote(registry: Registry, model: str, force: bool, reason: str, by: str | None) -> None:
    """Use the model ID from now on.

    A candidate that its gate refused, or that was compared with another model than the one in use, is
    promoted by --force alone. The released model can be promoted, too.
    """
    if force and not reason.strip():
        raise click.UsageError("--force needs a --reason, which is recorded")
    folder = registry.find(model)
    Classifier.load(folder, threads=1)  # what cannot be loaded must not come into use
    if registry.promote(model, by or this_user(), reason, force):
        click.echo(f"{model} is in use from now on")
    else:
        click.echo(f"{model} is in use already: nothing was changed")
    _tell_settings(model)


@models.command("rollback")
@click.option("--reason", default="", help="Why; it is recorded.")
@_BY
@_with_registry
def rollback(registry: Registry, reason: str, by: str | None) -> None:
    """Take the last promotion back; again, the one before it."""
    model = registry.rollback(by or this_user(), reason)
    click.echo(f"{model} is in use from now on")
    _tell_settings(model)


def _tell_settings(model: str) -> None:
    """What the settings make of the model that was just promoted."""
    settings = Settings()
    if settings.model is not None:
        click.echo(_FIXED.format(settings.model), err=True)
    click.echo(_of_thresholds(settings.thresholds, model), err=True)


def _of_thresholds(path: Path | None, model: str) -> str:
    if path is None:
        return _FIT
    try:
        own = read_thresholds(path)
    except ModelError as error:  # the promotion stands
        return f"NOTE: {error}"
    return (_FOLLOW if own.model == model else _FIT_ANEW).format(path, own.model, model)
