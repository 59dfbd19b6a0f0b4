"""The customers of an archive at a glance: how many stand where, and who needs a look first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from model.labels import LABELS
from serving.index.reading import DRAINING, HURT, INFLAMED
from serving.index.signs import SIGNS

MOST_SHOWN = 10
"""Customers in a list."""


@dataclass(frozen=True)
class Customer:
    """A line of the customers file; figures that the archive does not allow to know are None.

    Attributes:
        line: its number in that file, from 1 without the header.
        id: the one way to write it, by which messages know the customer.
        written: the id as the archive first writes it.
        messages: that the customer wrote.
        index, low, high: 0 to 100, with its 80 % interval.
        pain: service pain, 0 to 100.
        pain_reasons: what caused it, the worst first.
        signs: the early signs that stand.
        evidence: ids of the messages that weigh most, the heaviest first.
    """

    line: int
    id: str
    written: str
    name: str | None
    messages: int
    index: float | None
    low: float | None
    high: float | None
    pain: float | None
    pain_reasons: tuple[str, ...]
    quadrant: str | None
    signs: tuple[str, ...]
    prepare_separation: bool
    step: str | None
    evidence: tuple[str, ...]

    @property
    def called(self) -> str:
        """The name, if there is one, and the id."""
        known = self.name and self.name != self.written
        return f"{self.name} ({self.written})" if known else self.written


@dataclass
class Ranking:
    """All customers counted, and the first of those whom somebody should see to.

    Attributes:
        quadrants: number of customers by quadrant; empty when the archive does not tell it of any.
        separations: customers for whom a separation may be prepared.
        highest: the highest index; None when there is none.
        hurt: hurt customers, the highest pain first.
        hard: draining and inflamed customers, the highest index first.
        unplaced: where no quadrant is known, customers with a labelled message, the highest index
            first.
    """

    customers: int = 0
    quadrants: Counter[str] = field(default_factory=Counter)
    separations: int = 0
    highest: float | None = None
    hurt: list[Customer] = field(default_factory=list)
    hard: list[Customer] = field(default_factory=list)
    unplaced: list[Customer] = field(default_factory=list)

    def evidence(self) -> frozenset[tuple[str, str]]:
        """Customer and id of every message that is shown as evidence."""
        return frozenset(
            (customer.id, message)
            for customer in (*self.hurt, *self.hard, *self.unplaced)
            for message in customer.evidence
        )


def rank(lines: Iterable[Mapping[str, Any]]) -> Ranking:
    """Read the lines of the customers file once, in its order: the highest index first."""
    ranking = Ranking()
    for number, line in enumerate(lines, 1):
        customer = _customer(number, line)
        ranking.customers += 1
        ranking.separations += customer.prepare_separation
        if customer.index is not None:
            ranking.highest = max(ranking.highest or 0.0, customer.index)
        if customer.quadrant is not None:
            ranking.quadrants[customer.quadrant] += 1
        _place(customer, any(line[label] for label in LABELS), ranking)
    return ranking


def _customer(number: int, line: Mapping[str, Any]) -> Customer:
    return Customer(
        line=number,
        id=line["understood_customer"],
        written=line["customer_id"],
        name=line["name"],
        messages=line["messages_in"],
        index=line["index"],
        low=line["index_low"],
        high=line["index_high"],
        pain=line["pain"],
        pain_reasons=tuple(line["pain_reasons"] or ()),
        quadrant=line["quadrant"],
        signs=tuple(sign for sign in SIGNS if line[sign]),
        prepare_separation=bool(line["prepare_separation"]),
        step=line["step"],
        evidence=tuple(line["evidence"]),
    )


def _place(customer: Customer, labelled: bool, ranking: Ranking) -> None:
    if customer.quadrant == HURT:
        ranking.hurt = sorted([*ranking.hurt, customer], key=lambda one: -(one.pain or 0.0))
        del ranking.hurt[MOST_SHOWN:]
    elif customer.quadrant in (DRAINING, INFLAMED):
        ranking.hard = [*ranking.hard, customer][:MOST_SHOWN]
    elif customer.quadrant is None and labelled:
        ranking.unplaced = [*ranking.unplaced, customer][:MOST_SHOWN]
