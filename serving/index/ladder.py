"""What a person may do next: a step on the ladder, with reasons for and against. Nothing is done here.

listen, repair                      the company's own part
boundary, warning                   words
repelling_price, step_down          terms
separation                          the last resort, with 30 to 60 days' notice
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from serving.index.reading import CALM, DRAINING, HURT, INFLAMED, Reading
from serving.index.settings import DAY, IndexSettings

NONE, LISTEN, REPAIR = "none", "listen", "repair"
BOUNDARY, WARNING, PRICE = "boundary", "warning", "repelling_price"
STEP_DOWN, SEPARATION = "step_down", "separation"
STEPS = (NONE, LISTEN, REPAIR, BOUNDARY, WARNING, PRICE, STEP_DOWN, SEPARATION)
_LADDER = (BOUNDARY, WARNING, PRICE, STEP_DOWN)
"""What is tried, in this order, before a separation."""

_NOTICEABLE = 0.5
"""Share of a quadrant's threshold from which listening pays."""

_FEW_MESSAGES = 5.0


@dataclass(frozen=True)
class Decision:
    """A step that a person took, at an instant."""

    step: str
    at: float


@dataclass(frozen=True)
class Reason:
    """A fact for or against the step, with the figures that its sentence needs."""

    fact: str
    figures: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Suggestion:
    """For a person to decide."""

    step: str
    prepare_separation: bool
    reasons_for: tuple[Reason, ...]
    reasons_against: tuple[Reason, ...]


@dataclass(frozen=True)
class Money:
    """What the customer pays and costs a month, where known."""

    monthly_value: float | None = None
    currency: str | None = None
    support_minutes: float | None = None


def suggest(
    reading: Reading, decisions: Sequence[Decision], money: Money, settings: IndexSettings
) -> Suggestion:
    """The next step for a reading, given the decisions on record up to its instant."""
    prepare = prepares_separation(reading, settings)
    step = _next_step(reading, decisions, prepare, settings)
    return Suggestion(
        step=step,
        prepare_separation=prepare,
        reasons_for=tuple(_for(reading, money, settings)),
        reasons_against=tuple(_against(reading, decisions, money, settings)),
    )


def prepares_separation(reading: Reading, settings: IndexSettings) -> bool:
    """Enough signs together for long enough, or a grave event; never for a hurt customer, for an
    inflamed one only after a grave event.
    """
    if reading.quadrant == HURT:
        return False
    if reading.grave_at is not None:
        return True
    return reading.quadrant != INFLAMED and _persists(reading, settings)


def _persists(reading: Reading, settings: IndexSettings) -> bool:
    since = reading.together_since
    return since is not None and reading.at - since >= settings.separation_days * DAY


def _next_step(
    reading: Reading, decisions: Sequence[Decision], prepare: bool, settings: IndexSettings
) -> str:
    taken = {decision.step for decision in decisions}
    if reading.quadrant == HURT:
        return REPAIR
    if reading.quadrant == INFLAMED and (REPAIR not in taken or reading.grave_at is None):
        return REPAIR
    if reading.quadrant == CALM and not prepare:
        noticed = (
            reading.index >= _NOTICEABLE * settings.toxic_index
            or reading.pain >= _NOTICEABLE * settings.hurt_pain
        )
        return LISTEN if noticed else NONE
    return _climb(reading, decisions, prepare, settings)


def _climb(
    reading: Reading,
    decisions: Sequence[Decision],
    prepare: bool,
    settings: IndexSettings,
) -> str:
    """The first step that was not tried, once the last one had its time; insults and threats begin
    with a warning.
    """
    if reading.grave_at is not None:
        return SEPARATION
    tried = [decision for decision in decisions if decision.step in _LADDER]
    if tried and reading.at - tried[-1].at < settings.step_days * DAY:
        return tried[-1].step
    highest = max((_LADDER.index(decision.step) for decision in tried), default=-1)
    if highest < 0 and any(s.active and s.name == "hostile_language" for s in reading.signs):
        return WARNING
    if highest + 1 < len(_LADDER):
        return _LADDER[highest + 1]
    return SEPARATION if prepare else _LADDER[-1]


def _for(reading: Reading, money: Money, settings: IndexSettings) -> Iterator[Reason]:
    if reading.quadrant in (DRAINING, INFLAMED):
        yield Reason("toxic", {"index": reading.index, "low": reading.low, "high": reading.high})
    if reading.quadrant in (HURT, INFLAMED):
        yield Reason("pain", {"pain": reading.pain})
    if reading.grave_at is not None:
        yield Reason("grave", {"days": _days(reading.at - reading.grave_at)})
    for sign in reading.signs:
        if sign.active and sign.since is not None:
            yield Reason("sign", {"sign": sign.name, "days": _days(reading.at - sign.since)})
    if reading.together_since is not None:
        days = _days(reading.at - reading.together_since)
        yield Reason("together", {"days": days, "needed": settings.separation_days})
    if money.support_minutes:
        yield Reason("cost", {"minutes": money.support_minutes})


def _against(
    reading: Reading, decisions: Sequence[Decision], money: Money, settings: IndexSettings
) -> Iterator[Reason]:
    if reading.pain >= _NOTICEABLE * settings.hurt_pain:
        yield Reason("own_fault", {"pain": reading.pain})
    if reading.messages < _FEW_MESSAGES:
        yield Reason("few_messages", {"messages": round(reading.messages, 1)})
    if reading.low < settings.toxic_index <= reading.index:
        yield Reason("unsure", {"low": reading.low, "high": reading.high})
    if money.monthly_value:
        yield Reason("value", {"value": money.monthly_value, "currency": money.currency or ""})
    untried = [step for step in _LADDER if step not in {d.step for d in decisions}]
    if reading.quadrant in (DRAINING, INFLAMED) and untried:
        yield Reason("untried", {"steps": ", ".join(untried)})


def _days(seconds: float) -> float:
    return float(int(seconds // DAY))
