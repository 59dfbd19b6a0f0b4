"""A customer's line in the customers file: counts, and what the index says as of one instant."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from model.labels import LABELS
from serving.index.events import Incoming
from serving.index.ladder import Money, suggest
from serving.index.reading import HURT, Reading
from serving.index.settings import IndexSettings
from serving.index.signs import SIGNS
from serving.times import maybe_wire_time

COLUMNS: dict[str, type] = {
    **dict.fromkeys(("customer_id", "name"), str),
    **dict.fromkeys(("messages", "messages_in", "messages_out", *LABELS, "needs_review"), int),
    **dict.fromkeys(("first_at", "last_at"), str),
    **dict.fromkeys(("index", "index_low", "index_high", "pain"), float),
    "pain_reasons": list,
    "quadrant": str,
    **dict.fromkeys((*SIGNS, "prepare_separation"), bool),
    "step": str,
    "evidence": list,
    "language": str,
    "understood_customer": str,
}
"""Columns of the customers file, in order, with their types (the lists are of strings). `customer_id` is
as the archive first writes it, `understood_customer` the one way to write it, `name` the last that is
known. Labels are numbers of messages that have them, `pain_reasons` what the company did, the worst first,
`evidence` the ids of those that weigh most; what the archive does not allow to know is None."""

_EVIDENCE = 5
_FELT = 1.0
"""Points of pain from which what caused them is named: older ones are forgotten."""

Line = dict[str, Any]


@dataclass
class Tally:
    """What is counted of a customer's messages.

    Attributes:
        written: number of the first row, and the customer's id in it.
        name: the last that is known.
        answers: a source of the messages tells what the company answered.
        hostile: incoming messages with a label.
        worst: highest score of a label and id, of the messages that have one; a heap.
    """

    written: tuple[float, str] = (float("inf"), "")
    name: str | None = None
    answers: bool = False
    incoming: int = 0
    outgoing: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    hostile: int = 0
    needs_review: int = 0
    languages: Counter[str] = field(default_factory=Counter)
    first_at: float | None = None
    last_at: float | None = None
    worst: list[tuple[float, str]] = field(default_factory=list)

    def identify(self, row: int, written: str, name: str | None) -> None:
        """How a row calls the customer; it was sent not earlier than those before."""
        self.written = min(self.written, (row, written))
        self.name = name or self.name

    def date(self, at: float) -> None:
        """A message was sent at `at`, not earlier than those before."""
        self.first_at = at if self.first_at is None else self.first_at
        self.last_at = at

    def receive(self, message: Incoming, language: str | None, needs_review: bool) -> None:
        """Count a message of the customer; `language` is None for one that was not scored."""
        self.incoming += 1
        self.needs_review += needs_review
        if language:
            self.languages[language] += 1
        if message.labels:
            self.hostile += 1
            self.labels.update(message.labels)
            score = max(getattr(message, label) for label in message.labels)
            heapq.heappush(self.worst, (score, message.id))
            if len(self.worst) > _EVIDENCE:
                heapq.heappop(self.worst)

    @property
    def hostile_share(self) -> float:
        """Of the customer's own messages."""
        return self.hostile / self.incoming if self.incoming else 0.0


def line(customer: str, tally: Tally, reading: Reading | None, settings: IndexSettings) -> Line:
    """All `COLUMNS` of one customer; `reading` is None where no time is known.

    Where the company's answers are unknown, nobody knows who had to wait: there is no pain, no quadrant and
    no step, and of the signs only one that stands is told.
    """
    found: Line = dict.fromkeys(COLUMNS)
    return found | _counts(customer, tally) | _standing(reading, tally.answers, settings)


def _counts(customer: str, tally: Tally) -> Line:
    languages = sorted(tally.languages.items(), key=lambda found: (-found[1], found[0]))
    return {
        "customer_id": tally.written[1],
        "name": tally.name,
        "understood_customer": customer,
        "messages": tally.incoming + tally.outgoing,
        "messages_in": tally.incoming,
        "messages_out": tally.outgoing,
        **{label: tally.labels[label] for label in LABELS},
        "needs_review": tally.needs_review,
        "first_at": maybe_wire_time(tally.first_at),
        "last_at": maybe_wire_time(tally.last_at),
        "evidence": [identity for _, identity in sorted(tally.worst, reverse=True)],
        "language": languages[0][0] if languages else None,
    }


def _standing(reading: Reading | None, answers: bool, settings: IndexSettings) -> Line:
    if reading is None:
        return {}
    found: Line = {"index": reading.index, "index_low": reading.low, "index_high": reading.high}
    found |= {sign.name: sign.active if answers else sign.active or None for sign in reading.signs}
    found["evidence"] = _evidence(reading, answers)
    if answers:
        suggestion = suggest(reading, (), Money(), settings)
        found |= {
            "pain": reading.pain,
            "pain_reasons": _pain_reasons(reading),
            "quadrant": reading.quadrant,
            "prepare_separation": suggestion.prepare_separation,
            "step": suggestion.step,
        }
    return found


def _pain_reasons(reading: Reading) -> list[str]:
    felt = [part for part in reading.pain_contributions if part.points >= _FELT]
    return [part.component for part in sorted(felt, key=lambda part: -part.points)]


def _evidence(reading: Reading, answers: bool) -> list[str]:
    """Messages behind the contributions, the largest first: to the pain of a hurt customer, else to
    the index.
    """
    hurt = answers and reading.quadrant == HURT
    parts = reading.pain_contributions if hurt else reading.contributions
    ordered = sorted(parts, key=lambda part: -part.points)
    return list(dict.fromkeys(i for part in ordered for i in part.message_ids))[:_EVIDENCE]
