"""What goes beside a model's files: the card, and the reliability before and after calibration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model import Classifier
from model.labels import LABELS
from model.manifest import load_manifest
from training.calibrate import column_of, logit
from training.corpora import CORPORA
from training.export import verdict_probabilities
from training.report import to_markdown
from training.rows import Row, label_matrix

_CARD = Path(__file__).with_name("card.md")
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
        before = 1 / (1 + np.exp(-(logit(after[known, column]) - shift) / scale))
        panels[name] = (labels[known, column], before, after[known, column])
    return panels


def write_card(model: Path, report: dict[str, Any]) -> None:
    """Write `card.md` into the model folder: our text, the thresholds, and the report's tables."""
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
        "{{review_margin}}": str(manifest.review_margin),
        "{{corpora}}": corpora,
        "{{results}}": to_markdown(report).replace("\n#", "\n##").removeprefix("# Results\n"),
    }.items():
        text = text.replace(mark, value)
    (model / "card.md").write_text(text, encoding="utf-8")
