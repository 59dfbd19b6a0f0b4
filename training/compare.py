"""The candidate beside the released model: every figure that the report shows, with intervals.

What is decided by, and what not: `training.gate`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model import Classifier
from model.labels import LABELS, SIGNS, THREAT_KINDS
from training.corpora import COMPANY_CORPORA
from training.evidence import Evidence, Reading, flagged, gather
from training.figures import (
    Mask,
    Sample,
    decisions_on,
    false_alarms_on,
    hidden_words,
    log_loss,
    mean_auroc,
    recall_on,
    same_complaint,
    sample_of,
    sentiments_on,
)
from training.paired import Weights, draw_weights, over_draws
from training.perturb import PERTURBATIONS
from training.rows import Row, clusters_of

PARTS = ("written", "reviews", "comments", "fresh")
_MIN_ROWS = 20
_RESAMPLES = 1_000
_DIGITS = 4
Pair = dict[str, float | int]
"""candidate, released, rows; better: by how much the candidate is the better one, with low and high of
its 95 % interval (paired bootstrap over situations, not corrected for the number of figures)."""


def compare(
    candidate: Classifier,
    released: Classifier,
    rows: list[Row],
    fresh: list[Row],
    suites: bool = True,
    folders: tuple[Path, Path] | None = None,
) -> dict[str, Any]:
    """All figures of two models side by side: the content of comparison.json.

    `rows` are the frozen test rows, `fresh` the new data held out; test rows that are no customer
    messages are left out. With `suites`, hidden words are read and speed is measured, too; with the
    two folders (the candidate's first), size.
    """
    return comparison(gather(candidate, released, rows, fresh, suites, folders))


def comparison(evidence: Evidence, seed: int = 0, resamples: int = _RESAMPLES) -> dict[str, Any]:
    """All figures of two models side by side: the content of comparison.json."""
    weights = draw_weights(clusters_of(evidence.rows), resamples, seed)
    of_fresh = draw_weights(clusters_of(evidence.fresh), resamples, seed)
    report: dict[str, Any] = {
        "candidate": evidence.candidate.model,
        "released": evidence.released.model,
    }
    for name, members in _parts(evidence.rows).items():
        report[name] = _part(evidence, members, weights)
    if evidence.fresh:
        everything = np.ones(len(evidence.fresh), bool)
        report["fresh"] = _part(_fresh_as_rows(evidence), everything, of_fresh)
    if evidence.hidden and evidence.candidate.hidden is not None:
        report["hidden_words"] = _hidden_report(evidence, weights)
    if pair := _pair(same_complaint(evidence), weights):
        report["same_complaint"] = {"auroc": pair}
    report["speed_ratio"] = evidence.speed_ratio and round(evidence.speed_ratio, 3)
    report["megabytes"] = {
        "candidate": evidence.candidate.megabytes,
        "released": evidence.released.megabytes,
    }
    report["verdict"] = _verdict(report)
    return report


def _parts(rows: list[Row]) -> dict[str, Mask]:
    """Written messages, real reviews, and real comments; empty ones are left out."""
    names = np.array(
        [
            "written" if r.source == "own" else "reviews" if r.origin in COMPANY_CORPORA else "comments"
            for r in rows
        ]
    )  # fmt: skip
    return {name: names == name for name in PARTS if (names == name).any()}


def _fresh_as_rows(evidence: Evidence) -> Evidence:
    def turned(reading: Reading) -> Reading:
        return replace(reading, probabilities=reading.fresh, vectors=None, hidden=None)

    return Evidence(evidence.fresh, [], turned(evidence.candidate), turned(evidence.released))


def _part(evidence: Evidence, members: Mask, weights: Weights) -> dict[str, Any]:
    fair = members & np.array([row.is_fair for row in evidence.rows], bool)
    report: dict[str, Any] = {"rows": int(members.sum()), "fair_rows": int(fair.sum())}
    report["labels"] = {
        name: _label(evidence, members, fair, name, weights)
        for name in (*LABELS, *THREAT_KINDS, *SIGNS)
    }
    report["macro_f1"] = _pair(decisions_on(evidence, members), weights)
    report["false_alarms"] = _pair(false_alarms_on(evidence, fair), weights, falls=True)
    report["log_loss"] = _pair(
        sample_of(evidence, members, lambda labels, r: log_loss(labels, r, LABELS)),
        weights,
        falls=True,
    )
    report["sentiment"] = _pair(sentiments_on(evidence, members), weights)
    report["groups"] = {
        key: _group(evidence, group & members, fair & group, weights)
        for key, group in _groups(evidence.rows, members)
    }
    return report


def _label(
    evidence: Evidence, members: Mask, fair: Mask, name: str, weights: Weights
) -> dict[str, Pair | None]:
    figures = {"auroc": _auroc(evidence, members, name, weights)}
    if name in LABELS:
        figures["recall"] = _pair(recall_on(evidence, members, name), weights)
        alarms = false_alarms_on(evidence, fair, name)
        figures["false_alarms"] = _pair(alarms, weights, falls=True)
    return figures


def _group(evidence: Evidence, members: Mask, fair: Mask, weights: Weights) -> dict[str, Any]:
    return {
        "rows": int(members.sum()),
        **{name: _auroc(evidence, members, name, weights) for name in LABELS},
        "false_alarms": _pair(false_alarms_on(evidence, fair), weights, falls=True),
    }


def _groups(rows: list[Row], members: Mask) -> Iterator[tuple[str, Mask]]:
    """Languages and dialects with at least twenty rows."""
    keys = [(row.language, f"{row.language} {row.dialect}" if row.dialect else "") for row in rows]
    counts = Counter(key for i in np.flatnonzero(members) for key in keys[i] if key)
    for name in sorted(counts):
        if counts[name] >= _MIN_ROWS:
            yield name, np.array([name in pair for pair in keys], bool)


def _auroc(evidence: Evidence, members: Mask, name: str, weights: Weights) -> Pair | None:
    figure = sample_of(evidence, members, lambda labels, r: mean_auroc(labels, r, [name]))
    return _pair(figure, weights)


def _pair(sample: Sample | None, weights: Weights, falls: bool = False) -> Pair | None:
    if sample is None or len(sample.index) < _MIN_ROWS:
        return None
    candidate = over_draws(sample.candidate, weights, sample.index)
    released = over_draws(sample.released, weights, sample.index)
    gains = released - candidate if falls else candidate - released
    low, high = np.nanquantile(gains[1:], [0.025, 0.975])
    figures = {"candidate": candidate[0], "released": released[0], "better": gains[0]}
    figures |= {"low": low, "high": high}
    rounded: Pair = {name: round(float(value), _DIGITS) for name, value in figures.items()}
    return rounded | {"rows": len(np.unique(sample.index))}


def _hidden_report(evidence: Evidence, weights: Weights) -> dict[str, Any]:
    """Share of the labels of toxic rows that are found, by the way the words are hidden."""
    labels = np.nan_to_num(evidence.labels[[h.row for h in evidence.hidden], : len(LABELS)]) == 1
    ways = np.array([h.perturbation for h in evidence.hidden])
    sides = {"candidate": evidence.candidate, "released": evidence.released}
    found = {side: _found(reading) & labels for side, reading in sides.items()}
    recall = {
        way: {
            side: round(float(hits[ways == way].sum() / labels[ways == way].sum()), _DIGITS)
            for side, hits in found.items()
        }
        for way in PERTURBATIONS
        if (ways == way).any()
    }
    return {
        "texts": len(ways),
        "auroc": _pair(hidden_words(evidence), weights),
        "recall": recall,
    }


def _found(reading: Reading) -> NDArray[np.bool_]:
    assert reading.hidden is not None
    return flagged(reading.hidden, reading.thresholds)


def _verdict(report: dict[str, Any]) -> str:
    pairs = list(_pairs(report))
    better = sum(pair["low"] > 0 for pair in pairs)
    worse = sum(pair["high"] < 0 for pair in pairs)
    return (
        f"Of {len(pairs)} figures side by side the candidate is better beyond the 95 % interval in"
        f" {better} and worse in {worse}; of so many, about {round(0.025 * len(pairs))} of each are so by"
        " chance."
    )


def _pairs(report: Any) -> Iterator[Pair]:
    if isinstance(report, dict):
        if "better" in report:
            yield report
        else:
            for value in report.values():
                yield from _pairs(value)
