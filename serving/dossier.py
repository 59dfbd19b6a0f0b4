"""The dossier of a customer: the record on which people decide about a relationship.

The customer's events are folded once more, and what the index makes of each is noted on the way, so that
the dossier counts as hostile, answered or come back exactly what the index does.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from sqlalchemy import Connection, Row, func, select

from serving.corrections import Labels, correct
from serving.index.events import Incoming, Outgoing, TicketChange
from serving.index.matters import Matter
from serving.index.settings import IndexSettings
from serving.index.state import State
from serving.scoring import Thresholds, balanced
from serving.store.feedback import corrections_of
from serving.store.history import load_events
from serving.store.states import States
from serving.store.tables import agents, decisions, messages, outcomes, ratings, verdicts
from serving.store.work import worked_minutes
from serving.times import maybe_wire_time, wire_time

MOST_MESSAGES = 10_000
"""A dossier covers so many messages, the newest."""

_EXCERPT = 600
"""Characters of a message's text."""

_WORST_A_MONTH = 3
_HOUR = 3_600.0


@dataclass
class Complaint:
    """One matter of the customer, over all channels.

    Attributes:
        matter: as the index follows it; kept so that its identity stays its own.
        opening: its first message.
        negative: some message of it has a ticket, a label or a negative feeling.
        came_back: how often it was raised again after a solution.
    """

    matter: Matter
    opening: Incoming
    last: float
    messages: int = 0
    hostile: int = 0
    negative: bool = False
    came_back: int = 0
    tickets: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)


@dataclass
class Month:
    """What the customer wrote in one month: how much, and the hostile messages by severity."""

    messages: int = 0
    hostile: list[tuple[float, Incoming]] = field(default_factory=list)


@dataclass
class Ticket:
    """A ticket as its changes tell it."""

    opened_at: float | None = None
    first_reply_at: float | None = None
    resolved_at: float | None = None
    reopened: int = 0
    handoffs: int = 0


Heard = Mapping[tuple[float, str], Any]
"""Rows with text, channel and verdict of the customer's messages, by time and id."""


class Story:
    """What happened between a customer and the company, noted while the events are folded."""

    def __init__(self, state: State, settings: IndexSettings) -> None:
        self.state = state
        self.complaints: list[Complaint] = []
        self.months: dict[str, Month] = defaultdict(Month)
        self.tickets: dict[str, Ticket] = defaultdict(Ticket)
        self.waits: list[float] = []
        self.last_reply = float("-inf")
        self.ticket_changes: Counter[str] = Counter()
        self._settings = settings
        self._complaint_of: dict[int, Complaint] = {}

    def add(self, event: Any) -> None:
        """Fold one event, and note it."""
        waiting_since = self.state.service.open_since
        self.state.apply(event, self._settings)
        match event:
            case Incoming():
                self._receive(event)
            case Outgoing(person=True):
                self._reply(event.at, waiting_since)
            case TicketChange():
                self._change(event)
                if event.type in ("replied", "resolved"):
                    self._reply(event.at, waiting_since)

    def _receive(self, message: Incoming) -> None:
        month = self.months[f"{datetime.fromtimestamp(message.at, UTC):%Y-%m}"]
        month.messages += 1
        hostile = self._is_hostile(message)
        if hostile:
            month.hostile.append((self._severity(message), message))
        if not message.thanks:
            self._discuss(message, hostile)

    def _severity(self, message: Incoming) -> float:
        """What the index has just taken the message for, 0 to 1."""
        newest = self.state.language.evidence[-1:]
        return newest[0].severity if newest and newest[0].id == message.id else 0.0

    def _is_hostile(self, message: Incoming) -> bool:
        """It is evidence of hostile language to the index."""
        run = self.state.behaviour.runs.get("hostile_language")
        return run is not None and (message.at, message.id) in run.recent

    def _discuss(self, message: Incoming, hostile: bool) -> None:
        matter = next(m for m in self.state.behaviour.matters if m.last == message.at)
        complaint = self._complaint_of.get(id(matter))
        if complaint is None:
            complaint = Complaint(matter, message, message.at)
            self._complaint_of[id(matter)] = complaint
            self.complaints.append(complaint)
        elif matter.began == message.at > complaint.last:
            complaint.came_back += 1
        complaint.last = message.at
        complaint.messages += 1
        complaint.hostile += hostile
        complaint.negative |= bool(message.ticket or message.labels or message.displeased)
        _add_new(complaint.tickets, message.ticket)
        _add_new(complaint.channels, message.channel)

    def _reply(self, at: float, waiting_since: float | None) -> None:
        self.last_reply = at
        if waiting_since is not None:
            self.waits.append(at - waiting_since)

    def _change(self, change: TicketChange) -> None:
        self.ticket_changes[change.type] += change.count
        ticket = self.tickets[change.ticket]
        match change.type:
            case "opened":
                ticket.opened_at = ticket.opened_at or change.at
            case "replied":
                ticket.first_reply_at = ticket.first_reply_at or change.at
            case "resolved":
                ticket.resolved_at = change.at
            case "reopened":
                ticket.reopened += change.count
                ticket.resolved_at = None
            case "handed_over":
                ticket.handoffs += change.count

    def resolved_at(self, complaint: Complaint) -> float | None:
        """When a ticket of the complaint was resolved, after all that the customer wrote on it."""
        times = [self.tickets[name].resolved_at for name in complaint.tickets]
        return max((at for at in times if at is not None and at >= complaint.last), default=None)

    def outcome(self, complaint: Complaint) -> str:
        """Resolved (the ticket says so), answered (by a person, last), or open."""
        if self.resolved_at(complaint) is not None:
            return "resolved"
        return "answered" if self.last_reply >= complaint.last else "open"


def _add_new(names: list[str], name: str | None) -> None:
    if name and name not in names:
        names.append(name)


def gather(
    connection: Connection,
    states: States,
    settings: IndexSettings,
    thresholds: Thresholds,
    customer: str,
    at: float,
) -> dict[str, Any]:
    """All of the dossier that is not the customer's reading, as JSON with times of the wire."""
    since = _beginning(connection, customer, at)
    after = float("-inf") if since is None else since
    state = State() if since is None else states.as_of(connection, customer, since)
    events = load_events(connection, customer, after, at)
    heard = _heard(connection, customer, since, at)  # last: a message that just came is in it too
    corrections = corrections_of(connection, customer)
    story = Story(state, settings)
    for event in events:
        story.add(event)
    return {
        "covers_after": maybe_wire_time(since),
        "complaints": [_complaint(c, story, heard) for c in story.complaints if c.negative],
        "escalation": [_month(name, story.months[name], heard) for name in sorted(story.months)],
        "team": _team(connection, customer, story, after, at),
        "tickets": [_ticket(name, ticket) for name, ticket in story.tickets.items()],
        "money": {
            "refund_demands": list(_refund_demands(heard, corrections, thresholds)),
            "outcomes": _rows(connection, outcomes, customer, at, ("type", "amount")),
        },
        "decisions": _rows(connection, decisions, customer, at, ("step", "decided_by", "reason")),
        "ratings": _rows(connection, ratings, customer, at, ("rating", "note", "agent_id")),
    }


def _beginning(connection: Connection, customer: str, at: float) -> float | None:
    """The time of the newest message that the dossier leaves out; None when it covers all."""
    query = (
        select(messages.c.sent_at)
        .where(messages.c.customer_id == customer, messages.c.sent_at <= at)
        .order_by(messages.c.sent_at.desc(), messages.c.seq.desc())
        .offset(MOST_MESSAGES)
        .limit(1)
    )
    since: float | None = connection.scalar(query)
    return since


def _heard(connection: Connection, customer: str, since: float | None, at: float) -> Heard:
    query = (
        select(
            messages.c.seq,
            messages.c.id,
            messages.c.sent_at,
            messages.c.channel,
            messages.c.text,
            verdicts.c.verdict,
        )
        .outerjoin(verdicts, verdicts.c.seq == messages.c.seq)
        .where(
            messages.c.customer_id == customer,
            messages.c.direction == "in",
            messages.c.scored,
            messages.c.sent_at <= at,
        )
        .order_by(messages.c.sent_at, messages.c.seq)
    )
    if since is not None:
        query = query.where(messages.c.sent_at > since)
    return {(row.sent_at, row.id): row for row in connection.execute(query)}


def _complaint(complaint: Complaint, story: Story, heard: Heard) -> dict[str, Any]:
    return {
        "first_at": wire_time(complaint.opening.at),
        "last_at": wire_time(complaint.last),
        "tickets": complaint.tickets,
        "channels": complaint.channels,
        "messages": complaint.messages,
        "hostile_messages": complaint.hostile,
        "came_back": complaint.came_back,
        "outcome": story.outcome(complaint),
        "resolved_at": maybe_wire_time(story.resolved_at(complaint)),
        "opening": _quote(complaint.opening, heard),
    }


def _month(name: str, month: Month, heard: Heard) -> dict[str, Any]:
    worst = sorted(month.hostile, key=lambda found: -found[0])[:_WORST_A_MONTH]
    return {
        "month": name,
        "messages": month.messages,
        "hostile_messages": len(month.hostile),
        "worst": [
            _quote(m, heard) | {"labels": sorted(m.labels), "severity": round(severity, 4)}
            for severity, m in worst
        ],
    }


def _quote(message: Incoming, heard: Heard) -> dict[str, Any]:
    return _excerpt(heard[message.at, message.id])


def _excerpt(row: Row[Any]) -> dict[str, Any]:
    """A message with its text, cut when long; null where it is not kept."""
    text = row.text
    if text is not None and len(text) > _EXCERPT:
        text = text[:_EXCERPT].rstrip() + " …"
    return {
        "message_id": row.id,
        "sent_at": wire_time(row.sent_at),
        "channel": row.channel,
        "text": text,
    }


def _team(
    connection: Connection, customer: str, story: Story, after: float, at: float
) -> dict[str, Any]:
    work = worked_minutes(max(after, 0.0), at, customer).subquery()
    changes = story.ticket_changes
    return {
        "agents": _agents(connection, customer, after, at),
        "answers": len(story.waits),
        "median_hours_to_answer": round(median(story.waits) / _HOUR, 2) if story.waits else None,
        "waiting_messages": len(story.state.service.open_ids),
        "tickets_opened": changes["opened"],
        "tickets_resolved": changes["resolved"],
        "tickets_reopened": changes["reopened"],
        "tickets_handed_over": changes["handed_over"],
        "minutes_of_work": connection.scalar(select(func.sum(work.c.minutes))),
    }


def _agents(
    connection: Connection, customer: str, after: float, at: float
) -> Sequence[dict[str, Any]]:
    """Who wrote to the customer, and how often; the busiest first."""
    count = func.count().label("messages")
    query = (
        select(messages.c.agent_id, agents.c.name, count)
        .outerjoin(agents, agents.c.id == messages.c.agent_id)
        .where(
            messages.c.customer_id == customer,
            messages.c.direction == "out",
            messages.c.agent_id.is_not(None),
            messages.c.sent_at > max(after, 0.0),
            messages.c.sent_at <= at,
        )
        .group_by(messages.c.agent_id, agents.c.name)
        .order_by(count.desc(), messages.c.agent_id)
    )
    return [dict(row._mapping) for row in connection.execute(query)]


def _ticket(name: str, ticket: Ticket) -> dict[str, Any]:
    return {
        "ticket_id": name,
        "opened_at": maybe_wire_time(ticket.opened_at),
        "first_reply_at": maybe_wire_time(ticket.first_reply_at),
        "resolved_at": maybe_wire_time(ticket.resolved_at),
        "reopened": ticket.reopened,
        "handoffs": ticket.handoffs,
    }


def _refund_demands(
    heard: Heard, corrections: Mapping[int, Labels], thresholds: Thresholds
) -> Iterator[dict[str, Any]]:
    least = balanced(thresholds, "refund_demand")
    for row in heard.values():
        if row.verdict:
            verdict = correct(json.loads(row.verdict), corrections.get(row.seq, {}))
            if verdict["signs"]["refund_demand"] >= least:
                yield _excerpt(row)


def _rows(
    connection: Connection, table: Any, customer: str, at: float, fields: Sequence[str]
) -> list[dict[str, Any]]:
    """What is on record up to an instant, oldest first."""
    query = (
        select(table)
        .where(table.c.customer_id == customer, table.c.at <= at)
        .order_by(table.c.at, table.c.seq)
    )
    return [
        {"at": wire_time(row.at)} | {name: getattr(row, name) for name in fields}
        for row in connection.execute(query)
    ]
