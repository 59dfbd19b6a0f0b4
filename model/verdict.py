"""What the model says of one message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DIGITS = 4


@dataclass(frozen=True)
class Verdict:
    """Calibrated probabilities (0 to 1) and what follows from them.

    Attributes:
        language: ar, arabizi, mixed, en, other.
        script: Arab, Latn, Mixed, Zyyy.
        scores: abuse, threat, accusation.
        labels: those of the three at or above the shipped balanced thresholds.
        threat_kind: physical, private_data, job, reputation.
        sentiment: negative, neutral, positive; sums to 1.
        signs: off_channel, out_of_scope, refund_demand, escalation, leaving, distress.
        needs_review: the model is unsure; a person should look.
        truncated: the text was longer than the model reads; its end was not judged.
        model: the version of the model.
        vector: L2-normalised sentence vector [256]; near for the same complaint in other words.
    """

    language: str
    script: str
    scores: dict[str, float]
    labels: tuple[str, ...]
    threat_kind: dict[str, float]
    sentiment: dict[str, float]
    signs: dict[str, float]
    needs_review: bool
    truncated: bool
    model: str
    vector: NDArray[np.float32] = field(compare=False, repr=False)

    @property
    def likeliest_threat(self) -> str | None:
        """The kind of threat that is likeliest; None of a message that is not labelled a threat."""
        kinds = self.threat_kind
        return max(kinds, key=kinds.__getitem__) if "threat" in self.labels else None

    def as_dict(self) -> dict[str, Any]:
        """The verdict as it goes over the wire (probabilities rounded to 4 digits, no vector)."""
        return {
            "language": self.language,
            "script": self.script,
            "scores": _rounded(self.scores),
            "labels": list(self.labels),
            "threat_kind": _rounded(self.threat_kind),
            "sentiment": _rounded(self.sentiment),
            "signs": _rounded(self.signs),
            "needs_review": self.needs_review,
            "truncated": self.truncated,
            "model": self.model,
        }


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in values.items()}
