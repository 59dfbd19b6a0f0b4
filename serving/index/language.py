"""How the customer speaks: a rate of hostile language, the worst message, hostility close together."""

from __future__ import annotations

import math

import msgspec

from serving.index.decay import Sum, decayed
from serving.index.events import Incoming
from serving.index.settings import DAY, IndexSettings

_EVIDENCE = 24
_THREATS = 8
_FEW = 2.0
_ONE_THREAT_SECONDS = 6 * 3_600.0
"""Threats so close to each other are one threat in several lines."""


class Hostile(msgspec.Struct, frozen=True):
    """One message that weighs, with its severity (0 to 1)."""

    at: float
    id: str
    severity: float


class Peak(msgspec.Struct, frozen=True):
    """The worst message so far, as of `at`."""

    at: float
    id: str
    amount: float


class Language(msgspec.Struct):
    """Sums over the customer's messages; all forget.

    Attributes:
        messages: number of messages.
        severity: sum of their severities.
        recent: the same with a short half-life.
        hostile: number of messages with a label; an accusation under the company's fault has none.
        peak: the message whose forgetting worth is highest.
        grave_at, grave_ids: the last grave event and its messages.
        threats: times and ids of the last threats.
        evidence: the last messages with a severity above 0.
    """

    messages: Sum = msgspec.field(default_factory=Sum)
    severity: Sum = msgspec.field(default_factory=Sum)
    recent: Sum = msgspec.field(default_factory=Sum)
    hostile: Sum = msgspec.field(default_factory=Sum)
    peak: Peak | None = None
    grave_at: float | None = None
    grave_ids: list[str] = msgspec.field(default_factory=list)
    threats: list[tuple[float, str]] = msgspec.field(default_factory=list)
    evidence: list[Hostile] = msgspec.field(default_factory=list)

    def apply(self, message: Incoming, at_fault: bool, settings: IndexSettings) -> None:
        """Count one message; `at_fault` weakens its accusation, never abuse or threat."""
        severity = message_severity(message, at_fault, settings)
        self.messages.add(1.0, message.at, settings.half_life_days)
        self.severity.add(severity, message.at, settings.half_life_days)
        self.recent.add(severity, message.at, settings.intensification_half_life_days)
        if message.is_hostile(excused=at_fault):
            self.hostile.add(1.0, message.at, settings.half_life_days)
        if severity > 0:
            self.evidence.append(Hostile(message.at, message.id, severity))
            del self.evidence[:-_EVIDENCE]
        if message.threat >= settings.threat_probability or "threat" in message.labels:
            self._threat(message, settings)
        self._raise_peak(message, settings)

    def _threat(self, message: Incoming, settings: IndexSettings) -> None:
        since = message.at - settings.grave_days * DAY
        earlier = [i for at, i in self.threats if since <= at < message.at - _ONE_THREAT_SECONDS]
        if message.grave or earlier:
            self.grave_at = message.at
            self.grave_ids = [message.id] if message.grave else [*earlier, message.id]
        self.threats.append((message.at, message.id))
        del self.threats[:-_THREATS]

    def _raise_peak(self, message: Incoming, settings: IndexSettings) -> None:
        amount = max(
            settings.threat_peak * soft(message.threat, settings),
            settings.abuse_peak * soft(message.abuse, settings),
            settings.grave_peak if self.grave_at == message.at else 0.0,
        )
        if amount > self.peak_at(message.at, settings):
            self.peak = Peak(message.at, message.id, amount)

    def peak_at(self, at: float, settings: IndexSettings) -> float:
        """What the worst message is still worth, 0 to 1."""
        if self.peak is None:
            return 0.0
        half_life = settings.peak_half_life_days
        if self.peak.amount >= settings.grave_peak:
            half_life = settings.grave_half_life_days
        return decayed(self.peak.amount, at - self.peak.at, half_life)

    def intensification_at(self, at: float, settings: IndexSettings) -> float:
        """0 for one or two hostile messages, towards 1 for many within days of each other.

        It only ever grows with a message's severity (a difference of rates would not).
        """
        close = self.recent.read(at, settings.intensification_half_life_days)
        return 1.0 - math.exp(-max(0.0, close - _FEW))

    def rate_at(self, at: float, prior_rate: float, settings: IndexSettings) -> tuple[float, float]:
        """Rate of hostile language, shrunk towards the prior: the prior's part and the messages' own.

        A mean of the messages' severities with `prior_messages` messages of `prior_rate` added.
        """
        messages = self.messages.read(at, settings.half_life_days)
        severity = self.severity.read(at, settings.half_life_days)
        total = settings.prior_messages + messages
        return settings.prior_messages * prior_rate / total, severity / total

    def own_rate(self, at: float, settings: IndexSettings) -> float:
        """Mean severity of the customer's messages, 0 to 1; 0 when there is none."""
        messages = self.messages.read(at, settings.half_life_days)
        return self.severity.read(at, settings.half_life_days) / messages if messages else 0.0

    def worst(self, at: float, settings: IndexSettings, count: int = 10) -> list[str]:
        """Ids of the messages that weigh most at `at`, the heaviest first."""
        weighed = sorted(
            self.evidence,
            key=lambda e: -decayed(e.severity, at - e.at, settings.half_life_days),
        )
        return [e.id for e in weighed[:count]]


def soft(probability: float, settings: IndexSettings) -> float:
    """0 up to the soft threshold, then in proportion up to 1."""
    low = settings.soft_threshold
    return min(1.0, max(0.0, (probability - low) / (1.0 - low)))


def message_severity(message: Incoming, at_fault: bool, settings: IndexSettings) -> float:
    """Noisy-or of the three weighted probabilities, 0 to 1."""
    accusation = settings.accusation_weight
    if at_fault:
        accusation *= settings.accusation_under_fault
    return 1.0 - (
        (1.0 - settings.threat_weight * soft(message.threat, settings))
        * (1.0 - settings.abuse_weight * soft(message.abuse, settings))
        * (1.0 - accusation * soft(message.accusation, settings))
    )
