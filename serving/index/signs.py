"""The six early signs of a state as of an instant: which stand, since when, on what evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from serving.index.decay import decayed
from serving.index.portfolio import Snapshot
from serving.index.settings import DAY, IndexSettings
from serving.index.state import State

SIGNS = (
    "volume",
    "repetition",
    "hostile_language",
    "informal_channel",
    "scope_creep",
    "unproductive_discussion",
)
_FRESH_DAYS = 14.0
"""So long after its last evidence a sign has its full weight; then it fades."""
_FIRST_WEIGHT = 0.5
"""Of its weight a sign has this share when it has just begun to stand, and all of it with one more
episode: one message read wrongly moves the index half as far."""


@dataclass(frozen=True)
class Sign:
    """One early sign.

    Attributes:
        active: it stands.
        since: its first evidence, in seconds since 1970; None when there is none or it has lapsed.
        last: its last evidence.
        message_ids: the last messages that are its evidence.
        weight: share of its full weight, 0 to 1, that its evidence gives it.
    """

    name: str
    active: bool
    since: float | None = None
    last: float | None = None
    message_ids: tuple[str, ...] = ()
    weight: float = 1.0

    def strength(self, at: float, settings: IndexSettings) -> float:
        """Its weight while evidence is fresh, less as it ages, 0 when the sign does not stand."""
        if not self.active or self.last is None:
            return 0.0
        return decayed(self.weight, at - self.last - _FRESH_DAYS * DAY, settings.half_life_days)


def read_signs(state: State, at: float, settings: IndexSettings, snapshot: Snapshot) -> list[Sign]:
    """All six, in their fixed order."""
    needed = {
        "repetition": settings.repetition_count,
        "hostile_language": settings.hostile_count,
        "informal_channel": settings.informal_count,
        "scope_creep": settings.scope_count,
        "unproductive_discussion": 1,
    }
    return [
        _volume(state, at, settings, snapshot)
        if name == "volume"
        else _by_evidence(state, name, needed[name], at, settings)
        for name in SIGNS
    ]


def _by_evidence(state: State, name: str, needed: int, at: float, settings: IndexSettings) -> Sign:
    run = state.behaviour.runs.get(name)
    if run is None or at - run.last > settings.sign_gap_days * DAY:
        return Sign(name, False)
    active = run.count >= needed
    if name == "hostile_language":
        hostile = state.language.hostile.read(at, settings.half_life_days)
        written = state.language.messages.read(at, settings.half_life_days)
        active = active and hostile >= settings.hostile_share * written
    ids = tuple(identity for _, identity in run.recent)
    weight = 1.0 if run.count > needed else _FIRST_WEIGHT
    return Sign(name, active, run.since, run.last, ids, weight)


def _volume(state: State, at: float, settings: IndexSettings, snapshot: Snapshot) -> Sign:
    """Abnormal since the first day of the present run of days whose window was."""
    gap = settings.sign_gap_days * DAY
    since = last = None
    for day in _abnormal_days(state, settings, snapshot):
        if last is None or day - last > gap:
            since = day
        last = day
    if since is None or last is None or at - last > gap:
        return Sign("volume", False)
    ids = tuple(i for time, i in state.behaviour.contact_ids if time >= since and i)
    return Sign("volume", True, since, last, ids)


def _abnormal_days(state: State, settings: IndexSettings, snapshot: Snapshot) -> Iterator[float]:
    """The beginning of every day with a contact whose window up to then is abnormal."""
    window = settings.volume_window_days
    contacts = state.behaviour.contacts
    first = total = 0
    for day, count in contacts:
        total += count
        while contacts[first][0] <= day - window:
            total -= contacts[first][1]
            first += 1
        if total >= settings.volume_contacts and _is_abnormal(total, state, settings, snapshot):
            yield day * DAY


def _is_abnormal(contacts: int, state: State, settings: IndexSettings, snapshot: Snapshot) -> bool:
    score = snapshot.volume_score(contacts, state.plan, state.usage_volume, state.monthly_value)
    return score >= settings.volume_deviations


def contacts_in_window(state: State, at: float, settings: IndexSettings) -> int:
    """Contacts of the customer's own accord in the volume window up to `at`."""
    first = int(at // DAY) - settings.volume_window_days
    return sum(count for day, count in state.behaviour.contacts if day > first)


def together_since(signs: list[Sign], settings: IndexSettings) -> float | None:
    """Since when as many signs as a separation needs have stood together; None when they do not."""
    starts = sorted(sign.since for sign in signs if sign.active and sign.since is not None)
    needed = settings.separation_signs
    return starts[needed - 1] if len(starts) >= needed else None
