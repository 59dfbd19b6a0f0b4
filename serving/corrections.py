"""Labels that a person gives to a message: read, compared with the model's, and put into its verdict.

A label that was not given is unknown, which is not the same as no.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from model.labels import LABELS, SENTIMENTS, SIGNS, THREAT_KINDS
from serving.scoring import Thresholds, balanced

YES_NO = (*LABELS, *SIGNS)
"""Labels that hold or do not."""

SENTIMENT, THREAT_KIND = "sentiment", "threat_kind"
NAMES = (*LABELS, SENTIMENT, THREAT_KIND, *SIGNS)
"""Every label that a person may give."""

Labels = dict[str, Any]
"""By name: a bool, a sentiment, or the list of the kinds of threat."""


def read_labels(raw: Mapping[str, Any]) -> Labels:
    """Checked labels in their fixed order; null is unknown. A kind of threat makes a threat.

    Raises:
        ValueError: what is wrong, in one sentence.
    """
    if unknown := sorted(set(raw) - set(NAMES)):
        raise ValueError(f"no label is called {', '.join(unknown)}: labels are {', '.join(NAMES)}")
    given = {name: _value(name, raw[name]) for name in NAMES if raw.get(name) is not None}
    if given.get(THREAT_KIND) and not given.setdefault("threat", True):
        raise ValueError('"threat_kind" names a kind, but "threat" is false')
    if not given:
        raise ValueError(f"give at least one label: {', '.join(NAMES)}")
    return {name: given[name] for name in NAMES if name in given}


def _value(name: str, value: Any) -> Any:
    if name == SENTIMENT:
        if value not in SENTIMENTS:
            raise ValueError(f'"sentiment" is one of {", ".join(SENTIMENTS)}')
        return value
    if name == THREAT_KIND:
        if not isinstance(value, list) or not all(kind in THREAT_KINDS for kind in value):
            raise ValueError(f'"threat_kind" is a list of some of {", ".join(THREAT_KINDS)}')
        return [kind for kind in THREAT_KINDS if kind in value]
    if not isinstance(value, bool):
        raise ValueError(f'"{name}" is true or false')
    return value


def labels_of(verdict: Mapping[str, Any], thresholds: Thresholds) -> Labels:
    """All labels as the model gives them; those of kinds and signs at its balanced thresholds."""

    def holds(name: str, probability: float) -> bool:
        return probability >= balanced(thresholds, name)

    sentiment, kinds = verdict["sentiment"], verdict["threat_kind"]
    threatens = "threat" in verdict["labels"]
    return {
        **{name: name in verdict["labels"] for name in LABELS},
        SENTIMENT: max(SENTIMENTS, key=lambda name: float(sentiment[name])),
        THREAT_KIND: [k for k in THREAT_KINDS if threatens and holds(k, kinds[k])],
        **{name: holds(name, verdict["signs"][name]) for name in SIGNS},
    }


def changed(labels: Labels, verdict: Mapping[str, Any], thresholds: Thresholds) -> list[str]:
    """Names of the labels that differ from the model's."""
    found = labels_of(verdict, thresholds)
    return [name for name, value in labels.items() if found[name] != value]


def settled(readings: Sequence[Labels]) -> Labels:
    """What most readers say of each label; one on which they are even is left to the model."""
    found = {}
    for name in NAMES:
        votes = Counter(_hashable(labels[name]) for labels in readings if name in labels)
        first, *others = votes.most_common(2) or [(None, 0)]
        if first[1] and not (others and others[0][1] == first[1]):
            found[name] = list(first[0]) if name == THREAT_KIND else first[0]
    if found.get(THREAT_KIND) and found.get("threat") is not True:
        del found[THREAT_KIND]
    return found


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def correct(verdict: Mapping[str, Any], labels: Labels) -> dict[str, Any]:
    """The verdict with a person's labels in place of the model's: their probabilities are 0 or 1."""
    if not labels:
        return dict(verdict)
    found: dict[str, Any] = copy.deepcopy(dict(verdict))
    for name, value in labels.items():
        if name in LABELS:
            found["scores"][name] = float(value)
        elif name in SIGNS:
            found["signs"][name] = float(value)
        elif name == SENTIMENT:
            found[SENTIMENT] = _certain(SENTIMENTS, [value])
        elif labels.get("threat") is not False:
            found[THREAT_KIND] = _certain(THREAT_KINDS, value)
    if labels.get("threat") is False:
        found[THREAT_KIND] = _certain(THREAT_KINDS, [])
    model = set(found["labels"])
    found["labels"] = [name for name in LABELS if labels.get(name, name in model)]
    return found


def _certain(names: Iterable[str], holding: Iterable[str]) -> dict[str, float]:
    return {name: float(name in holding) for name in names}
