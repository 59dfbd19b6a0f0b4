"""The report's faces: JSON, Markdown tables and plots, all written by the program."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")
from matplotlib import pyplot as plt

from model.labels import LABELS
from training.perturb import UNSEEN

_BINS = 10
PARTS = {
    "written": "Written customer messages",
    "reviews": "Real reviews and tweets to companies",
    "comments": "Real threat candidates and comments",
}


def write_report(report: dict[str, Any], folder: Path) -> None:
    """Write `results.json` and `results.md` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    (folder / "results.md").write_text(to_markdown(report), encoding="utf-8")


def write_headline(report: dict[str, Any], readme: Path) -> None:
    """Replace the table between `<!-- begin results -->` and `<!-- end results -->`."""
    text = readme.read_text(encoding="utf-8")
    tables = {"results": _headline_lines(report)}
    readme.write_text(replace_tables(text, tables), encoding="utf-8")


def _headline_lines(report: dict[str, Any]) -> list[str]:
    parts = {title: report[key] for key, title in PARTS.items() if key in report}
    rows = [
        *(
            (f"{n}: AUROC", *(_cell(p["labels"][n].get("auroc")) for p in parts.values()))
            for n in LABELS
        ),
        (
            "macro-F1 of the labels with five positives or more",
            *(_cell(p["macro_f1"]) for p in parts.values()),
        ),
        ("false alarms on fair messages", *(_cell(p["false_alarms"]) for p in parts.values())),
        ("sentiment macro-F1", *(_cell(p["sentiment_macro_f1"]) for p in parts.values())),
    ]
    heads = (f"{title} ({part['rows']:,})" for title, part in parts.items())
    return table(("", *heads), rows)


def _split(report: dict[str, Any]) -> str:
    if report.get("split") == "dev":
        return "on dev rows, on which calibration and thresholds were chosen"
    return "on test rows that took no part in training, calibration or the choice of thresholds"


def to_markdown(report: dict[str, Any]) -> str:
    lines = [
        "# Results",
        "",
        f"Model `{report['model']}`, as shipped (int8, balanced thresholds), {_split(report)}. Intervals:"
        " 95 %, bootstrap over situations. Written by `brandtox evaluate`; do not edit.",
    ]
    for key, title in PARTS.items():
        if key in report:
            lines += ["", f"## {title}", "", *_customer_lines(report[key])]
    lines += ["", "## Public corpora", "", *_corpora_lines(report["corpora"])]
    lines += ["", "## Hidden words", "", *_obfuscation_lines(report["obfuscation"])]
    lines += ["", "## Identity words", "", *_identity_lines(report["identity"])]
    if report.get("same_complaint"):
        lines += ["", "## The same complaint again", "", *_vector_lines(report["same_complaint"])]
    if "unknown_pieces" in report:
        lines += ["", "## Unknown pieces of the trimmed vocabulary", ""]
        shares = ((key, f"{share:.2%}") for key, share in report["unknown_pieces"].items())
        lines += table(("language, dialect", "share"), shares)
    if "baselines" in report:
        lines += [
            "",
            "## Baselines (AUROC)",
            "",
            *_baseline_lines(report),
        ]
    if "parity" in report:
        lines += ["", "## Export", "", *table(("figure", "value"), report["parity"].items())]
    return "\n".join(lines) + "\n"


def replace_tables(card: str, tables: dict[str, list[str]]) -> str:
    """Put each table between its markers, `<!-- begin NAME -->` and `<!-- end NAME -->`.

    Raises:
        ValueError: the card lacks a pair of markers.
    """
    for name, lines in tables.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, opened, rest = card.partition(begin)
        _, closed, after = rest.partition(end)
        if not (opened and closed):
            raise ValueError(f"the card lacks {begin} or {end} after it")
        card = before + "\n".join((begin, "", *lines, "", end)) + after
    return card


def _cell(estimate: Any) -> str:
    if not isinstance(estimate, dict):
        return "–" if estimate is None else str(estimate)
    return f"{estimate['value']:.3f} ({estimate['low']:.3f}–{estimate['high']:.3f})"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Lines of a Markdown table."""
    body = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *body]


def _customer_lines(part: dict[str, Any]) -> list[str]:
    review = part["review"]
    lines = [
        f"{part['rows']:,} rows. Macro-F1 over {', '.join(part['macro_f1_of'])} (labels with at least"
        f" five positives) {_cell(part['macro_f1'])}; false alarms on fair messages (any of the three)"
        f" {_cell(part['false_alarms'])}; sentiment macro-F1 {_cell(part['sentiment_macro_f1'])}."
        f" Review: {_percent(review['share'])} of the rows, holding"
        f" {_percent(review['errors_found'])} of those with an error.",
        "",
    ]
    lines += table(
        (
            "output",
            "positives",
            "AUROC",
            "average precision",
            "F1",
            "false alarms",
            "ECE before",
            "ECE",
        ),
        (
            (
                name,
                m["positives"],
                *(_cell(m.get(k)) for k in ("auroc", "average_precision", "f1")),
                _percent(m.get("false_alarms")),
                *(_cell(m.get(k)) for k in ("ece_before", "ece")),
            )
            for name, m in part["labels"].items()
        ),
    )
    lines += ["", "Few false alarms (the second threshold of the menu):", ""]
    lines += table(
        ("label", "threshold", "recall", "false alarms"),
        (
            (name, m["threshold"], _percent(m["recall"]), _percent(m["false_alarms"]))
            for name, m in part["few_false_alarms"].items()
        ),
    )
    head = (
        "language, dialect",
        "rows",
        *(f"{n} AUROC" for n in LABELS),
        "macro-F1",
        "false alarms",
    )
    lines += ["", *table(head, (_group_row(key, g) for key, g in part["groups"].items()))]
    return lines


def _group_row(key: str, group: dict[str, Any]) -> list[str]:
    aurocs = [_cell(group["labels"][name].get("auroc")) for name in LABELS]
    return [
        key,
        str(group["rows"]),
        *aurocs,
        _cell(group["macro_f1"]),
        _cell(group["false_alarms"]),
    ]


def _corpora_lines(corpora: dict[str, Any]) -> list[str]:
    intro = (
        "The threshold for abuse is chosen on the corpus's dev rows. `official half of dev`: the official"
        " test split was not at hand; the threshold is of one half of dev, the figure of the other (`half"
        " of test`: likewise). `by hash`: no official split was at hand, the rows are held out by the hash"
        " of their texts. At most 600 rows each; intervals over rows."
    )
    keys = (
        "abuse_auroc",
        "abuse_average_precision",
        "abuse_macro_f1",
        "abuse_ece",
        "sentiment_macro_f1",
    )
    rows = (
        (n, c["split"], c["rows"], *(_cell(c.get(k)) for k in keys)) for n, c in corpora.items()
    )
    head = (
        "corpus",
        "split",
        "rows",
        "abuse AUROC",
        "abuse average precision",
        "abuse macro-F1",
        "abuse ECE",
        "sentiment macro-F1",
    )
    return [intro, "", *table(head, rows)]


def _obfuscation_lines(suite: dict[str, Any]) -> list[str]:
    intro = (
        f"{suite['rows']:,} toxic rows, about half of the words changed; recall {suite['recall']:.1%} as"
        f" written. Lost: {suite['mean_lost']} points on average, {suite['worst_lost']} at worst;"
        f" {suite['unseen_mean_lost']} on average for those that training never uses (marked *)."
    )
    rows = ((f"{name} *" if name in UNSEEN else name, lost) for name, lost in suite["lost"].items())
    return [intro, "", *table(("perturbation", "recall lost (points)"), rows)]


def _identity_lines(suite: dict[str, Any]) -> list[str]:
    highest = ", ".join(f"{g} {r:.0%}" for g, r in suite["highest"].items()) or "none"
    return [
        f"{suite['sentences']} friendly or neutral sentences with an identity word: false alarms"
        f" {suite['false_alarms']:.1%}, spread between groups {suite['spread']:.1%} (highest: {highest})."
    ]


def _vector_lines(vectors: dict[str, Any]) -> list[str]:
    return [
        f"Sentence vectors on {vectors['same']} pairs of the same complaint in other words against"
        f" {vectors['different']} of different complaints in the same industry: AUROC"
        f" {vectors['auroc']:.3f}, precision {vectors['precision_at_recall_0.6']:.3f} at recall 0.6."
    ]


def _baseline_lines(report: dict[str, Any]) -> list[str]:
    rows = []
    for part in PARTS:
        if part not in report:
            continue
        for label in LABELS:
            ours = _cell(report[part]["labels"][label].get("auroc"))
            found = [baseline[part][label] or {} for baseline in report["baselines"].values()]
            theirs = [_cell(f.get(key)) for f in found for key in ("auroc", "lead")]
            rows.append((part, label, ours, *theirs))
    leads = [
        figures["lead"]["low"]
        for baseline in report["baselines"].values()
        for part in baseline.values()
        for figures in part.values()
        if figures
    ]
    heads = [head for name in report["baselines"] for head in (name, f"lead over {name}")]
    intro = (
        "Trained on the rows of the customers stage. The lead is a paired difference; the model is"
        f" ahead beyond its interval in {sum(low > 0 for low in leads)} of {len(leads)} comparisons."
    )
    return [intro, "", *table(("rows", "label", "this model", *heads), rows)]


def plot_curves(curves: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Loss over steps, one panel a stage."""
    figure, axes = plt.subplots(1, len(curves), figsize=(5 * len(curves), 3.2), squeeze=False)
    for axis, (name, curve) in zip(axes[0], curves.items(), strict=True):
        axis.plot([p["step"] for p in curve], [p["loss"] for p in curve])
        axis.set(title=name, xlabel="step", ylabel="loss (smoothed)")
    _save(figure, path)


def plot_reliability(
    panels: dict[str, tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]],
    path: Path,
) -> None:
    """Frequency against probability in ten bins, before and after calibration, one panel a label.

    `panels` maps a label to (truth, probability before, probability after).
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(4 * len(panels), 3.6), squeeze=False)
    for axis, (name, (truth, before, after)) in zip(axes[0], panels.items(), strict=True):
        axis.plot([0, 1], [0, 1], ":", color="grey")
        for score, label in ((before, "before"), (after, "after")):
            axis.plot(*_reliability(truth, score), marker="o", label=label)
        axis.set(title=name, xlabel="probability", ylabel="frequency")
        axis.legend()
    _save(figure, path)


def _reliability(
    truth: NDArray[np.floating], score: NDArray[np.floating]
) -> tuple[list[float], list[float]]:
    bins = np.minimum((score * _BINS).astype(int), _BINS - 1)
    present = [b for b in range(_BINS) if (bins == b).sum() >= 5]
    return (
        [float(score[bins == b].mean()) for b in present],
        [float(truth[bins == b].mean()) for b in present],
    )


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
