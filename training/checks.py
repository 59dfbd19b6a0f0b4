"""What is to be known of a labelled file before a model is trained on it; line by line where it can be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model import Classifier
from model.labels import LABELS, SIGNS
from training.data import Data
from training.labelled import Labelled
from training.linked import linked
from training.mixture import shingles, text_key
from training.rows import Row, label_matrix
from training.suspicious import Suspicions, find_suspicious
from training.vocabulary import unknown_share

MIN_ROWS = 50
"""Fewer rows are not trained on."""

JUDGED_ROWS = 200
"""From so many rows on, enough can be held out to judge the model on them."""

_MIN_CLASS = 5
_MOST_UNREAD = 0.2
_MOST_UNKNOWN_PIECES = 0.05
_MOST_SUSPICIOUS = 0.2
_TEXT = 80


@dataclass(frozen=True)
class Remark:
    """Something about a row.

    Attributes:
        places: the lines that it is about.
        text: the beginning of theirs, 80 characters.
        message: what is the matter, and what was done or is to be done.
    """

    places: list[str]
    text: str
    message: str


@dataclass(frozen=True)
class Checks:
    """The outcome.

    Attributes:
        errors: why nothing can be trained on this; empty when it can.
        notes: what is worth knowing.
        labels: by label, how many rows tell it and how many say yes.
        languages: rows by language.
        unknown_pieces: share of the texts' pieces that the model does not know.
        unread: lines left out, each with its reason.
        held_out: rows left out because the model is measured on their text.
        conflicts: equal texts with different labels.
        duplicates: equal and nearly equal texts.
        suspicions: labels that look wrong.
        kept: numbers of the rows that may train.
    """

    errors: list[str]
    notes: list[str]
    labels: dict[str, dict[str, int]]
    languages: dict[str, int]
    unknown_pieces: float
    unread: list[str]
    unread_columns: list[str]
    held_out: list[Remark]
    conflicts: list[Remark]
    duplicates: list[Remark]
    suspicions: list[dict[str, Any]]
    suspicious_share: float
    kept: list[int]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check(labelled: Labelled, data: Data, classifier: Classifier) -> Checks:
    """All checks of a file's rows against each other, against `data`, and against the model."""
    rows = labelled.rows
    leaks = _leaks(labelled, data.dev + data.test)
    left_out = {place for remark in leaks for place in remark.places}
    kept = [i for i, place in enumerate(labelled.places) if place not in left_out]
    labels = _label_counts([rows[i] for i in kept])
    errors = [*_too_few(len(kept), len(labelled.problems)), *_one_class(labels, len(kept))]
    suspicions = find_suspicious(rows, classifier) if not errors else Suspicions([], {})
    unknown = unknown_share(classifier.tokenizer, [row.text for row in rows])
    return Checks(
        errors=errors,
        notes=[
            *_label_notes(labels),
            *_text_notes(len(kept), unknown),
            *_suspicion_notes(suspicions),
        ],
        labels=labels,
        languages=dict(Counter(row.language for row in rows).most_common()),
        unknown_pieces=round(unknown, 5),
        unread=[str(problem) for problem in labelled.problems],
        unread_columns=labelled.unread,
        held_out=leaks,
        conflicts=[*_conflicts_inside(labelled), *_conflicts_outside(labelled, data.train)],
        duplicates=[*_equal(labelled), *_alike(labelled)],
        suspicions=[{"place": labelled.places[s.row], **s.as_dict()} for s in suspicions.found],
        suspicious_share=round(suspicions.share, 4),
        kept=kept,
    )


def _label_counts(rows: list[Row]) -> dict[str, dict[str, int]]:
    matrix = label_matrix(rows)
    known = (~np.isnan(matrix)).sum(0)
    yes = np.nansum(matrix, axis=0)
    names = (*LABELS, *(name for name in SIGNS))
    columns = [*range(len(LABELS)), *range(matrix.shape[1] - len(SIGNS), matrix.shape[1])]
    return {
        name: {"rows": int(known[column]), "yes": int(yes[column])}
        for name, column in zip(names, columns, strict=True)
        if known[column]
    }


def _too_few(rows: int, problems: int) -> Iterable[str]:
    if problems > _MOST_UNREAD * (rows + problems):
        yield (
            f"{problems} of {rows + problems} lines cannot be read: correct them first"
            " (each is listed)"
        )
    if rows < MIN_ROWS:
        yield (
            f"{rows} rows are too few to train on: at least {MIN_ROWS} are needed, and"
            f" {JUDGED_ROWS} for the new model to be judged on some of them"
        )


def _one_class(labels: dict[str, dict[str, int]], rows: int) -> Iterable[str]:
    """An error unless one of the three labels is told both ways often enough."""
    if not rows:
        return
    told = {name: labels[name] for name in LABELS if name in labels}
    if not told:
        yield f"none of the three labels is told: add a column {', '.join(LABELS)}"
    elif all(_smaller_class(count) < _MIN_CLASS for count in told.values()):
        counts = ", ".join(f"{n}: {c['yes']} yes of {c['rows']}" for n, c in told.items())
        yield (
            f"all rows, or nearly all, have one class ({counts}): a model learns from both, so add"
            f" rows of the other (at least {_MIN_CLASS}; verdicts that were right count too)"
        )


def _smaller_class(count: dict[str, int]) -> int:
    return min(count["yes"], count["rows"] - count["yes"])


def _label_notes(labels: dict[str, dict[str, int]]) -> Iterable[str]:
    for name in LABELS:
        if name not in labels:
            yield f"{name} is told by no row: the model keeps what it knows of it"
        elif _smaller_class(labels[name]) < _MIN_CLASS:
            count = labels[name]
            yield (
                f"{name}: {count['yes']} yes of {count['rows']}; fewer than {_MIN_CLASS} of a class"
                " teach little and cannot be judged"
            )


def _text_notes(rows: int, unknown: float) -> Iterable[str]:
    if MIN_ROWS <= rows < JUDGED_ROWS:
        yield (
            f"{rows} rows are too few to judge the new model on them: the gate needs 100 held out,"
            f" which {JUDGED_ROWS} rows give"
        )
    if unknown > _MOST_UNKNOWN_PIECES:
        yield (
            f"{unknown:.1%} of the texts' pieces are unknown to the model: it was made for Arabic,"
            " Arabizi and English, and judges other scripts badly"
        )


def _suspicion_notes(suspicions: Suspicions) -> Iterable[str]:
    for name, share in suspicions.shares.items():
        if share > _MOST_SUSPICIOUS:
            yield (
                f"{share:.0%} of the labels of {name} look wrong: go through those listed; a model"
                " trained on them as they are will be refused"
            )


def _begin(text: str) -> str:
    return " ".join(text.split())[:_TEXT]


def _leaks(labelled: Labelled, measured: Sequence[Row]) -> list[Remark]:
    """Rows whose text, or eight words in a row of it, is in a split that models are measured on."""
    keys = {text_key(row.text) for row in measured}
    runs = {run for key in keys for run in shingles(key)}
    found = []
    for row, place in zip(labelled.rows, labelled.places, strict=True):
        key = text_key(row.text)
        if key in keys or not runs.isdisjoint(shingles(key)):
            message = "is among the texts that models are measured on: left out"
            found.append(Remark([place], _begin(row.text), message))
    return found


def _by_key(labelled: Labelled) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(labelled.rows):
        groups[text_key(row.text)].append(i)
    return groups


def _equal(labelled: Labelled) -> Iterable[Remark]:
    for members in _by_key(labelled).values():
        if len(members) > 1:
            yield _about(labelled, members, "are equal texts: they count once")


def _alike(labelled: Labelled) -> Iterable[Remark]:
    """Texts that are not equal but share eight words in a row, directly or over others."""
    groups = _by_key(labelled)
    numbers = linked([set(shingles(key)) for key in groups])
    alike: dict[int, list[int]] = defaultdict(list)
    for number, members in zip(numbers, groups.values(), strict=True):
        alike[int(number)].append(members[0])
    for members in alike.values():
        if len(members) > 1:
            message = "share eight words in a row: they stay on one side of the split"
            yield _about(labelled, members, message)


def _conflicts_inside(labelled: Labelled) -> Iterable[Remark]:
    for members in _by_key(labelled).values():
        rows = [labelled.rows[i] for i in members]
        if names := _differing(rows):
            message = (
                f"are equal texts that differ in {', '.join(names)}: it is not trained on there"
            )
            yield _about(labelled, members, message)


def _conflicts_outside(labelled: Labelled, known: Iterable[Row]) -> Iterable[Remark]:
    by_key = {text_key(row.text): row for row in known}
    for row, place in zip(labelled.rows, labelled.places, strict=True):
        other = by_key.get(text_key(row.text))
        if other and (names := _differing([row, other])):
            message = f"is known with another label for {', '.join(names)}: the file's is used"
            yield Remark([place], _begin(row.text), message)


def _differing(rows: Sequence[Row]) -> list[str]:
    """Labels that two of the rows tell differently."""
    values: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        for name in (*LABELS, *SIGNS):
            if name in row.labels:
                values[name].add(row.labels[name])
    return [name for name, seen in values.items() if len(seen) > 1]


def _about(labelled: Labelled, members: Sequence[int], message: str) -> Remark:
    places = [labelled.places[i] for i in members]
    return Remark(places, _begin(labelled.rows[members[0]].text), message)
