"""Exponential forgetting, and the sums that forget."""

from __future__ import annotations

import math

import msgspec

from serving.index.settings import DAY


def decayed(value: float, seconds: float, half_life_days: float) -> float:
    """`value` after `seconds`, halved every `half_life_days`; never more than `value`."""
    return value * math.exp2(-max(seconds, 0.0) / (half_life_days * DAY))


def ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, and between them by ratio (logarithmic), as waiting is felt."""
    if value <= low:
        return 0.0
    return min(1.0, math.log(value / low) / math.log(high / low)) if high > low else 1.0


class Sum(msgspec.Struct):
    """A sum of amounts that are forgotten with a half-life, as of `at`."""

    amount: float = 0.0
    at: float = 0.0

    def read(self, at: float, half_life_days: float) -> float:
        return decayed(self.amount, at - self.at, half_life_days)

    def add(self, amount: float, at: float, half_life_days: float) -> None:
        """Add an amount at a time not before the last one."""
        self.amount = self.read(at, half_life_days) + amount
        self.at = at
