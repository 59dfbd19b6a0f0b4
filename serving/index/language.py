"""How the customer speaks: a rate of hostile language, the worst message, hostility close together."""

from __future__ import annotations

import math

import msgspec

from serving.index.decay import Sum, decayed
from serving.index.events import Incoming
from serving.index.settings import DAY, IndexSettings

_EVIDENCE = 24
_THREATS = 24
_FEW = 2.0
_ONE_THREAT_SECONDS = 6 * 3_600.0
"""Threats so close to each other are one threat in several lines."""

_TAKEN_BACK_DAYS = 7.0
"""So long after a threat words can take it back."""

_LEAST_THREAT = 0.5
"""Probability from which a message may be the first of two threats."""

_DOUBT = 0.15
"""So far below `grave_probability` a grave event adds nothing yet, so far above it all it can."""


class Hostile(msgspec.Struct, frozen=True):
    """One message that weighs, with its severity (0 to 1)."""

    at: float
    id: str
    severity: float


class Peak(msgspec.Struct, frozen=True):
    """The message whose worth was highest, as of `at`."""

    at: float = 0.0
    id: str = ""
    amount: float = 0.0

    def read(self, at: float, half_life_days: float) -> Peak:
        """What is left of it."""
        return Peak(at, self.id, decayed(self.amount, at - self.at, half_life_days))

    def raised(self, other: Peak, half_life_days: float) -> Peak:
        """The higher one at the time of `other`, which is not before this one's."""
        return other if other.amount > self.read(other.at, half_life_days).amount else self


class Threat(msgspec.Struct, frozen=True):
    """One threat; `grave` when it was a grave event alone."""

    at: float
    id: str
    probability: float
    grave: bool


class Language(msgspec.Struct):
    """Sums over the customer's messages; all forget.

    Attributes:
        messages: number of messages.
        severity: sum of their severities.
        recent: the same with a short half-life.
        hostile: number of messages with a label; an accusation under the company's fault has none.
        peak, grave_peak: the worst insult or threat, and the gravest event; that is forgotten more
            slowly.
        grave_at, grave_ids: the last grave event and its messages.
        threats: the last ones that were not taken back.
        evidence: the last messages with a severity above 0.
    """

    messages: Sum = msgspec.field(default_factory=Sum)
    severity: Sum = msgspec.field(default_factory=Sum)
    recent: Sum = msgspec.field(default_factory=Sum)
    hostile: Sum = msgspec.field(default_factory=Sum)
    peak: Peak = Peak()
    grave_peak: Peak = Peak()
    grave_at: float | None = None
    grave_ids: list[str] = msgspec.field(default_factory=list)
    threats: list[Threat] = msgspec.field(default_factory=list)
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
        if message.takes_back:
            self._take_back(message.at)
        self._raise_peaks(message, self._threat(message, settings), settings)

    def _take_back(self, at: float) -> None:
        """Recent threats count no more as the first of two, unless one was grave alone."""
        since = at - _TAKEN_BACK_DAYS * DAY
        self.threats = [t for t in self.threats if t.grave or t.at < since]

    def _threat(self, message: Incoming, settings: IndexSettings) -> float:
        """Note a threat; the probability (0 to 1) of a grave event, which is a threat of a grave kind
        or a second one of any kind.
        """
        since = message.at - settings.grave_days * DAY
        earlier = [t for t in self.threats if since <= t.at < message.at - _ONE_THREAT_SECONDS]
        first = max(earlier, key=lambda t: t.probability, default=None)
        both = first.probability * message.threat if first else 0.0
        alone = message.grave >= settings.grave_probability
        if alone or both >= settings.grave_probability:
            self.grave_at = message.at
            self.grave_ids = [first.id, message.id] if first and not alone else [message.id]
        if message.threat >= _LEAST_THREAT:
            self.threats.append(Threat(message.at, message.id, message.threat, alone))
            del self.threats[:-_THREATS]
        return max(message.grave, both)

    def _raise_peaks(self, message: Incoming, grave: float, settings: IndexSettings) -> None:
        """`grave`: probability of a grave event."""
        worst = max(
            settings.threat_peak * soft(message.threat, settings),
            settings.abuse_peak * soft(message.abuse, settings),
        )
        doubtful = settings.grave_probability - _DOUBT
        worth = settings.grave_peak * min(1.0, max(0.0, (grave - doubtful) / (2 * _DOUBT)))
        at, identity = message.at, message.id
        self.peak = self.peak.raised(Peak(at, identity, worst), settings.peak_half_life_days)
        self.grave_peak = self.grave_peak.raised(
            Peak(at, identity, worth), settings.grave_half_life_days
        )

    def peak_at(self, at: float, settings: IndexSettings) -> Peak:
        """The worst message, and what it is still worth, 0 to 1."""
        return max(
            self.peak.read(at, settings.peak_half_life_days),
            self.grave_peak.read(at, settings.grave_half_life_days),
            key=lambda peak: peak.amount,
        )

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
