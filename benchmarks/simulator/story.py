"""One customer's six months being written down: messages both ways, tickets, outcomes.

A story knows the wire contract and office hours; what happens is up to `histories`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

from benchmarks.simulator.texts import Wordings, company_wordings, customer_wordings
from benchmarks.simulator.truth import Archetype, Truth

WEEKS = 26
START = datetime(2025, 1, 5, tzinfo=UTC)
END = START + timedelta(weeks=WEEKS)
AGENTS = tuple(f"agent-{i}" for i in range(1, 9))
SOURCE = "simulator"
_OFFSETS = {"egy": 2, "arabizi": 2, "gulf": 3, "lev": 3, "magh": 1, "msa": 3, "en": 4}
_CHANNELS = ("whatsapp", "ticket", "email", "direct")

Json = dict[str, Any]


@dataclass(frozen=True)
class Service:
    """How the company answers: hours to a reply, hours from there to a solution."""

    reply_hours: tuple[float, float]
    solve_hours: tuple[float, float]


GOOD = Service((0.1, 3.0), (0.5, 18.0))
PROMPT = Service((0.05, 0.5), (0.2, 4.0))
SLOW = Service((20.0, 90.0), (48.0, 200.0))


@dataclass
class History:
    """What is played in, and what is known about it."""

    customer_id: str
    voice: str
    profile: Json
    truth: Truth
    group: str | None = None
    messages: list[Json] = field(default_factory=list)
    tickets: dict[str, Json] = field(default_factory=dict)
    ticket_events: list[tuple[str, Json]] = field(default_factory=list)
    outcomes: list[Json] = field(default_factory=list)
    ended_at: str | None = None


@dataclass
class Thread:
    """Where one exchange takes place."""

    channel: str
    ticket: str | None
    agent: str


class Story:
    def __init__(
        self,
        customer_id: str,
        voice: str,
        archetype: Archetype,
        begins: datetime | None,
        seed: str,
        *,
        group: str | None = None,
    ) -> None:
        self.random = Random(seed)
        self.truth = Truth(archetype, begins)
        self.until = END
        self.words: Wordings = customer_wordings(voice, f"{seed} words", parallel=group is not None)
        self._company: Wordings = company_wordings(voice, f"{seed} company")
        offset = 3 if group else _OFFSETS[voice]
        self._zone = timezone(timedelta(hours=offset))
        self._usual = self.random.sample(_CHANNELS, 2)
        self._agents = self.random.sample(AGENTS, 3)
        self._history = History(customer_id, voice, {}, self.truth, group)
        self._messages: list[tuple[datetime, Json]] = []
        self._events: list[tuple[datetime, str, Json]] = []
        self._outcomes: list[tuple[datetime, Json]] = []

    # Time

    def days(self, low: float, high: float) -> timedelta:
        return timedelta(days=self.random.uniform(low, high))

    def hours(self, low: float, high: float) -> timedelta:
        return timedelta(hours=self.random.uniform(low, high))

    def awake(self, at: datetime) -> datetime:
        """The same instant, or the morning when it falls in the night."""
        return self._not_before(at, 8.0) if at.astimezone(self._zone).hour < 8 else at

    def office(self, at: datetime) -> datetime:
        """The same instant, or the first half hour of the next opening (9 to 22)."""
        hour = at.astimezone(self._zone).hour
        if hour >= 22:
            return self._not_before(at + timedelta(hours=24 - hour), 9.0)
        return self._not_before(at, 9.0) if hour < 9 else at

    def _not_before(self, at: datetime, hour: float) -> datetime:
        local = at.astimezone(self._zone)
        morning = local.replace(hour=int(hour), minute=0) + self.hours(0, 0.6)
        return morning.astimezone(UTC)

    def arrivals(self, begin: datetime, end: datetime, a_week: float) -> list[datetime]:
        """Instants of a Poisson process, in waking hours."""
        times, at = [], begin
        while (at := at + timedelta(weeks=self.random.expovariate(a_week))) < end:
            times.append(self.awake(at))
        return times

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    # What the customer does

    def thread(self, at: datetime, *, ticket: bool = False, channel: str | None = None) -> Thread:
        """A place for an exchange; with a ticket it is opened at `at`."""
        usual = self._usual[0] if self.chance(0.7) else self._usual[1]
        thread = Thread(channel or usual, None, self.random.choice(self._agents))
        if ticket:
            thread.ticket = f"{self._history.customer_id}-t{len(self._history.tickets) + 1:03}"
            self._history.tickets[thread.ticket] = {
                "customer_id": self._history.customer_id,
                "opened_at": self._stamp(at),
            }
            self.event(thread, "opened", at, by_agent=False)
        return thread

    def say(self, at: datetime, text: str, thread: Thread, channel: str | None = None) -> None:
        self._message(at, text, thread, channel or thread.channel, "in", None)

    def other_channel(self, thread: Thread) -> str:
        return self.random.choice([name for name in _CHANNELS if name != thread.channel])

    def threat(self, at: datetime, kind: str, thread: Thread) -> None:
        self.say(at, self.words.any("threat", kind), thread)
        self.truth.threats.append((at, kind))

    # What the company does

    def acknowledge(self, at: datetime, thread: Thread) -> None:
        """An automatic message, without an agent."""
        at += timedelta(seconds=self.random.randint(5, 50))
        self._message(at, self._company.any("auto"), thread, thread.channel, "out", None)

    def reply(self, at: datetime, role: str, thread: Thread) -> datetime:
        """A person answers at `at`, or when the office opens; returns when."""
        at = self.office(at)
        self._message(at, self._company.any(role), thread, thread.channel, "out", thread.agent)
        if thread.ticket:
            self.event(thread, "replied", at)
        return at

    def hand_over(self, at: datetime, thread: Thread) -> None:
        thread.agent = self.random.choice([name for name in self._agents if name != thread.agent])
        self.event(thread, "handed_over", at)

    def work(self, at: datetime, thread: Thread, low: int, high: int) -> None:
        self.event(thread, "work", at, minutes=self.random.randint(low, high))

    def event(
        self,
        thread: Thread,
        kind: str,
        at: datetime,
        *,
        minutes: int | None = None,
        by_agent: bool = True,
    ) -> None:
        if thread.ticket is None:
            return
        event: Json = {"type": kind, "at": self._stamp(at)}
        if by_agent:
            event["agent_id"] = thread.agent
        if minutes is not None:
            event["minutes"] = minutes
        self._events.append((at, thread.ticket, event))

    def outcome(self, at: datetime, kind: str, amount: float | None = None) -> None:
        outcome: Json = {"type": kind, "at": self._stamp(at)}
        if amount is not None:
            outcome["amount"] = amount
        self._outcomes.append((at, outcome))

    def leave(self, at: datetime) -> None:
        self.outcome(at, "cancellation")
        self._history.ended_at = self._stamp(at)
        self.until = at + timedelta(seconds=1)

    # The end

    def finish(self, profile: Json) -> History:
        """Everything before `until`, in order of time, with ids."""
        history, prefix = self._history, self._history.customer_id
        history.profile = profile
        self.truth.cut(self.until)
        self._messages.sort(key=lambda pair: pair[0])
        messages = [row for at, row in self._messages if at < self.until]
        history.messages = [{"id": f"{prefix}-m{i:04}", **row} for i, row in enumerate(messages)]
        self._events.sort(key=lambda row: row[0])
        events = [(ticket, row) for at, ticket, row in self._events if at < self.until]
        history.ticket_events = [
            (ticket, {"id": f"{prefix}-e{i:04}", **row}) for i, (ticket, row) in enumerate(events)
        ]
        opened = {ticket for ticket, _ in history.ticket_events}
        history.tickets = {name: row for name, row in history.tickets.items() if name in opened}
        self._outcomes.sort(key=lambda pair: pair[0])
        history.outcomes = [row for at, row in self._outcomes if at < self.until]
        return history

    def _message(
        self,
        at: datetime,
        text: str,
        thread: Thread,
        channel: str,
        direction: str,
        agent: str | None,
    ) -> None:
        row: Json = {
            "source": SOURCE,
            "customer_id": self._history.customer_id,
            "direction": direction,
            "channel": channel,
            "sent_at": self._stamp(at),
            "text": text,
        }
        if thread.ticket:
            row["ticket_id"] = thread.ticket
        if agent:
            row["agent_id"] = agent
        self._messages.append((at, row))

    def _stamp(self, at: datetime) -> str:
        return at.astimezone(self._zone).isoformat(timespec="seconds")
