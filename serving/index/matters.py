"""Which messages are about the same matter: by ticket, else by sentence vector, across channels."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.index.events import Incoming
from serving.index.settings import DAY, IndexSettings

MOST_MATTERS = 16
"""Another one displaces the oldest (one without a ticket first), so that an update costs the same
for ever."""

_TICKETS = 4
_FOBBED_OFF = 2


class Matter(msgspec.Struct):
    """One complaint or topic of a customer.

    Attributes:
        centre: mean of its messages' vectors as float32 bytes; empty if none had one.
        messages: how many of the customer's messages are about it since it was last resolved.
        began: the first of these.
        argued: how many of them came since the customer last gave thanks on it.
        argued_since: the first of these.
        answered_at: a person's last answer after the customer's last message.
        thanked_at: the customer's thanks after that answer.
        resolved_at: the ticket feed said so, and the customer has not written on it since.
        fed: the ticket feed has told something of one of its tickets.
        fair: it began without a hostile word.
        returns: how often the customer came back more than a day after an answer.
    """

    began: float
    last: float
    centre: bytes = b""
    messages: int = 0
    argued: int = 0
    argued_since: float = 0.0
    tickets: list[str] = msgspec.field(default_factory=list)
    answered_at: float | None = None
    thanked_at: float | None = None
    resolved_at: float | None = None
    fed: bool = False
    fair: bool = True
    returns: int = 0

    def add(self, message: Incoming) -> None:
        if self.messages == 0:
            self.fair, self.returns = not message.labels, 0
        elif self.answered_at is not None and message.at - self.answered_at > DAY:
            self.returns += 1
        if self.argued == 0:
            self.argued_since = message.at
        self.messages += 1
        self.argued += 1
        self.last = message.at
        self.answered_at = self.thanked_at = None
        if message.ticket and message.ticket not in self.tickets:
            self.tickets = [*self.tickets, message.ticket][-_TICKETS:]
        if message.vector:
            self.centre = np.add(_values(self.centre), _vector(message.vector)).tobytes()

    def solved_at(self) -> float | None:
        """When it was solved as far as the customer's silence tells; None if it is open.

        Where no feed tells, an answer by a person for which the customer gave thanks is the solution.
        """
        return self.resolved_at if self.fed or self.resolved_at is not None else self.thanked_at

    @property
    def is_fobbed_off(self) -> bool:
        """Begun fairly, answered again and again, and not solved: blame is no wonder."""
        return self.fair and self.returns >= _FOBBED_OFF and self.resolved_at is None

    def begin_again(self, at: float) -> None:
        self.began, self.messages, self.argued = at, 0, 0
        self.resolved_at = self.answered_at = self.thanked_at = None


def find_matter(matters: list[Matter], message: Incoming, settings: IndexSettings) -> Matter | None:
    """The matter that a message is about, or None for a new one."""
    if message.ticket:
        for matter in matters:
            if message.ticket in matter.tickets:
                return matter
    candidates = [matter for matter in matters if matter.centre]
    if not (message.vector and candidates):
        return None
    cosines = _cosines(candidates, message)
    best = int(cosines.argmax())
    return candidates[best] if cosines[best] >= settings.same_matter else None


def add_matter(matters: list[Matter], at: float) -> Matter:
    if len(matters) >= MOST_MATTERS:
        matters.remove(min(matters, key=lambda matter: (bool(matter.tickets), matter.last)))
    matters.append(Matter(began=at, last=at))
    return matters[-1]


def is_relapse(solved: float, at: float, settings: IndexSettings) -> bool:
    """Back so soon that it was never solved for the customer."""
    return at - solved <= settings.relapse_days * DAY


def likeness(matter: Matter, message: Incoming) -> float:
    """Cosine of a message and a matter; 0 where one has no vector."""
    if not (matter.centre and message.vector):
        return 0.0
    return float(_cosines([matter], message)[0])


def _cosines(matters: list[Matter], message: Incoming) -> NDArray[np.floating]:
    """Of a message's vector with the centre of each matter; all have one."""
    centres = np.stack([_values(matter.centre) for matter in matters])
    vector = _vector(message.vector)
    norms = np.linalg.norm(centres, axis=1) * np.linalg.norm(vector)
    return np.asarray(centres @ vector / (norms + 1e-9))


def _vector(packed: bytes) -> NDArray[np.float32]:
    return np.frombuffer(packed, np.int8).astype(np.float32) / np.float32(127)


def _values(centre: bytes) -> NDArray[np.float32]:
    return np.frombuffer(centre, np.float32) if centre else np.zeros(256, np.float32)


def pack_vector(vector: NDArray[np.floating]) -> bytes:
    """A unit vector [256] as 256 signed bytes."""
    return bytes(np.rint(np.clip(vector, -1, 1) * 127).astype(np.int8))
