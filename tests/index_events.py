"""Events for the tests of the index, in few words: times in days, messages by what they hold."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from serving.index.events import (
    Event,
    Incoming,
    Outcome,
    Outgoing,
    Profile,
    Rating,
    TicketChange,
)
from serving.index.portfolio import Snapshot
from serving.index.reading import Reading, read
from serving.index.settings import DAY, IndexSettings
from serving.index.state import State, fold, order

SETTINGS = IndexSettings()
SNAPSHOT = Snapshot()
START = 20_000.0
"""The first day of the stories, in days since 1970."""

_number = itertools.count()


def at(day: float) -> float:
    return (START + day) * DAY


def says(day: float, *holds: str, **fields: Any) -> Incoming:
    """A message of the customer; `holds` names its labels, `grave`, and its flags."""
    labels = frozenset(holds) & {"abuse", "threat", "accusation"}
    flags = {name: True for name in holds if name not in labels and name != "grave"}
    scores = dict.fromkeys(labels, 0.9)
    place = {"at": at(day), "id": f"m{next(_number)}", "channel": "whatsapp"}
    kind = {"grave_kind": float("grave" in holds)}
    return Incoming(**{**place, **scores, **flags, **kind, "labels": labels, **fields})


def answers(day: float, **fields: Any) -> Outgoing:
    return Outgoing(**{"at": at(day), "id": f"o{next(_number)}", "channel": "whatsapp", **fields})


def ticket(day: float, kind: str, name: str = "t1", count: int = 1) -> TicketChange:
    return TicketChange(at=at(day), ticket=name, type=kind, count=count)


def about(matter: int) -> bytes:
    """A sentence vector; those of different matters are orthogonal."""
    return bytes(127 if place == matter else 0 for place in range(256))


def state_of(events: Sequence[Event], settings: IndexSettings = SETTINGS) -> State:
    return fold(order(events), settings)


def reading(
    events: Sequence[Event],
    day: float | None = None,
    settings: IndexSettings = SETTINGS,
    snapshot: Snapshot = SNAPSHOT,
) -> Reading:
    """The reading at a day, by default at the last event."""
    state = state_of([e for e in events if day is None or e.at <= at(day)], settings)
    return read(state, state.at if day is None else at(day), settings, snapshot)


_times = st.floats(min_value=0, max_value=200, allow_nan=False).map(lambda day: round(day, 3))
_chance = st.floats(min_value=0, max_value=1, allow_nan=False)
_names = st.sampled_from(["t1", "t2", "t3"])


@st.composite
def incoming(draw: st.DrawFn) -> Incoming:
    scores = {label: draw(_chance) for label in ("abuse", "threat", "accusation")}
    labels = frozenset(label for label, chance in scores.items() if chance >= 0.6)
    return Incoming(
        at=at(draw(_times)),
        id=f"m{draw(st.integers(0, 10**6))}",
        channel=draw(st.sampled_from(["whatsapp", "email", "ticket"])),
        ticket=draw(st.none() | _names),
        labels=labels,
        grave_kind=draw(_chance),
        off_channel=draw(st.booleans()),
        out_of_scope=draw(st.booleans()),
        thanks=not labels and draw(st.booleans()),
        asks=draw(st.booleans()),
        displeased=draw(st.booleans()),
        takes_back=not labels & {"abuse", "threat"} and draw(st.booleans()),
        replies_known=draw(st.booleans()),
        vector=about(draw(st.integers(0, 3))),
        **scores,
    )


_outgoing = st.builds(
    Outgoing,
    at=_times.map(at),
    id=st.integers(0, 10**6).map(lambda n: f"o{n}"),
    channel=st.just("whatsapp"),
    person=st.booleans(),
    refuses=st.booleans(),
)
_changes = st.builds(
    TicketChange,
    at=_times.map(at),
    ticket=_names,
    type=st.sampled_from(["opened", "replied", "handed_over", "resolved", "reopened", "work"]),
    count=st.integers(1, 3),
)
_outcomes = st.builds(
    Outcome, at=_times.map(at), type=st.sampled_from(["purchase", "renewal", "cancellation"])
)
_ratings = st.builds(Rating, at=_times.map(at), rating=st.integers(1, 5))
_profiles = st.builds(
    Profile,
    at=_times.map(at),
    plan=st.none() | st.just("pro"),
    usage_volume=st.none() | st.floats(1, 100),
    monthly_value=st.none() | st.floats(1, 100),
)
events = st.one_of(incoming(), incoming(), _outgoing, _changes, _outcomes, _ratings, _profiles)
histories = st.lists(events, max_size=40)
