"""What the company did to the customer: waiting, reopened and unresolved tickets, hand-offs."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from serving.index.decay import Sum, decayed, ramp
from serving.index.events import INSTANT_CHANNELS, Incoming, Outgoing, TicketChange
from serving.index.load import load
from serving.index.settings import DAY, IndexSettings

_HOUR = 3_600.0
_OPEN_TICKETS = 64
_IDS = 12
_ONE_MESSAGE = 0.5
"""Share of the pain of an unanswered message while it is the only one: it may need no answer."""

_GOOD_REPLIES = 2.0
"""So many replies in time are taken for granted: a single late one does not make a customer hurt."""


class OpenTicket(msgspec.Struct):
    opened_at: float
    handoffs: int = 0


class Service(msgspec.Struct):
    """The customer's side of waiting and being sent around; sums forget.

    Attributes:
        open_since, open_channel: the first message that still waits for a person.
        open_ids: messages that wait.
        answered, late: number of answered waits, and how late they were (0 to 1 each).
        late_ids: messages whose answer came late.
        reopened, handoffs, relapses: how often; the first hand-off of a ticket counts a third.
        tickets: open ones by id.
        last_event: the last time that anything happened.
        replied_at: a person's last reply.
        remark: the first word in passing since then; it turns out to have been a wait when the
            customer soon writes again.
        fault_until: what the customer does up to then is taken as caused by the company.
    """

    open_since: float | None = None
    open_channel: str = ""
    open_ids: list[str] = msgspec.field(default_factory=list)
    answered: Sum = msgspec.field(default_factory=Sum)
    late: Sum = msgspec.field(default_factory=Sum)
    late_ids: list[str] = msgspec.field(default_factory=list)
    reopened: Sum = msgspec.field(default_factory=Sum)
    handoffs: Sum = msgspec.field(default_factory=Sum)
    relapses: Sum = msgspec.field(default_factory=Sum)
    relapse_ids: list[str] = msgspec.field(default_factory=list)
    tickets: dict[str, OpenTicket] = msgspec.field(default_factory=dict)
    last_event: float = 0.0
    replied_at: float = float("-inf")
    remark: tuple[float, str, str] | None = None
    fault_until: float = 0.0

    def at_fault(self, at: float, settings: IndexSettings) -> bool:
        """Whether something that the company has not put right may explain what the customer does."""
        return at <= self.fault_until or self.lateness(at, settings) > settings.fault_lateness

    def lateness(self, at: float, settings: IndexSettings) -> float:
        """How badly the open message is kept waiting, 0 (in time, or none is open) to 1."""
        if self.open_since is None:
            return 0.0
        low, high = _limits(self.open_channel, settings)
        return ramp(at - self.open_since, low, high)

    def receive(self, message: Incoming, settings: IndexSettings) -> None:
        """A message opens a wait unless nobody knows of replies, or it needs none: a thank-you, a word
        in passing within a day of a person's reply, or an insult that asks nothing soon after one, with
        nothing open.
        """
        self.last_event = message.at
        busy = self.open_since is not None or bool(self.tickets)
        served = message.at - self.replied_at <= settings.fault_days * DAY
        insult = message.is_insult and not message.asks
        if message.thanks or not message.replies_known or (insult and served and not busy):
            return
        start = message.at, message.channel, message.id
        if self.open_since is None:
            if message.at - self.replied_at <= DAY and not message.asks:
                self.remark = self.remark or start
                return
            self._open(start, settings)
        else:
            self.open_ids.append(message.id)
            del self.open_ids[_IDS:]

    def _open(self, start: tuple[float, str, str], settings: IndexSettings) -> None:
        begun = [start]
        if self.remark:
            _, limit = _limits(self.remark[1], settings)
            if start[0] - self.remark[0] <= limit:
                begun.insert(0, self.remark)
            self.remark = None
        self.open_since, self.open_channel, _ = begun[0]
        self.open_ids = [identity for _, _, identity in begun]

    def send(self, message: Outgoing, settings: IndexSettings) -> None:
        self.last_event = message.at
        if message.person:
            self.reply(message.at, settings)

    def reply(self, at: float, settings: IndexSettings) -> None:
        """A person answers: every open message of the customer, on whichever channel."""
        self.replied_at, self.remark = at, None
        if self.open_since is None:
            return
        lateness = self.lateness(at, settings)
        self.answered.add(1.0, at, settings.half_life_days)
        self.late.add(lateness, at, settings.half_life_days)
        if lateness > 0:
            self.late_ids = (self.late_ids + self.open_ids)[-_IDS:]
        if lateness > settings.fault_lateness:
            self.blame(at, settings)
        self.open_since, self.open_ids = None, []

    def blame(self, at: float, settings: IndexSettings) -> None:
        self.fault_until = max(self.fault_until, at + settings.fault_days * DAY)

    def relapse(self, at: float, message: str, settings: IndexSettings) -> None:
        """A complaint came back so soon that its resolution was none."""
        self.relapses.add(1.0, at, settings.half_life_days)
        self.relapse_ids = [*self.relapse_ids, message][-_IDS:]
        self.blame(at, settings)

    def change(self, change: TicketChange, settings: IndexSettings) -> None:
        self.last_event = change.at
        handler = {
            "opened": self._opened,
            "replied": self._replied,
            "handed_over": self._handed_over,
            "resolved": self._resolved,
            "reopened": self._reopened,
        }.get(change.type)
        if handler:
            handler(change, settings)

    def _opened(self, change: TicketChange, _: IndexSettings) -> None:
        self._ticket(change)

    def _ticket(self, change: TicketChange) -> OpenTicket:
        ticket = self.tickets.setdefault(change.ticket, OpenTicket(change.at))
        if len(self.tickets) > _OPEN_TICKETS:
            del self.tickets[min(self.tickets, key=lambda name: self.tickets[name].opened_at)]
        return ticket

    def _replied(self, change: TicketChange, settings: IndexSettings) -> None:
        self.reply(change.at, settings)

    def _handed_over(self, change: TicketChange, settings: IndexSettings) -> None:
        ticket = self._ticket(change)
        first = ticket.handoffs == 0
        ticket.handoffs += change.count
        weight = change.count - 2 / 3 if first else float(change.count)
        self.handoffs.add(weight, change.at, settings.half_life_days)
        if ticket.handoffs > 1:
            self.blame(change.at, settings)

    def _resolved(self, change: TicketChange, settings: IndexSettings) -> None:
        self.tickets.pop(change.ticket, None)
        self.reply(change.at, settings)

    def _reopened(self, change: TicketChange, settings: IndexSettings) -> None:
        self._ticket(change)
        self.reopened.add(float(change.count), change.at, settings.half_life_days)
        self.blame(change.at, settings)

    def loads(self, at: float, settings: IndexSettings) -> Iterator[tuple[str, float, list[str]]]:
        """Name, load (0 and more) and evidence of each component of the pain."""
        half_life = settings.half_life_days
        quiet = at - self.last_event - settings.fault_days * DAY
        forgotten = decayed(1.0, quiet, half_life)
        waiting = self.lateness(at, settings) * (1.0 if len(self.open_ids) > 1 else _ONE_MESSAGE)
        unanswered = settings.unanswered_weight * waiting * forgotten
        yield "unanswered", load(unanswered), list(self.open_ids)
        rate = self.late.read(at, half_life) / (_GOOD_REPLIES + self.answered.read(at, half_life))
        yield "late_replies", rate / settings.late_scale, list(self.late_ids)
        age = max((at - t.opened_at for t in self.tickets.values()), default=0.0)
        low, high = settings.unresolved_days * DAY, settings.unresolved_limit_days * DAY
        unresolved = settings.unresolved_weight * ramp(age, low, high) * forgotten
        yield "unresolved", load(unresolved), []
        reopened = _saturated(self.reopened.read(at, half_life))
        yield "reopened", load(settings.reopened_weight * reopened), []
        handoffs = _saturated(self.handoffs.read(at, half_life) / 2.0)
        yield "handoffs", load(settings.handoff_weight * handoffs), []
        relapses = _saturated(self.relapses.read(at, half_life))
        yield "false_resolutions", load(settings.relapse_weight * relapses), list(self.relapse_ids)


def _limits(channel: str, settings: IndexSettings) -> tuple[float, float]:
    """Seconds from which a reply is late, and from which waiting is as bad as it gets."""
    if channel in INSTANT_CHANNELS:
        low, high = settings.instant_reply_hours, settings.instant_reply_limit_hours
    else:
        low, high = settings.slow_reply_hours, settings.slow_reply_limit_hours
    return low * _HOUR, high * _HOUR


def _saturated(count: float) -> float:
    """0 for none, towards 1 for many."""
    return 1.0 - math.exp(-count)
