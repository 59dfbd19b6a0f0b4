"""What is usual in the portfolio, on one day: the ground against which one customer is seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from serving.index.settings import IndexSettings

_MAD_TO_DEVIATION = 1.4826
"""Of a normal distribution (Rousseeuw and Croux 1993)."""

_LEAST_DEVIATION = 0.25
_LEAST_RATE, _MOST_RATE = 0.005, 0.1


class Usual(msgspec.Struct, frozen=True):
    """Median and robust deviation of the logarithm of a positive figure."""

    median: float
    deviation: float

    def score(self, value: float) -> float:
        """Robust deviations above the median."""
        return (math.log(max(value, 1e-9)) - self.median) / self.deviation


class Snapshot(msgspec.Struct, frozen=True):
    """The portfolio on one day.

    Attributes:
        day: ISO date, empty for the shipped figures.
        customers: how many had written.
        rate: usual rate of hostile language, 0 to 1.
        contacts: contacts of one customer in the volume window.
        per_value: the same per unit of monthly value.
        per_usage: the same per unit of usage, by plan.
    """

    day: str = ""
    customers: int = 0
    rate: float = 0.02
    contacts: Usual = Usual(math.log(3.0), 0.5)
    per_value: Usual | None = None
    per_usage: dict[str, Usual] = msgspec.field(default_factory=dict)

    def volume_score(
        self,
        contacts: float,
        plan: str | None,
        usage_volume: float | None,
        monthly_value: float | None,
    ) -> float:
        """How abnormal so many contacts are: against usage within the plan, else against value, else
        against all customers.
        """
        usage = self.per_usage.get(plan or "")
        if usage and usage_volume:
            return usage.score(contacts / usage_volume)
        if self.per_value and monthly_value:
            return self.per_value.score(contacts / monthly_value)
        return self.contacts.score(contacts)


class Member(msgspec.Struct, frozen=True):
    """What one customer adds to the snapshot: hostile rate, contacts in the window, profile."""

    rate: float
    contacts: float
    plan: str | None = None
    usage_volume: float | None = None
    monthly_value: float | None = None


def take_snapshot(day: str, members: Iterable[Member], settings: IndexSettings) -> Snapshot:
    """The portfolio's own figures, or the shipped ones while it has too few customers."""
    active = [member for member in members if member.contacts > 0]
    enough = settings.portfolio_customers
    if len(active) < enough:
        return Snapshot(day=day, customers=len(active))
    rate = float(np.mean([member.rate for member in active]))
    by_plan: dict[str, list[float]] = {}
    for member in active:
        if member.usage_volume:
            by_plan.setdefault(member.plan or "", []).append(member.contacts / member.usage_volume)
    values = [m.contacts / m.monthly_value for m in active if m.monthly_value]
    return Snapshot(
        day=day,
        customers=len(active),
        rate=min(max(rate, _LEAST_RATE), _MOST_RATE),
        contacts=_usual([member.contacts for member in active]),
        per_value=_usual(values) if len(values) >= enough else None,
        per_usage={plan: _usual(v) for plan, v in by_plan.items() if len(v) >= enough},
    )


def _usual(values: Sequence[float]) -> Usual:
    logs = np.log(np.maximum(values, 1e-9))
    median = float(np.median(logs))
    deviation = _MAD_TO_DEVIATION * float(np.median(np.abs(logs - median)))
    return Usual(median, max(deviation, _LEAST_DEVIATION))
