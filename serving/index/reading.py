"""The reading of a customer as of an instant: index, interval, contributions, pain, quadrant, signs.

Both figures have the form index = 100 (1 - exp(-load)), with a load that is the sum of the loads of
its components, each 0 or more: a component's share of the load is its share of the index, so that
contributions add up, and no sum leaves 0 to 100.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from serving.index.load import load
from serving.index.portfolio import Snapshot
from serving.index.settings import DAY, IndexSettings
from serving.index.signs import Sign, read_signs, together_since
from serving.index.state import State

_Z80 = 1.2816
"""Of an 80 % interval of the normal distribution."""

CALM, HURT, DRAINING, INFLAMED = "calm", "hurt", "draining", "inflamed"


@dataclass(frozen=True)
class Contribution:
    """Points of one component, and the messages that are its evidence."""

    component: str
    points: float
    message_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What is known of a customer at an instant.

    Attributes:
        at: the instant, in seconds since 1970.
        index, low, high: 0 to 100, with its 80 % interval.
        contributions: of the index; their points add up to it.
        pain, pain_contributions: the same for the service pain.
        signs: all six, in their fixed order.
        together_since: since when enough signs for a separation have stood together.
        grave_at, grave_ids: the last grave event within its time.
        messages: effective number of messages that the index rests on.
    """

    at: float
    index: float
    low: float
    high: float
    contributions: tuple[Contribution, ...]
    pain: float
    pain_contributions: tuple[Contribution, ...]
    quadrant: str
    signs: tuple[Sign, ...]
    together_since: float | None
    grave_at: float | None
    grave_ids: tuple[str, ...]
    messages: float


_Loads = list[tuple[str, float, tuple[str, ...]]]


def read(state: State, at: float, settings: IndexSettings, snapshot: Snapshot) -> Reading:
    """The reading at `at`, which is not before the state's last event."""
    signs = read_signs(state, at, settings, snapshot)
    prior, language = state.language.rate_at(at, snapshot.rate, settings)
    fixed = list(_other_loads(state, at, settings, signs))
    loads: _Loads = [
        ("prior", prior / settings.rate_scale, ()),
        (
            "language",
            language / settings.rate_scale,
            tuple(state.language.worst(at, settings)),
        ),
        *fixed,
    ]
    index, contributions = _points(loads)
    low, high = _interval(state, at, prior + language, sum(load for _, load, _ in fixed), settings)
    pain_loads = [(name, load, tuple(ids)) for name, load, ids in state.service.loads(at, settings)]
    pain, pain_contributions = _points(pain_loads)
    grave = _recent_grave(state, at, settings)
    return Reading(
        at=at,
        index=index,
        low=min(low, index),
        high=max(high, index),
        contributions=contributions,
        pain=pain,
        pain_contributions=pain_contributions,
        quadrant=quadrant_of(index, pain, settings),
        signs=tuple(signs),
        together_since=together_since(signs, settings),
        grave_at=grave,
        grave_ids=tuple(state.language.grave_ids) if grave is not None else (),
        messages=state.language.messages.read(at, settings.half_life_days),
    )


def quadrant_of(index: float, pain: float, settings: IndexSettings) -> str:
    toxic, hurt = index >= settings.toxic_index, pain >= settings.hurt_pain
    if toxic:
        return INFLAMED if hurt else DRAINING
    return HURT if hurt else CALM


def _other_loads(
    state: State, at: float, settings: IndexSettings, signs: Iterable[Sign]
) -> Iterator[tuple[str, float, tuple[str, ...]]]:
    language = state.language
    peak = language.peak_at(at, settings)
    yield "peak", load(peak.amount), (peak.id,)
    close = settings.intensification_weight * language.intensification_at(at, settings)
    recent = tuple(e.id for e in language.evidence if at - e.at <= 14 * DAY)
    yield "intensification", load(close), recent
    for sign in signs:
        weight: float = getattr(settings, f"{sign.name}_weight")
        yield sign.name, load(weight * sign.strength(at, settings)), sign.message_ids
    yield "team_rating", load(settings.rating_weight * _rating(state, at, settings)), ()


def _rating(state: State, at: float, settings: IndexSettings) -> float:
    """How far the team rates the customer above 3, 0 to 1, shrunk by one rating of 3 and forgotten."""
    number = state.rated.read(at, settings.rating_half_life_days)
    total = state.ratings.read(at, settings.rating_half_life_days)
    return max(0.0, (total - 3.0 * number) / 2.0 / (1.0 + number))


def _interval(
    state: State, at: float, rate: float, fixed: float, settings: IndexSettings
) -> tuple[float, float]:
    """80 % interval of the index from that of the rate of hostile language.

    Normal approximation of a Beta posterior with the mean `rate` and as many observations as there
    are messages, the prior's included.
    """
    observations = settings.prior_messages + state.language.messages.read(
        at, settings.half_life_days
    )
    spread = _Z80 * math.sqrt(rate * (1.0 - min(rate, 1.0)) / (observations + 1.0))
    low, high = max(0.0, rate - spread), min(1.0, rate + spread)
    return (
        _figure(low / settings.rate_scale + fixed),
        _figure(high / settings.rate_scale + fixed),
    )


def _figure(load: float) -> float:
    return round(100.0 * -math.expm1(-load), 2)


def _points(loads: _Loads) -> tuple[float, tuple[Contribution, ...]]:
    """The figure, in hundredths, and each component's share, which add up to it exactly."""
    total = sum(load for _, load, _ in loads)
    hundredths = round(_figure(total) * 100)
    exact = [hundredths * load / total if total else 0.0 for _, load, _ in loads]
    points = [math.floor(share) for share in exact]
    rest = sorted(range(len(loads)), key=lambda i: points[i] - exact[i])
    for i in rest[: hundredths - sum(points)]:
        points[i] += 1
    contributions = tuple(
        Contribution(name, share / 100, ids if share else ())
        for (name, _, ids), share in zip(loads, points, strict=True)
    )
    return hundredths / 100, contributions


def _recent_grave(state: State, at: float, settings: IndexSettings) -> float | None:
    grave = state.language.grave_at
    if grave is None or at - grave > settings.grave_days * DAY:
        return None
    return grave
