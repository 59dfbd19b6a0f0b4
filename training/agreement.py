"""The tables of the data card: how far two blind readings agree, and what the messages are.

    python -m training.agreement            # rewrites the tables of datasets/README.md

Only what stands between the card's marker comments is replaced. The readings are codes such as
`neg A Trep`: a sentiment, then the labels and signs that hold. Who of two readers is right, this
module does not know: the labels in `datasets/messages` are what the third reading settled.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from sklearn.metrics import cohen_kappa_score

from model.labels import LABELS, SENTIMENTS, SIGNS, THREAT_KINDS, YES_NO
from training.own import DATASETS, load_written
from training.report import replace_tables, table
from training.rows import Row

_CARD = "README.md"
_SPLITS = ("train", "dev", "test")
_SENTIMENTS = dict(zip(("neg", "neu", "pos"), SENTIMENTS, strict=True))
_KINDS = dict(zip(("Tphys", "Tdata", "Tjob", "Trep"), THREAT_KINDS, strict=True))
_SIGNS = dict(zip(("off", "scope", "refund", "esc", "leave", "distress"), SIGNS, strict=True))
_CODES = {"A": "abuse", "C": "accusation"} | _KINDS | _SIGNS


@dataclass(frozen=True)
class Reading:
    """What one reader saw in a message: a sentiment and the labels, kinds and signs that hold."""

    sentiment: str
    labels: frozenset[str]


def parse_reading(code: str) -> Reading:
    """Read a code such as `neg A Trep`.

    Raises:
        ValueError: it has no sentiment first, or an unknown word.
    """
    sentiment, *words = code.split() or [""]
    if sentiment not in _SENTIMENTS or not _CODES.keys() >= set(words):
        raise ValueError(f"{code!r} is not a reading, such as 'neg A Trep'")
    labels = {_CODES[word] for word in words}
    threat = {"threat"} if labels & set(THREAT_KINDS) else set()
    return Reading(_SENTIMENTS[sentiment], frozenset(labels | threat))


def load_readings(folder: Path = DATASETS) -> dict[str, tuple[Reading, Reading]]:
    """The first and the second reading by the message's id."""
    lines = (folder / "readings.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return {r["id"]: (parse_reading(r["first"]), parse_reading(r["second"])) for r in records}


def settled(row: Row) -> Reading:
    """What the message's final labels say, as a reading."""
    return Reading(
        row.sentiment or "", frozenset(name for name, holds in row.labels.items() if holds)
    )


def cohen_kappa(first: Sequence[object], second: Sequence[object]) -> float | None:
    """Cohen's kappa of two readings; None where nothing was ever told apart (it is undefined)."""
    if len({*first, *second}) < 2:
        return None
    classes = {value: number for number, value in enumerate({*first, *second})}
    return float(
        cohen_kappa_score([classes[value] for value in first], [classes[value] for value in second])
    )


def agreement_lines(rows: Sequence[Row], readings: dict[str, tuple[Reading, Reading]]) -> list[str]:
    """Per label: how often each reading and the settled label hold, agreement and kappa.

    Raises:
        ValueError: a row has no readings.
    """
    if missing := [row.id for row in rows if row.id not in readings]:
        raise ValueError(f"{len(missing)} messages have no readings: {', '.join(missing[:5])}")
    pairs = [readings[row.id] for row in rows]
    final = [settled(row) for row in rows]
    different = [
        (pair, last) for pair, last in zip(pairs, final, strict=True) if pair[0] != pair[1]
    ]
    outcome = Counter(_outcome(pair, last) for pair, last in different)
    body = [_label_line(name, _holds(name), pairs, final) for name in YES_NO]
    body.append(_sentiment_line(pairs))
    head = ("output", "first reading", "second reading", "settled", "agreement", "Cohen's kappa")
    return [
        f"{len(rows):,} messages; the two readings differ in at least one label, sign or the sentiment on"
        f" {len(different):,} of them ({len(different) / max(1, len(rows)):.1%}). The third reading"
        f" settled {outcome['first']:,} of these for the first, {outcome['second']:,} for the second and"
        f" {outcome['neither']:,} otherwise.",
        "",
        *table(head, body),
    ]


def _holds(name: str) -> Callable[[Reading], bool]:
    return lambda reading: name in reading.labels


def _outcome(pair: tuple[Reading, Reading], final: Reading) -> str:
    return "first" if pair[0] == final else "second" if pair[1] == final else "neither"


def _label_line(
    name: str,
    holds: Callable[[Reading], bool],
    pairs: Sequence[tuple[Reading, Reading]],
    final: Sequence[Reading],
) -> tuple[str, ...]:
    first = [holds(pair[0]) for pair in pairs]
    second = [holds(pair[1]) for pair in pairs]
    counts = (f"{sum(part):,}" for part in (first, second, [holds(last) for last in final]))
    return (name, *counts, *_agreement(first, second))


def _sentiment_line(pairs: Sequence[tuple[Reading, Reading]]) -> tuple[str, ...]:
    first, second = ([pair[i].sentiment for pair in pairs] for i in (0, 1))
    return ("sentiment (three classes)", "", "", "", *_agreement(first, second))


def _agreement(first: Sequence[object], second: Sequence[object]) -> tuple[str, str]:
    equal = sum(a == b for a, b in zip(first, second, strict=True)) / max(1, len(first))
    kappa = cohen_kappa(first, second)
    return f"{equal:.1%}", "–" if kappa is None else f"{kappa:.3f}"


def composition_lines(rows: Sequence[Row]) -> list[str]:
    """Rows by language, dialect, label, sign and sentiment, and split."""
    situations = len({row.group for row in rows})
    lines = [f"{len(rows):,} messages of {situations:,} situations."]
    for title, names, belongs in _GROUPINGS:
        body = [
            _split_line(name, [r for r in rows if belongs(r, name)], rows) for name in names(rows)
        ]
        lines += ["", *table((title, *_SPLITS, "all", "share"), body)]
    return lines


def _labels_of(row: Row, name: str) -> bool:
    return row.is_fair if name == _FAIR else bool(row.labels[name])


def _languages(rows: Iterable[Row]) -> list[str]:
    return sorted({row.language for row in rows})


def _dialects(rows: Iterable[Row]) -> list[str]:
    return sorted({f"{row.language} {row.dialect}" for row in rows})


_FAIR = "none of the three (fair)"
_Grouping = tuple[str, Callable[[Iterable[Row]], Sequence[str]], Callable[[Row, str], bool]]
_GROUPINGS: tuple[_Grouping, ...] = (
    ("language", _languages, lambda row, name: row.language == name),
    ("language, dialect", _dialects, lambda row, name: f"{row.language} {row.dialect}" == name),
    ("label", lambda _: (*LABELS, _FAIR), _labels_of),
    ("kind of threat", lambda _: THREAT_KINDS, _labels_of),
    ("sign", lambda _: SIGNS, _labels_of),
    ("sentiment", lambda _: SENTIMENTS, lambda row, name: row.sentiment == name),
)


def _split_line(name: str, members: Sequence[Row], rows: Sequence[Row]) -> tuple[str, ...]:
    by_split = Counter(row.split for row in members)
    counts = (f"{by_split[split]:,}" for split in _SPLITS)
    return (name, *counts, f"{len(members):,}", f"{len(members) / max(1, len(rows)):.1%}")


def real_label_lines(folder: Path) -> list[str]:
    """How many texts of each public corpus have labels of this project."""
    path = folder / "real_labels.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines]
    texts = Counter(record["corpus"] for record in records)
    unsure = Counter(record["corpus"] for record in records if record["unsure"])
    body = [(name, f"{count:,}", f"{unsure[name]:,}") for name, count in sorted(texts.items())]
    body.append(("all", f"{len(records):,}", f"{unsure.total():,}"))
    return table(("corpus", "texts", "of these unsure"), body)


def render_card(folder: Path = DATASETS) -> str:
    """The card of `folder` with its tables as the data now says."""
    rows = load_written(folder)
    tables = {
        "composition": composition_lines(rows),
        "agreement": agreement_lines(rows, load_readings(folder)),
        "real labels": real_label_lines(folder),
    }
    return replace_tables((folder / _CARD).read_text(encoding="utf-8"), tables)


@click.command()
@click.option(
    "--datasets",
    type=click.Path(path_type=Path, exists=True),
    default=DATASETS,
    help="Folder of our own labelled messages.",
)
def main(datasets: Path) -> None:
    """Rewrite the tables of the data card, README.md of the folder."""
    (datasets / _CARD).write_text(render_card(datasets), encoding="utf-8")


if __name__ == "__main__":
    main()
