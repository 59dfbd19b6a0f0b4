"""What the customer does again and again: the evidence of the six early signs.

What the company itself caused (while a message waits too long, after a reopening, a third desk or a
false resolution) is no evidence here; it is service pain.
"""

from __future__ import annotations

import msgspec

from serving.index.events import Incoming, Outcome, Outgoing, TicketChange
from serving.index.matters import Matter, add_matter, find_matter, is_relapse, likeness
from serving.index.service import Service
from serving.index.settings import DAY, IndexSettings

_EVIDENCE = 32
_DAYS = 200
_EPISODE_SECONDS = 3_600.0
"""Messages of one sign within an hour of each other are one piece of evidence."""

_SAME_COMPLAINT = 0.75
_SURELY_THE_SAME = 0.9
"""Cosines from which a message on another ticket, or on none, is the complaint that was solved."""

_REFUSAL_DAYS = 3.0
"""A refusal so long after a message is still its answer."""

_GOOD_OUTCOMES = frozenset({"purchase", "renewal", "upgrade"})


class Evidence(msgspec.Struct):
    """One sign's unbroken run of evidence.

    Attributes:
        since, last: its first and last evidence.
        count: pieces of evidence.
        recent: times and ids of the last pieces.
    """

    since: float
    last: float
    count: int = 0
    recent: list[tuple[float, str]] = msgspec.field(default_factory=list)


class Behaviour(msgspec.Struct):
    """Runs of evidence by sign, the customer's matters, and contacts a day.

    Attributes:
        contacts: [day number, contacts] of the last 200 days with any, oldest first.
        last_contact: the last message or opened ticket, caused or not.
        contact_ids: times and ids of the last contacts.
        outcome_at: the last purchase, renewal or upgrade.
        request: time and id of the customer's last message, where a refusal of work would tell that
            it asked for such: the company did not cause it, and it is no complaint.
    """

    runs: dict[str, Evidence] = msgspec.field(default_factory=dict)
    matters: list[Matter] = msgspec.field(default_factory=list)
    contacts: list[tuple[int, int]] = msgspec.field(default_factory=list)
    last_contact: float = float("-inf")
    contact_ids: list[tuple[float, str]] = msgspec.field(default_factory=list)
    outcome_at: float | None = None
    request: tuple[float, str] | None = None

    def receive(self, message: Incoming, service: Service, settings: IndexSettings) -> bool:
        """Take a message in; `service` is as it was before this message.

        Returns whether an accusation in it is excused: the company caused it, or the matter is
        answered again and again and not solved.
        """
        caused = service.at_fault(message.at, settings)
        fobbed_off = False
        if message.thanks:
            self._thank(message.at)
        else:
            caused, fobbed_off = self._discuss(message, service, caused, settings)
        self._contact(message.at, message.id, caused, settings)
        excused = caused or fobbed_off
        if message.is_hostile(excused):
            self._note("hostile_language", message.at, message.id, settings)
        if message.off_channel and not caused:
            self._note("informal_channel", message.at, message.id, settings)
        if message.out_of_scope and not caused:
            self._note("scope_creep", message.at, message.id, settings)
        if caused or message.out_of_scope or message.displeased:
            self.request = None
        elif not message.thanks:
            self.request = message.at, message.id
        return excused

    def _discuss(
        self, message: Incoming, service: Service, caused: bool, settings: IndexSettings
    ) -> tuple[bool, bool]:
        """Add a message to its matter; returns whether the company caused it, and whether the matter
        is one that is never solved.
        """
        matter = find_matter(self.matters, message, settings)
        if matter is None:
            matter = add_matter(self.matters, message.at)
        elif (solved := matter.solved_at()) is not None:
            if not is_relapse(solved, message.at, settings):
                # Thanks tell less than a ticket feed: what comes after them may be another order.
                if not caused and (matter.fed or message.labels):
                    self._note("repetition", message.at, message.id, settings)
                matter.begin_again(message.at)
            elif matter.resolved_at is not None and _complains_again(matter, message, service):
                service.relapse(message.at, message.id, settings)
                matter.begin_again(message.at)
                caused = True
        matter.add(message)
        matter.fed = matter.fed or not service.tickets.keys().isdisjoint(matter.tickets)
        if not caused and self._is_unproductive(matter, message.at, settings):
            self._note("unproductive_discussion", message.at, message.id, settings)
        return caused, matter.is_fobbed_off

    def _is_unproductive(self, matter: Matter, at: float, settings: IndexSettings) -> bool:
        ended = self.outcome_at is not None and self.outcome_at >= matter.argued_since
        long = at - matter.argued_since >= settings.discussion_days * DAY
        return long and matter.argued >= settings.discussion_messages and not ended

    def _contact(self, at: float, identity: str, caused: bool, settings: IndexSettings) -> None:
        close = at - self.last_contact < settings.contact_minutes * 60
        self.last_contact = at
        if close or caused:
            return
        day = int(at // DAY)
        if self.contacts and self.contacts[-1][0] == day:
            self.contacts[-1] = day, self.contacts[-1][1] + 1
        else:
            self.contacts = [*self.contacts, (day, 1)][-_DAYS:]
        self.contact_ids = [*self.contact_ids, (at, identity)][-_EVIDENCE:]

    def _note(self, sign: str, at: float, identity: str, settings: IndexSettings) -> None:
        run = self.runs.get(sign)
        if run is None or at - run.last > settings.sign_gap_days * DAY:
            run = self.runs[sign] = Evidence(at, at)
        if run.count == 0 or at - run.last >= _EPISODE_SECONDS:
            run.count += 1
        run.last = max(run.last, at)
        run.recent = [*run.recent, (at, identity)][-_EVIDENCE:]

    def send(self, message: Outgoing, settings: IndexSettings) -> None:
        """A person's answer is taken as one to every matter that waits for it; one that refuses work
        tells what the customer's last message was.
        """
        if not message.person:
            return
        self._answer(message.at)
        if message.refuses and self.request is not None:
            if message.at - self.request[0] <= _REFUSAL_DAYS * DAY:
                self._note("scope_creep", *self.request, settings)
            self.request = None

    def _answer(self, at: float) -> None:
        for matter in self.matters:
            if matter.answered_at is None:
                matter.answered_at = at

    def _thank(self, at: float) -> None:
        """Thanks are for the last answer: that discussion led somewhere."""
        if self.matters:
            recent = max(self.matters, key=lambda matter: matter.last)
            if recent.answered_at is not None:
                recent.thanked_at, recent.argued = at, 0

    def change(self, change: TicketChange, service: Service, settings: IndexSettings) -> None:
        """A change of a ticket; `service` is as it was before it."""
        if change.type == "opened":
            caused = service.at_fault(change.at, settings)
            self._contact(change.at, "", caused, settings)
        elif change.type == "replied":
            self._answer(change.at)
        for matter in self.matters:
            if change.ticket in matter.tickets:
                matter.fed = True
                if change.type == "resolved":
                    matter.resolved_at = change.at
                elif change.type == "reopened":
                    matter.resolved_at = None

    def end(self, outcome: Outcome) -> None:
        """A purchase, renewal or upgrade: the discussions before it led somewhere."""
        if outcome.type in _GOOD_OUTCOMES:
            self.outcome_at = outcome.at
            self.runs.pop("unproductive_discussion", None)


def _complains_again(matter: Matter, message: Incoming, service: Service) -> bool:
    """Whether a message on a matter just solved says that it is not, rather than anything else."""
    if message.off_channel or message.out_of_scope:
        return False
    if message.ticket and message.ticket in matter.tickets:
        talking = message.at - service.replied_at <= DAY
        return not message.is_insult and (message.asks or message.displeased or not talking)
    enough = _SAME_COMPLAINT if message.ticket else _SURELY_THE_SAME
    return likeness(matter, message) >= enough
