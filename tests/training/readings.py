"""Made-up rows and readings of two models, big enough for the gate."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.labels import LABELS, OUTPUTS, SENTIMENTS, YES_NO
from model.manifest import BALANCED
from tests.training import small
from training.evidence import Evidence, Menu, Reading, hidden_texts
from training.rows import Row, label_matrix, sentiment_indices

Logits = NDArray[np.float64]
MENU: Menu = {name: {BALANCED: 0.7} for name in LABELS}
_PLACES = (
    *(("ar", dialect) for dialect in ("egy", "gulf", "lev", "magh", "iraqi", "msa")),
    ("arabizi", "egy"),
    ("arabizi", "lev"),
    ("mixed", "gulf"),
    ("en", "us"),
    ("en", "uk"),
)
ROWS = 1_430
FRESH = 220


def _word(number: int, seed: int) -> str:
    """Another word for each number: near-equal texts prove nothing of sentence vectors."""
    return "".join(
        chr(97 + int(digit) + 10 * (i % 2)) for i, digit in enumerate(f"{seed}{number:04}")
    )


def rows_of(count: int, seed: int, **fields: str) -> list[Row]:
    """Pairs of one situation; each label on about a quarter of the rows."""
    chance = np.random.default_rng(seed)
    made = []
    for i in range(count):
        language, dialect = _PLACES[i // 2 % len(_PLACES)]
        holds = [name for name in YES_NO if chance.random() < 0.25]
        made.append(
            small.row(
                _word(i, seed),
                *holds,
                sentiment=SENTIMENTS[chance.integers(3)],
                language=language,
                dialect=dialect,
                group=f"{seed}-{i // 2}",
                **fields,
            )
        )
    return made


def logits_of(rows: list[Row], seed: int = 0) -> Logits:
    """Logits that are right for most rows and calibrated roughly."""
    chance = np.random.default_rng(seed)
    truth = np.zeros((len(rows), len(OUTPUTS)))
    truth[:, : len(YES_NO)] = label_matrix(rows)
    truth[np.arange(len(rows)), len(YES_NO) + sentiment_indices(rows)] = 1
    return 5.0 * truth - 3.5 + 1.8 * chance.normal(size=truth.shape)


def probabilities_of(logits: Logits) -> NDArray[np.float32]:
    powers = np.exp(logits[:, len(YES_NO) :])
    plain = 1 / (1 + np.exp(-logits[:, : len(YES_NO)]))
    return np.column_stack([plain, powers / powers.sum(1, keepdims=True)]).astype(np.float32)


def vectors_of(rows: list[Row], noise: float) -> NDArray[np.float32]:
    chance = np.random.default_rng(3)
    centres = chance.normal(size=(len(rows), 16))
    vectors = centres[[i - i % 2 for i in range(len(rows))]] + noise * chance.normal(
        size=centres.shape
    )
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@functools.cache
def copies() -> Evidence:
    """A model beside its own copy, with everything measured."""
    rows, fresh = rows_of(ROWS, 1), rows_of(FRESH, 2)
    rows += rows_of(200, 4, source="customers_relabelled")
    hidden = hidden_texts(rows)
    probabilities = probabilities_of(logits_of(rows))
    reading = Reading(
        "1.0",
        MENU,
        probabilities,
        probabilities_of(logits_of(fresh)),
        vectors_of(rows, 0.5),
        probabilities[[text.row for text in hidden]],
        40.0,
    )
    return Evidence(rows, fresh, replace(reading, model="1.1"), reading, hidden, 1.0, 0.0)


def changed(
    change: Callable[[Logits], Logits],
    part: str = "probabilities",
    evidence: Evidence | None = None,
) -> Evidence:
    """The evidence with the candidate's logits of a part changed."""
    evidence = evidence or copies()
    before = getattr(evidence.candidate, part)
    logs = np.log(np.clip(before, 1e-6, 1))
    logits = logs.astype(float)
    logits[:, : len(YES_NO)] -= np.log(np.clip(1 - before[:, : len(YES_NO)], 1e-6, 1))
    made: dict[str, Any] = {part: probabilities_of(change(logits))}
    candidate = replace(evidence.candidate, **made)
    return replace(evidence, candidate=candidate)


def better_on_fresh(evidence: Evidence | None = None, by: float = 1.0) -> Evidence:
    evidence = evidence or copies()
    towards = np.zeros((len(evidence.fresh), len(OUTPUTS)))
    towards[:, : len(YES_NO)] = by * (2 * label_matrix(evidence.fresh) - 1)
    return changed(lambda logits: logits + towards, "fresh", evidence)
