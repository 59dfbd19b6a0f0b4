"""What is known about a simulated customer, and what should therefore be found.

The figures are those of the design (`index.md`), not settings: a sign stands while evidence comes
at least every 6 weeks, 3 signs together for 6 weeks prepare a separation, a grave event does for 90
days; never for a hurt customer, for an inflamed one only when grave.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

Archetype = Literal["calm", "hurt", "draining", "inflamed"]
ARCHETYPES: tuple[Archetype, ...] = ("calm", "hurt", "draining", "inflamed")
SIGNS = (
    "volume",
    "repetition",
    "hostile_language",
    "informal_channel",
    "scope_creep",
    "unproductive_discussion",
)
GRAVE_KINDS = frozenset({"physical", "private_data"})
_GAP = timedelta(weeks=6)
_TOGETHER = timedelta(weeks=6)
_GRAVE_FOR = timedelta(days=90)
_SIGNS_NEEDED = 3
_HOSTILE_MESSAGES = 3  # two sharp sentences are not yet hostile language


@dataclass
class Truth:
    archetype: Archetype
    begins: datetime | None
    kind: str = ""
    evidence: dict[str, list[datetime]] = field(default_factory=dict)
    threats: list[tuple[datetime, str]] = field(default_factory=list)

    def add(self, sign: str, at: datetime) -> None:
        self.evidence.setdefault(sign, []).append(at)

    def cut(self, until: datetime) -> None:
        """Forget what was planned for after `until`, and order the rest."""
        self.evidence = {
            sign: kept
            for sign, times in sorted(self.evidence.items())
            if (kept := sorted(at for at in times if at < until))
        }
        self.threats = sorted(threat for threat in self.threats if threat[0] < until)

    def standing(self, at: datetime) -> dict[str, datetime]:
        """The intended signs that stand at `at`, and since when."""
        since = {sign: _standing_since(sign, times, at) for sign, times in self.evidence.items()}
        return {sign: began for sign, began in since.items() if began is not None}

    def grave_events(self) -> list[datetime]:
        """Threats of a grave kind, and each further threat within 90 days of one before."""
        events, last = [], None
        for at, kind in self.threats:
            if kind in GRAVE_KINDS or (last is not None and at - last <= _GRAVE_FOR):
                events.append(at)
            last = at
        return events

    def warrants_separation(self, at: datetime) -> bool:
        if self.archetype in {"calm", "hurt"}:
            return False
        grave = any(event <= at <= event + _GRAVE_FOR for event in self.grave_events())
        together = self.together(at)
        return grave or (self.archetype == "draining" and together >= _TOGETHER)

    def together(self, at: datetime) -> timedelta:
        """How long at least three intended signs have stood together at `at`."""
        began = sorted(self.standing(at).values())
        return at - began[_SIGNS_NEEDED - 1] if len(began) >= _SIGNS_NEEDED else timedelta(0)

    def is_close_call(self, at: datetime) -> bool:
        """Whether a fortnight more or less would change `warrants_separation`."""
        shifts = (timedelta(0), timedelta(weeks=2), -timedelta(weeks=2))
        if self.archetype != "draining":
            return False
        return len({self.together(at) + shift >= _TOGETHER for shift in shifts}) > 1


def _standing_since(sign: str, times: list[datetime], at: datetime) -> datetime | None:
    seen = [time for time in times if time <= at]
    if not seen or at - seen[-1] > _GAP:
        return None
    first = len(seen) - 1
    while first and seen[first] - seen[first - 1] <= _GAP:
        first -= 1
    if sign == "hostile_language":
        first += _HOSTILE_MESSAGES - 1
    return seen[first] if first < len(seen) else None
