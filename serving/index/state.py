"""The state of one customer: a fold over the events in order of time, constant in size and cost."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from serving.index.behaviour import Behaviour
from serving.index.decay import Sum
from serving.index.events import (
    Event,
    Incoming,
    Outcome,
    Outgoing,
    Profile,
    Rating,
    TicketChange,
)
from serving.index.language import Language
from serving.index.service import Service
from serving.index.settings import IndexSettings

LOGIC = 2
"""Raise it with every change after which the same events give another state, though its fields and the
settings are as before: kept states are then folded anew at the next start."""


class State(msgspec.Struct):
    """All that is known of a customer after the events up to `at`.

    Attributes:
        at: time of the last event; minus infinity when there was none.
        events: how many were folded.
        ratings, rated: forgetting sums of the team's ratings and of their number.
    """

    at: float = float("-inf")
    events: int = 0
    language: Language = msgspec.field(default_factory=Language)
    service: Service = msgspec.field(default_factory=Service)
    behaviour: Behaviour = msgspec.field(default_factory=Behaviour)
    ratings: Sum = msgspec.field(default_factory=Sum)
    rated: Sum = msgspec.field(default_factory=Sum)
    plan: str | None = None
    usage_volume: float | None = None
    monthly_value: float | None = None

    def apply(self, event: Event, settings: IndexSettings) -> None:
        """Fold one event, not earlier than the last one.

        Raises:
            ValueError: it is earlier; a late event needs a fold from the beginning.
        """
        if event.at < self.at:
            raise ValueError("an event is earlier than the state: fold anew from before it")
        self.at = event.at
        self.events += 1
        match event:
            case Incoming():
                self._receive(event, settings)
            case Outgoing():
                self.behaviour.send(event, settings)
                self.service.send(event, settings)
            case TicketChange():
                self.behaviour.change(event, self.service, settings)
                self.service.change(event, settings)
            case Outcome():
                self.behaviour.end(event)
            case Rating():
                self.ratings.add(event.rating, event.at, settings.rating_half_life_days)
                self.rated.add(1.0, event.at, settings.rating_half_life_days)
            case Profile():
                self.plan = event.plan
                self.usage_volume, self.monthly_value = event.usage_volume, event.monthly_value

    def _receive(self, message: Incoming, settings: IndexSettings) -> None:
        """The order matters: whether the company is at fault is asked before the message opens or
        worsens anything.
        """
        excused = self.behaviour.receive(message, self.service, settings)
        self.language.apply(message, excused, settings)
        self.service.receive(message, settings)


def order(events: Iterable[Event]) -> list[Event]:
    """Events in the one order in which they are folded: by time, then by kind and content, so that
    the order of arrival does not matter.
    """
    return sorted(events, key=_place)


_KINDS: dict[type, int] = {
    kind: place
    for place, kind in enumerate((Profile, TicketChange, Incoming, Outgoing, Outcome, Rating))
}


_CHANGES = ("opened", "work", "handed_over", "reopened", "replied", "resolved")
"""At the same instant a ticket is opened first and resolved last."""


def _place(event: Event) -> tuple[float, int, int, bytes]:
    change = _CHANGES.index(event.type) if isinstance(event, TicketChange) else 0
    return event.at, _KINDS[type(event)], change, _encoder.encode(event)


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(State)


def fold(events: Iterable[Event], settings: IndexSettings, state: State | None = None) -> State:
    """The state after events that are in order; `state` is changed in place when given."""
    state = state or State()
    for event in events:
        state.apply(event, settings)
    return state


def pack(state: State) -> bytes:
    return _encoder.encode(state)


def unpack(packed: bytes) -> State:
    """Raises msgspec.DecodeError when the bytes are of another version."""
    return _decoder.decode(packed)
