"""What can happen with a customer, as the index reads it. Times are seconds since 1970, UTC."""

from __future__ import annotations

import msgspec

INSTANT_CHANNELS = frozenset(
    {"whatsapp", "chat", "direct", "phone", "sms", "messenger", "telegram"}
)
"""Where people expect an answer within hours; everywhere else within a day."""


_INSULTS = frozenset({"abuse", "threat"})


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A message from the customer, with what the model said of it.

    Attributes:
        abuse, threat, accusation: calibrated probabilities.
        labels: those of the three that the model gave.
        grave_kind: probability that a threat in it is of kind physical or private_data.
        off_channel, out_of_scope: the model's message signs at their thresholds.
        thanks: a closing thank-you or a bare acknowledgement: it needs no reply and is no complaint.
        asks: it asks or wants something; what does not may be a word in passing while people talk.
        displeased: it is in a bad mood; tells only whether what was solved is solved.
        takes_back: the customer withdraws his own words and is sorry for them.
        replies_known: what the company answered would be known; without that nobody has waited.
        vector: the sentence vector as 256 signed bytes (the unit vector times 127); empty if unknown.
    """

    at: float
    id: str
    channel: str = ""
    ticket: str | None = None
    abuse: float = 0.0
    threat: float = 0.0
    accusation: float = 0.0
    labels: frozenset[str] = frozenset()
    grave_kind: float = 0.0
    off_channel: bool = False
    out_of_scope: bool = False
    thanks: bool = False
    asks: bool = True
    displeased: bool = False
    takes_back: bool = False
    replies_known: bool = True
    vector: bytes = b""

    @property
    def grave(self) -> float:
        """Probability of a grave threat."""
        return self.threat * self.grave_kind

    @property
    def is_insult(self) -> bool:
        """Abuse or a threat: no fault of the company excuses them."""
        return not self.labels.isdisjoint(_INSULTS)

    def is_hostile(self, excused: bool) -> bool:
        """It has a label; one of accusation alone does not count where it is excused."""
        return self.is_insult if excused else bool(self.labels)


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message to the customer.

    Attributes:
        person: False for bots and automatic acknowledgements.
        refuses: it refuses work that the product does not include.
    """

    at: float
    id: str
    channel: str = ""
    ticket: str | None = None
    person: bool = True
    refuses: bool = False


class TicketChange(msgspec.Struct, frozen=True, kw_only=True):
    """`type` is opened, replied, handed_over, resolved, reopened or work; `count` of them at once."""

    at: float
    ticket: str
    type: str
    count: int = 1


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """`type` is purchase, renewal, upgrade or cancellation."""

    at: float
    type: str


class Rating(msgspec.Struct, frozen=True, kw_only=True):
    """The team's rating of the customer, from 1 (calm) to 5 (toxic)."""

    at: float
    rating: int


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What the customer uses and pays from now on; None where unknown."""

    at: float
    plan: str | None = None
    usage_volume: float | None = None
    monthly_value: float | None = None


Event = Incoming | Outgoing | TicketChange | Outcome | Rating | Profile
