"""What 50, 200 and 1,000 labelled rows of a new domain give: full fine-tune against head-only.

    python -m benchmarks.learning_curve --domain language=arabizi
    python -m benchmarks.learning_curve --domain origin=arabic_company_reviews --corpora FOLDER

writes the domain's part of docs/learning-curve.json and docs/learning-curve.md. It is held out: a starting
model is trained on the rest of datasets/ from the bundled base, and then trained on with files of the domain's
rows as `brandtox retrain` does (`benchmarks/held_out_domain.py`). No row of the test split is read, and of the
corpora only the messages of a domain that is one of them. A stopped run goes on where it was; a try that is
done is kept in the folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.held_out_domain import (
    EPOCHS,
    Outcome,
    Parts,
    Probabilities,
    Try,
    attempt,
    divide,
    kept_start,
    train_start,
)
from model.files import write_whole
from model.labels import LABELS
from training.data import load_data
from training.fit import CheckpointError
from training.metrics import Estimate, auroc, bootstrap
from training.own import DATASETS
from training.report import table
from training.retrain import RECIPES
from training.rows import Row, clusters_of, label_matrix

_SIZES = {50: 3, 200: 3, 1_000: 1}
"""Rows of a file, and how many files of so many rows are drawn."""
_FIELDS = ("language", "dialect", "industry", "origin")
_DOCUMENT, _RESULT = Path("docs/learning-curve.md"), Path("docs/learning-curve.json")
Metric = Callable[[NDArray[Any], NDArray[Any]], float]


def tries() -> list[Try]:
    """Smaller files and first draws first."""
    drawn = [(seed, size) for size, seeds in _SIZES.items() for seed in range(seeds)]
    return [Try(), *(Try(recipe, size, seed) for seed, size in sorted(drawn) for recipe in RECIPES)]


def over_draws(metric: Metric) -> Callable[..., float]:
    """The metric's mean over several readings of the same rows."""

    def mean(truth: NDArray[Any], *scores: NDArray[Any]) -> float:
        return float(np.mean([metric(truth, score) for score in scores]))

    return mean


def log_loss(truth: NDArray[Any], score: NDArray[Any]) -> float:
    """Mean of the negative log likelihood, in nats, of truths and probabilities of one shape."""
    safe = np.clip(score, 1e-7, 1 - 1e-7)
    return float(-np.where(truth == 1, np.log(safe), np.log(1 - safe)).mean())


def figures(rows: list[Row], readings: Sequence[Probabilities]) -> dict[str, Estimate | None]:
    """AUROC of each label, and the log loss of all three, over the draws of one size and recipe."""
    truth, clusters = label_matrix(rows)[:, : len(LABELS)], clusters_of(rows)
    found = {
        name: bootstrap(
            over_draws(auroc), truth[:, i], *(r[:, i] for r in readings), clusters=clusters
        )
        for i, name in enumerate(LABELS)
    }
    return found | {
        "log_loss": bootstrap(over_draws(log_loss), truth, *readings, clusters=clusters)
    }


def difference(
    rows: list[Row], ours: Sequence[Probabilities], others: Sequence[Probabilities]
) -> Estimate | None:
    """Log loss of ours less that of the others, on the same resamples; below 0 ours are better."""
    truth, count = label_matrix(rows)[:, : len(LABELS)], len(ours)

    def less(truth: NDArray[Any], *both: NDArray[Any]) -> float:
        mean = over_draws(log_loss)
        return mean(truth, *both[:count]) - mean(truth, *both[count:])

    return bootstrap(less, truth, *ours, *others, clusters=clusters_of(rows))


def measure(parts: Parts, outcomes: dict[Try, Outcome]) -> dict[str, Any]:
    """Figures of every size and recipe that has an outcome, and full less head for every size."""
    curve = [
        _point(parts, [outcomes[which] for which in members], outcomes[Try()], *key)
        for key, members in _by_size(outcomes).items()
    ]
    return {
        "rows": {name: len(rows) for name, rows in parts._asdict().items()},
        "curve": curve,
        "full_less_head": _full_less_head(parts, outcomes),
    }


def _by_size(outcomes: Iterable[Try]) -> dict[tuple[int, str], list[Try]]:
    grouped: dict[tuple[int, str], list[Try]] = {}
    for which in sorted(outcomes, key=lambda which: (which.size, which.recipe, which.seed)):
        grouped.setdefault((which.size, which.recipe), []).append(which)
    return grouped


def _point(
    parts: Parts, outcomes: list[Outcome], start: Outcome, size: int, recipe: str
) -> dict[str, Any]:
    def written(estimates: dict[str, Estimate | None]) -> dict[str, Any]:
        return {name: e.as_dict() if e else None for name, e in estimates.items()}

    less = {
        name: difference(rows, [getattr(o, part) for o in outcomes], [getattr(start, part)])
        for name, part, rows in (
            ("domain", "held_out", parts.held_out),
            ("known", "known", parts.known),
        )
    }

    return {
        "size": size,
        "recipe": recipe,
        "draws": len(outcomes),
        "trained": round(float(np.mean([o.trained for o in outcomes]))),
        "seconds": round(float(np.mean([o.seconds for o in outcomes]))),
        "domain": written(figures(parts.held_out, [o.held_out for o in outcomes])),
        "known": written(figures(parts.known, [o.known for o in outcomes])),
        "less_than_start": written(less),
    }


def _full_less_head(parts: Parts, outcomes: dict[Try, Outcome]) -> list[dict[str, Any]]:
    """Of the files that both recipes trained on."""
    found = []
    for size in sorted({which.size for which in outcomes if which.recipe}):
        pairs = [
            (o, outcomes[head])
            for which, o in outcomes.items()
            if which.size == size
            and which.recipe == "full"
            and (head := which._replace(recipe="head")) in outcomes
        ]
        if not pairs:
            continue
        estimates = {
            name: difference(
                rows, [getattr(a, part) for a, _ in pairs], [getattr(b, part) for _, b in pairs]
            )
            for name, part, rows in (
                ("domain", "held_out", parts.held_out),
                ("known", "known", parts.known),
            )
        }
        found.append({"size": size} | {n: e.as_dict() for n, e in estimates.items() if e})
    return found


def to_markdown(results: dict[str, dict[str, Any]]) -> str:
    """The page; results by domain."""
    lines = [
        "# Learning curve of a new domain",
        "",
        "A domain is held out of a starting model, which is trained from the bundled base on the rest of"
        f" `datasets/` ({EPOCHS} epochs of the messages stage: a weaker model than the released one). Files"
        " of its rows are then split and trained on as by `brandtox retrain`, and judged on held-out rows of"
        " the domain. Networks in float32, without export. Intervals: 95 %, bootstrap over situations; where"
        " several files were drawn, of their mean. Log loss: mean of the three labels, in nats. Seconds:"
        " processor time of training. Written by `python -m benchmarks.learning_curve`; do not edit.",
        "",
    ]
    for domain, result in results.items():
        lines += _section(domain, result)
    return "\n".join(lines)


def _section(domain: str, result: dict[str, Any]) -> list[str]:
    rows = result["rows"]
    return [
        f"## {domain}",
        "",
        f"{rows['start']:,} rows trained the starting model, {rows['held_out']:,} rows of the domain judge."
        f" Known: {rows['known']:,} dev rows of the other domains; calibration is fit on"
        f" {rows['calibration']:,} more of them.",
        "",
        *advice(result),
        "",
        *table(
            ("rows of the file", "of them train", "recipe", "files", "abuse", "threat", "accusation",
             "log loss", "less than with 0 rows", "seconds"),
            map(_line, result["curve"]),
        ),
        "",
        "AUROC of the three labels, and log loss, on the domain. What is forgotten, on the known rows:",
        "",
        *table(
            ("rows of the file", "recipe", *LABELS, "log loss", "less than with 0 rows"),
            map(_known_line, result["curve"]),
        ),
        "",
        "Log loss of full less that of head, on the same rows and draws (below 0: full is better):",
        "",
        *table(
            ("rows of the file", "on the domain", "on known rows"),
            (
                (f"{d['size']:,}", _cell(d["domain"], "+"), _cell(d["known"], "+"))
                for d in result["full_less_head"]
            ),
        ),
        "",
    ]  # fmt: skip


def _line(point: dict[str, Any]) -> tuple[str, ...]:
    domain = point["domain"]
    return (
        f"{point['size']:,}",
        str(point["trained"]),
        point["recipe"] or "–",
        str(point["draws"]),
        *(_cell(domain[name]) for name in (*LABELS, "log_loss")),
        _less(point, "domain"),
        str(point["seconds"]) if point["recipe"] else "–",
    )


def _known_line(point: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{point['size']:,}",
        point["recipe"] or "–",
        *(_cell(point["known"][name]) for name in (*LABELS, "log_loss")),
        _less(point, "known"),
    )


def _less(point: dict[str, Any], part: str) -> str:
    return _cell(point["less_than_start"][part], "+") if point["recipe"] else "–"


def _cell(estimate: dict[str, float] | None, sign: str = "") -> str:
    if estimate is None:
        return "–"
    value, low, high = (format(estimate[key], sign + ".3f") for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def advice(result: dict[str, Any]) -> list[str]:
    """In plain words: what to choose at each size, what 200 rows give, and what they take."""
    words = {
        "full": "full is clearly better",
        "head": "head is clearly better",
        "": "neither is clearly better",
    }
    sizes = [f"{d['size']:,} rows {words[better(d['domain'])]}" for d in result["full_less_head"]]
    lines = [f"On the domain: with {'; with '.join(sizes)}."] if sizes else []
    points = {(p["size"], p["recipe"]): p for p in result["curve"]}
    none = points[0, ""]["domain"]["log_loss"]["value"]
    for recipe in RECIPES:
        if point := points.get((200, recipe)):
            given = point["domain"]["log_loss"]["value"]
            minutes = point["seconds"] / 60
            lines.append(
                f"A file of 200 rows, `{recipe}`: log loss {none:.3f} becomes {given:.3f}"
                f" in {minutes:.1f} minutes of training."
            )
    return [" ".join(lines)]


def better(full_less_head: dict[str, float]) -> str:
    """The recipe whose log loss is lower beyond the interval, or an empty name."""
    if full_less_head["high"] < 0:
        return "full"
    return "head" if full_less_head["low"] > 0 else ""


def _domain(_: click.Context, __: click.Parameter, text: str) -> tuple[str, str]:
    field, equals, value = text.partition("=")
    if field not in _FIELDS or not (equals and value):
        raise click.BadParameter(f"give FIELD=VALUE, where FIELD is one of {', '.join(_FIELDS)}")
    return field, value


@click.command()
@click.option("--domain", default="language=arabizi", show_default=True, callback=_domain)
@click.option(
    "--run", "folder", type=click.Path(path_type=Path), default=Path("runs/learning-curve"),
    show_default=True, help="Folder of the starting models and of the tries, one for each domain.",
)  # fmt: skip
@click.option(
    "--datasets", type=click.Path(path_type=Path, exists=True), default=DATASETS,
    help="Folder of labelled messages: as it was, for a run that was begun with it.",
)  # fmt: skip
@click.option(
    "--corpora", type=click.Path(path_type=Path, exists=True), envvar="BRANDTOX_CORPORA",
    help="Folder of public corpora, for a domain of one of them (origin=NAME). [BRANDTOX_CORPORA]",
)  # fmt: skip
@click.option("--report-only", is_flag=True, help="Train nothing: the tables of what is there.")
def main(
    domain: tuple[str, str], folder: Path, datasets: Path, corpora: Path | None, report_only: bool
) -> None:
    """Write docs/learning-curve.json and docs/learning-curve.md."""
    name, folder = "=".join(domain), folder / "-".join(domain)
    parts = divide(load_data(corpora if domain[0] == "origin" else None, datasets), *domain)
    if len(parts.pool) < max(_SIZES):
        raise click.ClickException(
            f"{name} has {len(parts.pool)} rows to draw files from, {max(_SIZES):,} are needed: take a"
            " larger domain, and for one of a corpus give --corpora FOLDER"
        )
    if report_only and not (folder / f"{Try().name}.npz").exists():
        raise click.ClickException(f"nothing is measured in {folder}: leave --report-only out")
    try:
        start = (kept_start if report_only else train_start)(folder / "start", parts)
    except CheckpointError as error:
        raise click.ClickException(str(error)) from error
    outcomes = {
        which: attempt(start, parts, which, folder)
        for which in tries()
        if not report_only or (folder / f"{which.name}.npz").exists()
    }
    measured = measure(parts, outcomes)
    known = json.loads(_RESULT.read_text(encoding="utf-8")) if _RESULT.exists() else {}
    results = known | {name: measured}
    page = to_markdown(results)
    write_whole(_RESULT, json.dumps(results, indent=1) + "\n")
    write_whole(_DOCUMENT, page)
    click.echo(page)


if __name__ == "__main__":
    main()
