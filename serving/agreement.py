"""How far two readers agree: raw agreement, Cohen's kappa with its interval, positive agreement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.labels import THREAT_KINDS
from serving.corrections import SENTIMENT, THREAT_KIND, YES_NO, Labels

ENOUGH_PAIRS = 30
ENOUGH_YES = 5
"""So often each reader must have seen a label, and each must have seen none."""

_Z95 = 1.959964

Pair = tuple[Labels, Labels]


@dataclass(frozen=True)
class Agreement:
    """Of one label.

    Attributes:
        pairs: messages for which two readers gave the label.
        raw: share on which they agree, 0 to 1; None without a pair.
        kappa: Cohen's kappa; None where nothing was ever told apart (it is undefined).
        low, high: its 95 % interval; None like kappa.
        positive: agreement on yes, 2a / (2a + b + c); None where nobody said yes, and for sentiment.
        enough: False where the figures rest on too little to be relied on.
        note: why not.
    """

    label: str
    pairs: int
    raw: float | None
    kappa: float | None
    low: float | None
    high: float | None
    positive: float | None
    enough: bool
    note: str = ""


def agreements(pairs: Sequence[Pair]) -> list[Agreement]:
    """Of each yes/no label, each kind of threat, and the sentiment, over the pairs where both gave it."""
    found = [_of_yes_no(name, _both(pairs, name)) for name in YES_NO]
    kinds = [pair for pair in _both(pairs, THREAT_KIND) if pair[0] or pair[1]]
    found += [_of_yes_no(kind, [(kind in a, kind in b) for a, b in kinds]) for kind in THREAT_KINDS]
    return [*found, _agreement(SENTIMENT, _both(pairs, SENTIMENT))]


def _both(pairs: Sequence[Pair], name: str) -> list[tuple[Any, Any]]:
    return [(a[name], b[name]) for a, b in pairs if name in a and name in b]


def _of_yes_no(label: str, pairs: Sequence[tuple[object, object]]) -> Agreement:
    return _agreement(label, [(bool(a), bool(b)) for a, b in pairs], yes_no=True)


def _agreement(
    label: str, pairs: Sequence[tuple[object, object]], yes_no: bool = False
) -> Agreement:
    kappa, low, high = cohen_kappa(pairs)
    raw = sum(a == b for a, b in pairs) / len(pairs) if pairs else None
    yes = sum((a is True) + (b is True) for a, b in pairs)
    both = sum(a is True and b is True for a, b in pairs)
    positive = 2 * both / yes if yes else None
    note = _note(pairs, yes_no)
    return Agreement(label, len(pairs), raw, kappa, low, high, positive, not note, note)


def _note(pairs: Sequence[tuple[object, object]], yes_no: bool) -> str:
    if len(pairs) < ENOUGH_PAIRS:
        return f"{len(pairs)} messages were read by two; {ENOUGH_PAIRS} are needed"
    if yes_no:
        for answer, word in ((True, "yes"), (False, "no")):
            fewest = min(sum(pair[reader] is answer for pair in pairs) for reader in (0, 1))
            if fewest < ENOUGH_YES:
                return f"a reader said {word} {fewest} times; {ENOUGH_YES} are needed"
    return ""


def cohen_kappa(
    pairs: Sequence[tuple[object, object]],
) -> tuple[float | None, float | None, float | None]:
    """Cohen's kappa and its 95 % interval by the large-sample variance.

    Fleiss, Cohen and Everitt, "Large sample standard errors of kappa and weighted kappa",
    Psychological Bulletin 72 (1969), formula 13. None where both always gave one and the same answer.
    """
    answers = sorted({answer for pair in pairs for answer in pair}, key=repr)
    if len(answers) < 2:
        return None, None, None
    table = np.zeros((len(answers), len(answers)))
    for first, second in pairs:
        table[answers.index(first), answers.index(second)] += 1
    share = table / len(pairs)
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    chance = float(rows @ columns)
    kappa = (float(np.trace(share)) - chance) / (1 - chance)
    weights = (columns[:, None] + rows[None, :]) ** 2 * (1 - kappa) ** 2
    np.fill_diagonal(weights, (1 - (rows + columns) * (1 - kappa)) ** 2)
    variance = float((share * weights).sum()) - (kappa - chance * (1 - kappa)) ** 2
    spread = _Z95 * math.sqrt(max(variance, 0.0) / len(pairs)) / (1 - chance)
    return kappa, max(-1.0, kappa - spread), min(1.0, kappa + spread)
