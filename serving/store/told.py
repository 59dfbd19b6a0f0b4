"""What is told of tickets: their events, and what a record of final counts adds to them."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from serving.index.events import TicketChange
from serving.store.tables import ticket_events, tickets


@dataclass
class Told:
    """What is told of one ticket.

    Attributes:
        events: of every type, also of work.
        record: what its record tells beyond the events.
    """

    ticket: str
    events: list[TicketChange] = field(default_factory=list)
    record: list[TicketChange] = field(default_factory=list)

    @property
    def changes(self) -> list[TicketChange]:
        return [*self.events, *self.record]

    @property
    def wait(self) -> tuple[float, float] | None:
        """From the beginning of the ticket to its first reply; None where no reply is told."""
        replies = [change.at for change in self.changes if change.type == "replied"]
        if not replies:
            return None
        return min(change.at for change in self.changes), min(replies)


class FirstReplies:
    """When each of a customer's tickets was replied to first, where that is told."""

    def __init__(self, told: Iterable[Told]) -> None:
        waits = {one.ticket: one.wait for one in told if one.wait}
        self._replied = {ticket: end for ticket, (_, end) in waits.items()}
        spans = sorted(waits.values())
        self._starts = [start for start, _ in spans]
        self._last_ends = list(accumulate((end for _, end in spans), max))

    def come_after(self, ticket: str | None, at: float) -> bool:
        """Whether a message was sent before the first reply on its ticket, or, when it is on none,
        between the beginning of some ticket and the first reply on that.
        """
        if ticket is not None:
            return at < self._replied.get(ticket, at)
        begun = bisect_right(self._starts, at)
        return begun > 0 and at < self._last_ends[begun - 1]


def read_told(connection: Connection, *which: ColumnElement[bool]) -> dict[str, Told]:
    """What is told of the tickets that meet the conditions, by ticket."""
    found: dict[str, Told] = {}
    events = select(ticket_events.c.ticket_id, ticket_events.c.type, ticket_events.c.at)
    events = events.join_from(tickets, ticket_events, tickets.c.id == ticket_events.c.ticket_id)
    for row in connection.execute(events.where(*which)):
        told = found.setdefault(row.ticket_id, Told(row.ticket_id))
        told.events.append(TicketChange(at=row.at, ticket=row.ticket_id, type=row.type))
    records = select(tickets).where(*which, tickets.c.opened_at.is_not(None))
    for record in connection.execute(records):
        told = found.setdefault(record.id, Told(record.id))
        told.record = record_changes(record, Counter(change.type for change in told.events))
    return found


def record_changes(record: Any, told: Mapping[str, int]) -> list[TicketChange]:
    """What a ticket's record tells beyond so many events of each type.

    A time is read where no event tells of that change; of a count, what the events leave. Counts have
    no time: they are dated at the record's last change.
    """
    times = {
        "opened": record.opened_at,
        "replied": record.first_reply_at,
        "resolved": record.resolved_at,
    }
    reopened = record.reopened or 0
    totals = {
        "opened": 1,
        "replied": 1,
        "resolved": 1 + reopened,  # each time again
        "handed_over": record.handoffs or 0,
        "reopened": reopened,
    }
    left = {kind: total - told.get(kind, 0) for kind, total in totals.items()}
    dated = {kind: at for kind, at in times.items() if at is not None}
    last = max(dated.values())
    found = [
        TicketChange(at=at, ticket=record.id, type=kind)
        for kind, at in dated.items()
        if left[kind] > 0
    ]
    found += [
        TicketChange(at=last, ticket=record.id, type=kind, count=left[kind])
        for kind in ("handed_over", "reopened")
        if left[kind] > 0
    ]
    return found
