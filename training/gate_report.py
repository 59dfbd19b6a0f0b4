"""The gate's faces: gate.json, comparison.json and report.md, whose first lines say what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model import Classifier
from model.labels import LABELS
from training.compare import PARTS, comparison
from training.evidence import gather
from training.gate import RISK, Gate, decide
from training.gate_checks import MARGIN, Rule
from training.outcome import Outcome
from training.report import table
from training.rows import Row

GATE, COMPARISON, REPORT = "gate.json", "comparison.json", "report.md"
_TITLES = {
    "written": "Written test messages",
    "reviews": "Real reviews and tweets of the test",
    "comments": "Real threat candidates and comments of the test",
    "fresh": "The new data held out",
}
_PLURALS = {
    "abuse": "abusive ones",
    "threat": "threats",
    "accusation": "accusations",
    "fair": "fair complaints",
}
_RULES = {
    Rule.NON_INFERIOR: f"at most {100 * MARGIN:g} point worse",
    Rule.NOT_WORSE: "not shown to be worse",
    Rule.LIMIT: "at most",
    Rule.BETTER: "better",
}


def judge(
    candidate: Path,
    released: Path,
    rows: list[Row],
    fresh: list[Row],
    suspicious_share: float | None = None,
) -> Gate:
    """Compare two model folders, decide, and write the three files into the candidate's folder.

    `rows` are the frozen test rows, `fresh` the new data held out; `suspicious_share` (0 to 1) is of
    the labels that the candidate was trained on.
    """
    evidence = gather(
        Classifier.load(candidate),
        Classifier.load(released),
        rows,
        fresh,
        folders=(candidate, released),
        suspicious_share=suspicious_share,
    )
    gate = decide(evidence)
    write_gate(candidate, gate, comparison(evidence))
    return gate


def write_gate(folder: Path, gate: Gate, report: dict[str, Any]) -> None:
    """Write `gate.json`, `comparison.json` and `report.md` into `folder`."""
    for name, content in ((GATE, gate.as_dict()), (COMPARISON, report)):
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")
    (folder / REPORT).write_text(to_markdown(gate, report), encoding="utf-8")


def plain_verdict(gate: Gate) -> list[str]:
    """What came of it, for a reader who knows no statistics; one line a reason."""
    if gate.passed:
        return [
            f"**Passed.** `{gate.candidate}` may take the place of `{gate.released}`. No check failed, and it"
            " is better beyond noise in:",
            "",
            *(f"- {outcome.told}" for outcome in gate.improvements),
        ]
    if gate.failures:
        return [
            f"**Refused: not promoted.** `{gate.candidate}` does not replace `{gate.released}`, because:",
            "",
            *(f"- {outcome.told}" for outcome in gate.failures),
        ]
    return [
        f"**Refused: nothing is better.** `{gate.candidate}` is as good as `{gate.released}` wherever it was"
        " checked, but nothing is better beyond noise, so there is no reason to change; not promoted.",
        "",
        *(f"- {outcome.told}" for outcome in gate.better),
    ]


def to_markdown(gate: Gate, report: dict[str, Any]) -> str:
    lines = [
        f"# `{gate.candidate}` beside `{gate.released}`",
        "",
        *plain_verdict(gate),
        "",
        *_at_thresholds(report),
        "## The gate",
        "",
        f"Written by the program (seed {gate.seed}, {gate.resamples:,} draws of whole situations); how to read"
        " it: docs/gate.md. *Better by* is how much better the candidate is, below 0 worse; its bounds are"
        f" one-sided at {1 - RISK:.0%}, corrected for the number of checks of the same rule.",
        "",
        *_gate_table(gate.checks),
        "",
        "Something better:",
        "",
        *_gate_table(gate.better),
        "",
        "## Side by side",
        "",
        "Intervals here are 95 %, two-sided, each for itself. Nothing is decided by them."
        f" {report['verdict']} A point is a hundredth; AUROC is how often a message with the label is ranked above"
        " one without.",
    ]
    for key in PARTS:
        if key in report:
            lines += ["", f"### {_TITLES[key]}", "", *_part_lines(report[key])]
    if "hidden_words" in report:
        lines += ["", "### Hidden words", "", *_hidden_lines(report["hidden_words"])]
    return "\n".join([*lines, "", "### Vectors, speed, size", "", *_rest_lines(report)]) + "\n"


def _at_thresholds(report: dict[str, Any]) -> list[str]:
    """What a support lead notices: what each model finds and flags at its own thresholds."""
    if "written" not in report:
        return []
    part, labels = report["written"], report["written"]["labels"]
    pairs = {name: labels[name]["recall"] for name in LABELS} | {"fair": part["false_alarms"]}
    found = ", ".join(
        f"{_shares(pair)} of the {_PLURALS[name]}" for name, pair in pairs.items() if pair
    )
    return (
        [f"On the written test messages, at its own thresholds, it flags {found}.", ""]
        if found
        else []
    )


def _shares(pair: dict[str, float]) -> str:
    return f"{pair['candidate']:.1%} (now {pair['released']:.1%})"


def _gate_table(outcomes: tuple[Outcome, ...]) -> list[str]:
    head = (
        "check",
        "what",
        "rows",
        "candidate",
        "released",
        "better by",
        "bounds",
        "rule",
        "result",
    )
    return table(head, (_gate_row(outcome) for outcome in outcomes))


def _gate_row(outcome: Outcome) -> tuple[Any, ...]:
    rule = _RULES[Rule(outcome.rule)] + (
        f" {outcome.margin:g}" if outcome.rule == Rule.LIMIT else ""
    )
    if not outcome.checked:
        result = f"**refused**: {outcome.unchecked}" if outcome.must else outcome.unchecked
        return (outcome.name, outcome.metric, outcome.rows, *("–",) * 4, rule, result)
    bounds = "–" if outcome.low is None else f"{outcome.low:+.4f} to {outcome.high:+.4f}"
    failed = "no" if outcome.rule == Rule.BETTER else "**refused**"
    return (
        outcome.name,
        outcome.metric,
        outcome.rows or "–",
        *(_number(v, ".4f") for v in (outcome.candidate, outcome.released)),
        _number(outcome.difference, "+.4f"),
        bounds,
        rule,
        "yes" if outcome.passed else failed,
    )


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _part_lines(part: dict[str, Any]) -> list[str]:
    figures = (
        ("macro-F1 of the three labels", part["macro_f1"]),
        ("false alarms on fair messages", part["false_alarms"]),
        ("log loss of the three labels", part["log_loss"]),
        ("mean AUROC of the sentiments", part["sentiment"]),
    )
    labels = (
        (f"{name}: {figure}", pair)
        for name, pairs in part["labels"].items()
        for figure, pair in pairs.items()
    )
    return [
        f"{part['rows']:,} rows, {part['fair_rows']:,} of them fair.",
        "",
        *_pair_table("figure", (*figures, *labels)),
        "",
        *table(
            ("language, dialect", "rows", "abuse AUROC", "threat AUROC", "accusation AUROC", "false alarms"),
            (
                (key, group["rows"], *(_short(group[n]) for n in ("abuse", "threat", "accusation", "false_alarms")))
                for key, group in part["groups"].items()
            ),
        ),
    ]  # fmt: skip


def _pair_table(title: str, pairs: Iterator[Any] | tuple[Any, ...]) -> list[str]:
    head = (title, "rows", "candidate", "released", "better by (95 %)")
    rows = (
        (name, p["rows"], f"{p['candidate']:.3f}", f"{p['released']:.3f}", _better(p))
        for name, p in pairs
        if p
    )
    return table(head, rows)


def _better(pair: dict[str, float]) -> str:
    beyond = pair["low"] > 0 or pair["high"] < 0
    text = f"{pair['better']:+.3f} ({pair['low']:+.3f} to {pair['high']:+.3f})"
    return f"**{text}**" if beyond else text


def _short(pair: dict[str, float] | None) -> str:
    return f"{pair['candidate']:.3f}: {_better(pair)}" if pair else "–"


def _hidden_lines(hidden: dict[str, Any]) -> list[str]:
    recall = hidden["recall"].items()
    return [
        f"{hidden['texts']:,} toxic texts, about half of their words hidden; labels found at own thresholds.",
        "",
        *_pair_table("figure", (("mean AUROC of the three labels", hidden["auroc"]),)),
        "",
        *table(
            ("words hidden by", "candidate", "released"),
            (
                (way, *(f"{sides[s]:.1%}" for s in ("candidate", "released")))
                for way, sides in recall
            ),
        ),
    ]


def _rest_lines(report: dict[str, Any]) -> list[str]:
    pairs = (
        ("sentence vectors, same complaint: AUROC", report.get("same_complaint", {}).get("auroc")),
    )
    ratio, sizes = report["speed_ratio"], report["megabytes"]
    return [
        *_pair_table("figure", pairs),
        "",
        f"Processor time for that of the released model: {_number(ratio, '.2f')} times. Size:"
        f" {_number(sizes['candidate'], '.1f')} MB, released {_number(sizes['released'], '.1f')} MB.",
    ]
