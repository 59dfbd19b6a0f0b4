import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.labels import LABELS
from training.report import (
    plot_curves,
    plot_reliability,
    table,
    to_markdown,
    write_headline,
    write_report,
)

ESTIMATE = {"value": 0.91234, "low": 0.9, "high": 0.92, "rows": 40}
LEADS = {
    name: {"value": 0.05, "low": low, "high": 0.09, "rows": 40}
    for name, low in zip(LABELS, (0.01, 0.0, -0.01), strict=True)
}
LABEL = {
    "positives": 12,
    "auroc": ESTIMATE,
    "average_precision": ESTIMATE,
    "f1": ESTIMATE,
    "false_alarms": 0.024,
    "ece_before": 0.092,
    "ece": 0.031,
}
GROUP = {
    "rows": 25,
    "labels": {name: {"positives": 3} for name in LABELS},
    "macro_f1": None,
    "false_alarms": ESTIMATE,
}
REPORT: dict[str, Any] = {
    "model": "3.2",
    "written": {
        "rows": 1234,
        "labels": dict.fromkeys(LABELS, LABEL),
        "macro_f1": ESTIMATE,
        "macro_f1_of": ["abuse", "accusation"],
        "false_alarms": ESTIMATE,
        "sentiment_macro_f1": ESTIMATE,
        "review": {"share": 0.08, "errors_found": None},
        "few_false_alarms": {
            name: {"threshold": 0.77, "recall": 0.6543, "false_alarms": 0.008} for name in LABELS
        },
        "groups": {"ar egy": GROUP},
    },
    "corpora": {
        "olid": {
            "rows": 600,
            "split": "official test",
            "abuse_auroc": ESTIMATE,
            "abuse_ece": 0.041,
        }
    },
    "obfuscation": {
        "rows": 1100,
        "recall": 0.81,
        "mean_lost": 4.5,
        "worst_lost": 12.0,
        "unseen_mean_lost": 3.2,
        "lost": {"dots": 0.1, "spaces": 12.0, "bold": 3.2},
    },
    "identity": {
        "sentences": 440,
        "false_alarms": 0.012,
        "spread": 0.2,
        "highest": {"en gay": 0.2},
        "mean_abuse": {},
    },
    "same_complaint": {"same": 90, "different": 80, "auroc": 0.93, "precision_at_recall_0.6": 0.88},
    "baselines": {
        "ngrams": {"written": {n: {"auroc": ESTIMATE, "lead": LEADS[n]} for n in LABELS}},
        "frozen": {"written": dict.fromkeys(LABELS)},
    },
    "unknown_pieces": {"ar": 0.00123},
    "parity": {"rows": 1000, "difference_int8": 0.011},
}


def test_every_part_of_the_report_is_in_its_markdown() -> None:
    text = to_markdown(REPORT)
    for expected in (
        "Model `3.2`",
        "## Written customer messages",
        "1,234 rows. Macro-F1 over abuse, accusation (labels with at least five positives)"
        " 0.912 (0.900–0.920)",
        "Review: 8.0% of the rows, holding – of those with an error.",
        "| abuse | 12 | 0.912 (0.900–0.920) | 0.912 (0.900–0.920) | 0.912 (0.900–0.920) | 2.4% | 0.092"
        " | 0.031 |",
        "| threat | 0.77 | 65.4% | 0.8% |",
        "| ar egy | 25 | – | – | – | – | 0.912 (0.900–0.920) |",
        "| olid | official test | 600 | 0.912 (0.900–0.920) | – | – | 0.041 | – |",
        "1,100 toxic rows",
        "| spaces | 12.0 |",
        "| bold * | 3.2 |",
        "false alarms 1.2%, spread between groups 20.0% (highest: en gay 20%)",
        "AUROC 0.930, precision 0.880 at recall 0.6",
        "ahead beyond its interval in 1 of 3 comparisons",
        "| written | abuse | 0.912 (0.900–0.920) | 0.912 (0.900–0.920) | 0.050 (0.010–0.090) | – | – |",
        "| difference_int8 | 0.011 |",
        "| ar | 0.12% |",
    ):
        assert expected in text
    assert "## Real reviews" not in text


def test_every_table_row_has_as_many_cells_as_its_head() -> None:
    rows = [line for line in to_markdown(REPORT).splitlines() if line.startswith("|")]
    heads = [i for i, line in enumerate(rows) if set(line) <= set("|-")]
    assert len(heads) == 8
    for start, stop in zip(heads, [h - 1 for h in heads[1:]] + [len(rows)], strict=True):
        assert {row.count("|") for row in rows[start - 1 : stop]} == {rows[start].count("|")}


@pytest.mark.parametrize(
    ("part", "title"),
    [
        ("same_complaint", "## The same complaint again"),
        ("baselines", "## Baselines (AUROC)"),
        ("parity", "## Export"),
        ("unknown_pieces", "## Unknown pieces"),
        ("written", "## Written customer messages"),
    ],
)
def test_a_part_that_was_not_measured_has_no_section(part: str, title: str) -> None:
    report = deepcopy(REPORT)
    assert title in to_markdown(report)
    del report[part]
    assert title not in to_markdown(report)


def test_the_headline_stands_in_the_readme_between_its_marks(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- begin results -->\nold\n<!-- end results -->\nz\n", encoding="utf-8")
    write_headline(REPORT, readme)
    lines = readme.read_text(encoding="utf-8").splitlines()
    assert lines[:4] == [
        "a",
        "<!-- begin results -->",
        "",
        "|  | Written customer messages (1,234) |",
    ]
    assert "| threat: AUROC | 0.912 (0.900–0.920) |" in lines
    assert "| macro-F1 of the labels with five positives or more | 0.912 (0.900–0.920) |" in lines
    assert "| false alarms on fair messages | 0.912 (0.900–0.920) |" in lines
    assert lines[-3:] == ["", "<!-- end results -->", "z"]


def test_a_table_by_hand() -> None:
    assert table(("a", "b"), [(1, "x")]) == ["| a | b |", "|---|---|", "| 1 | x |"]


def test_report_files_are_json_and_markdown(tmp_path: Path) -> None:
    write_report(REPORT, tmp_path / "docs")
    read = json.loads((tmp_path / "docs" / "results.json").read_text(encoding="utf-8"))
    assert read == json.loads(json.dumps(REPORT))
    assert (tmp_path / "docs" / "results.md").read_text(encoding="utf-8") == to_markdown(REPORT)


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 2000


def test_curves_are_drawn_the_same_every_time(tmp_path: Path) -> None:
    curves = {name: [{"step": i, "loss": 1 / (i + 1)} for i in range(9)] for name in ("one", "two")}
    for name in ("a", "b"):
        plot_curves(curves, tmp_path / "plots" / f"{name}.png")
    first, second = (tmp_path / "plots" / f"{name}.png" for name in ("a", "b"))
    assert is_picture(first)
    assert first.read_bytes() == second.read_bytes()


def test_reliability_is_drawn(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    score = chance.random(200)
    truth = (chance.random(200) < score).astype(float)
    plot_reliability({"abuse": (truth, score**2, score)}, tmp_path / "reliability.png")
    assert is_picture(tmp_path / "reliability.png")
