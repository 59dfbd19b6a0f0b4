"""Which messages are most worth a person's minute, and why: reasons with a worth of 0 to 1 each."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.labels import LABELS
from serving.corrections import Labels, labels_of
from serving.scoring import Thresholds, balanced

STAKES, CONTRADICTION, UNSURE, NOVEL = "high_stakes", "contradiction", "unsure", "new_language"
SECOND_READING = "second_reading"
MIXED = (STAKES, CONTRADICTION, UNSURE, NOVEL)
"""Reasons that take turns. Second readings have a share of their own."""

NEAR_EQUAL = 0.9
"""Cosine of sentence vectors from which two messages say the same."""

_FAR = 0.6
"""A message that is like no other by at least this cosine speaks in a new way."""

_FEWEST = 50
"""Among fewer messages nothing is called new."""

_DOUBT = 0.7
_GRAVE = 0.3
_GRAVE_KINDS = ("physical", "private_data")
_ROWS = 512
"""Messages that are compared with all others at once."""


@dataclass(frozen=True)
class Candidate:
    """A judged message of the window; `vector` is a packed sentence vector."""

    seq: int
    model: str
    verdict: Mapping[str, Any]
    vector: bytes


@dataclass(frozen=True)
class Corrected:
    """A correction of a stored message, which the model judged as `model` and placed at `vector`."""

    id: int
    reviewer: str
    labels: Labels
    model: str
    vector: bytes


@dataclass(frozen=True)
class Reason:
    """Why a message is worth reading; `details` say more, as JSON."""

    reason: str
    worth: float
    details: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"reason": self.reason, "worth": round(self.worth, 3)} | self.details


Reasons = dict[int, list[Reason]]
"""By the message's number."""


def unsure(candidates: Iterable[Candidate], thresholds: Thresholds) -> Iterator[tuple[int, Reason]]:
    """The model says itself that it is unsure, or a probability is near its threshold."""
    for candidate in candidates:
        scores = candidate.verdict["scores"]
        doubts = {name: _doubt(scores[name], name, thresholds) for name in LABELS}
        label = max(LABELS, key=lambda name: doubts[name])
        if candidate.verdict["needs_review"] or doubts[label] >= _DOUBT:
            details = {"label": label, "probability": scores[label]}
            yield candidate.seq, Reason(UNSURE, doubts[label], details)


def _doubt(probability: float, label: str, thresholds: Thresholds) -> float:
    """1 at the threshold, 0 at no and at yes."""
    threshold = balanced(thresholds, label)
    yes, no = probability / max(threshold, 1e-9), (1 - probability) / max(1 - threshold, 1e-9)
    return max(0.0, min(1.0, yes, no))


def contradictions(
    candidates: Sequence[Candidate], corrected: Sequence[Corrected], thresholds: Thresholds
) -> Iterator[tuple[int, Reason]]:
    """The model says of a message the opposite of what a person said of one that says the same.

    Only vectors of one model are compared: each has its own space.
    """
    for model in {one.model for one in corrected}:
        mine = [one for one in candidates if one.model == model]
        theirs = [one for one in corrected if one.model == model]
        if not mine:
            continue
        likeness = _unit(mine) @ _unit(theirs).T
        for row, column in zip(*np.nonzero(likeness >= NEAR_EQUAL), strict=True):
            said, found = theirs[column], labels_of(mine[row].verdict, thresholds)
            wrong = [name for name in LABELS if said.labels.get(name, found[name]) != found[name]]
            if wrong:
                details = {"labels": wrong, "feedback_id": said.id, "reviewer": said.reviewer}
                worth = float(min(1.0, likeness[row, column]))
                yield mine[row].seq, Reason(CONTRADICTION, worth, details)


def novel(candidates: Sequence[Candidate]) -> Iterator[tuple[int, Reason]]:
    """A message in words of a language that is like no other of the window."""
    by_model: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_model[candidate.model].append(candidate)
    for those in by_model.values():
        if len(those) < _FEWEST:
            continue
        for candidate, nearest in zip(those, _nearest(_unit(those)), strict=True):
            if nearest < _FAR and candidate.verdict["language"] != "other":
                yield candidate.seq, Reason(NOVEL, 1 - max(0.0, float(nearest)))


def _nearest(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each vector the cosine with the nearest other one."""
    found = []
    for start in range(0, len(vectors), _ROWS):
        some = vectors[start : start + _ROWS] @ vectors.T
        some[np.arange(len(some)), np.arange(start, start + len(some))] = -1
        found.append(some.max(axis=1))
    return np.concatenate(found)


def _unit(those: Sequence[Candidate | Corrected]) -> NDArray[np.float32]:
    packed = b"".join(one.vector for one in those)
    vectors = np.frombuffer(packed, np.int8).reshape(len(those), -1).astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)


def threats(candidates: Iterable[Candidate]) -> Iterator[tuple[int, Reason]]:
    """A threat against a person or with private data, even a doubtful one."""
    for candidate in candidates:
        kinds = candidate.verdict["threat_kind"]
        grave = candidate.verdict["scores"]["threat"] * max(kinds[kind] for kind in _GRAVE_KINDS)
        if grave >= _GRAVE:
            yield candidate.seq, Reason(STAKES, grave, {"grave_threat": round(grave, 3)})


def gather(*found: Iterable[tuple[int, Reason]]) -> Reasons:
    """The reasons of each message in the order of `MIXED`, of each kind the worthiest."""
    best: dict[int, dict[str, Reason]] = defaultdict(dict)
    for reasons in found:
        for seq, reason in reasons:
            known = best[seq].get(reason.reason)
            if known is None or known.worth < reason.worth:
                best[seq][reason.reason] = reason
    return {seq: [those[kind] for kind in MIXED if kind in those] for seq, those in best.items()}


def mixed(reasons: Reasons) -> Iterator[int]:
    """Each message once: the kinds of reason take turns, and each gives its worthiest message left;
    of equals the newest.
    """
    queues = [
        [seq for _, seq in sorted(_worths(reasons, kind), reverse=True)][::-1] for kind in MIXED
    ]
    given: set[int] = set()
    while any(queues):
        for queue in queues:
            while queue:
                seq = queue.pop()
                if seq not in given:
                    given.add(seq)
                    yield seq
                    break


def _worths(reasons: Reasons, kind: str) -> Iterator[tuple[float, int]]:
    for seq, those in reasons.items():
        for reason in those:
            if reason.reason == kind:
                yield reason.worth, seq


def with_second_readings(
    first: Iterable[int], second: Iterable[int], done: int, share: float
) -> Iterator[int]:
    """The messages of `first`, so many of `second` among them as the share asks; `done` were read
    before. Where one of both runs out, the other goes on.
    """
    ones, twos = iter(first), iter(second)
    while True:
        done += 1
        is_second = int(done * share) > int((done - 1) * share)
        seq = next(twos, None) if is_second else next(ones, None)
        if seq is None:
            seq = next(ones, None) if is_second else next(twos, None) if share else None
        if seq is None:
            return
        yield seq


def dump(reasons: Sequence[Reason]) -> str:
    return json.dumps([reason.as_dict() for reason in reasons])
