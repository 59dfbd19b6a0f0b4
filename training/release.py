"""What goes beside a model's files: the card, and the reliability before and after calibration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model import Classifier
from model.labels import LABELS
from model.manifest import load_manifest, sha256
from training.calibrate import column_of, uncalibrated
from training.corpora import CORPORA
from training.export import verdict_probabilities
from training.report import PARTS, to_markdown
from training.rows import Row, label_matrix

_CARD = Path(__file__).with_name("card.md")
CARD = "card.md"
Panel = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]


def reliability_panels(classifier: Classifier, rows: list[Row]) -> dict[str, Panel]:
    """Truth, probability before and after calibration, of each of the three labels on the rows."""
    after = verdict_probabilities(classifier, [row.text for row in rows])
    labels = label_matrix(rows)
    panels: dict[str, Panel] = {}
    for name in LABELS:
        column = column_of(name)
        known = ~np.isnan(labels[:, column])
        scale, shift = classifier.manifest.calibration[name]
        before = uncalibrated(after[known, column], scale, shift)
        panels[name] = (labels[known, column], before, after[known, column])
    return panels


def write_card(model: Path, report: dict[str, Any]) -> None:
    """Write `card.md` into the model folder (our text, the thresholds, the report's tables), and the
    headline figures into its manifest.
    """
    manifest = load_manifest(model)
    thresholds = json.dumps(manifest.thresholds, indent=1)
    corpora = "\n".join(
        f"| {name} | {corpus.rows:,} | {corpus.weight} | {corpus.licence} |"
        for name, corpus in CORPORA.items()
        if corpus.rows
    )
    text = _CARD.read_text(encoding="utf-8")
    for mark, value in {
        "{{model}}": manifest.model,
        "{{created}}": manifest.created,
        "{{base}}": manifest.base,
        "{{thresholds}}": thresholds,
        "{{review_above}}": f"{manifest.review_above:.0%}",
        "{{corpora}}": corpora,
        "{{results}}": to_markdown(report).replace("\n#", "\n##").removeprefix("# Results\n"),
    }.items():
        text = text.replace(mark, value)
    files = {name: digest for name, digest in manifest.files.items() if name != CARD}
    replace(manifest, files=files).write(model)  # a kill must not leave a card that seems damaged
    (model / CARD).write_text(text, encoding="utf-8")
    files[CARD] = sha256(model / CARD)
    replace(manifest, metrics=headline(report), files=files).write(model)


def headline(report: dict[str, Any]) -> dict[str, Any]:
    """The figures that a manifest carries, by part of the test rows."""
    return {
        part: {
            "rows": report[part]["rows"],
            "macro_f1": report[part]["macro_f1"],
            "false_alarms": report[part]["false_alarms"],
            "auroc": {name: report[part]["labels"][name].get("auroc") for name in LABELS},
        }
        for part in PARTS
        if part in report
    }
