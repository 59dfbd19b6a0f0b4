"""What is worth telling somebody: changes in where a customer stands, never the standing itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from serving.index.ladder import prepares_separation
from serving.index.reading import CALM, Reading
from serving.index.settings import IndexSettings


@dataclass(frozen=True)
class Standing:
    """Where a customer stands, as far as alerts go."""

    quadrant: str = CALM
    signs: frozenset[str] = frozenset()
    prepare_separation: bool = False
    grave_at: float | None = None


@dataclass(frozen=True)
class Alert:
    """A change; `kind` is quadrant, sign, prepare_separation or grave."""

    kind: str
    details: dict[str, object] = field(default_factory=dict)


def standing_of(reading: Reading, settings: IndexSettings) -> Standing:
    return Standing(
        quadrant=reading.quadrant,
        signs=frozenset(sign.name for sign in reading.signs if sign.active),
        prepare_separation=prepares_separation(reading, settings),
        grave_at=reading.grave_at,
    )


def changes(before: Standing, after: Standing) -> list[Alert]:
    """The alerts between two standings; a new customer was calm before."""
    found = []
    if after.quadrant != before.quadrant:
        found.append(Alert("quadrant", {"before": before.quadrant, "after": after.quadrant}))
    found += [Alert("sign", {"sign": name}) for name in sorted(after.signs - before.signs)]
    if after.prepare_separation and not before.prepare_separation:
        found.append(Alert("prepare_separation"))
    if after.grave_at is not None and after.grave_at != before.grave_at:
        found.append(Alert("grave"))
    return found
