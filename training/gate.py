"""The gate: whether a candidate may take the released model's place.

It passes when no check of the named list fails and something is better beyond noise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evidence import Evidence, Hidden, Menu, Probabilities, Reading
from training.figures import Sample
from training.gate_checks import CHECKS, IMPROVEMENTS, Check, Rule
from training.outcome import MIN_ROWS, Outcome
from training.paired import Weights, draw_weights, lower_bound, over_draws, upper_bound
from training.rows import Row, clusters_of

__all__ = ["CHECKS", "IMPROVEMENTS", "MIN_ROWS", "Gate", "Outcome", "decide", "run_gate"]

RISK = 0.05
RESAMPLES = 2_000


@dataclass(frozen=True)
class Gate:
    """The outcome of every check, in the list's order, and of every improvement looked for."""

    candidate: str
    released: str
    checks: tuple[Outcome, ...]
    better: tuple[Outcome, ...]
    seed: int
    resamples: int

    @property
    def failures(self) -> list[Outcome]:
        return [outcome for outcome in self.checks if not outcome.passed]

    @property
    def improvements(self) -> list[Outcome]:
        return [outcome for outcome in self.better if outcome.passed]

    @property
    def passed(self) -> bool:
        return not self.failures and bool(self.improvements)

    def as_dict(self) -> dict[str, Any]:
        """The content of gate.json."""
        return {
            "verdict": "passed" if self.passed else "refused",
            "candidate": self.candidate,
            "released": self.released,
            "checks": [outcome.as_dict() for outcome in self.checks],
            "better": [outcome.as_dict() for outcome in self.better],
            "seed": self.seed,
            "resamples": self.resamples,
        }


def run_gate(
    candidate_probabilities: Probabilities,
    released_probabilities: Probabilities,
    rows: list[Row],
    fresh: list[Row],
    *,
    thresholds: tuple[Menu, Menu],
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
    hidden: Sequence[Hidden] = (),
    hidden_probabilities: tuple[Probabilities, Probabilities] | None = None,
    speed_ratio: float | None = None,
    megabytes: float | None = None,
    suspicious_share: float | None = None,
    models: tuple[str, str] = ("candidate", "released"),
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Gate:
    """The gate on arrays; `decide` does the same on what `training.evidence.gather` read.

    Probabilities are [rows + fresh, 16], the frozen test rows first. Pairs are the candidate's and the
    released model's; `megabytes` is of the candidate's graph, vectors are [rows, 256].

    Raises:
        ValueError: probabilities are not of all rows.
    """

    def reading(side: int, probabilities: Probabilities) -> Reading:
        if len(probabilities) != len(rows) + len(fresh):
            raise ValueError(
                f"{len(probabilities)} probabilities for {len(rows)} test rows and {len(fresh)} new"
                " ones: give one row of probabilities for each, the test rows first"
            )
        return Reading(
            models[side],
            thresholds[side],
            probabilities[: len(rows)],
            probabilities[len(rows) :],
            vectors[side] if vectors else None,
            hidden_probabilities[side] if hidden_probabilities else None,
            None if side else megabytes,
        )

    candidate, released = reading(0, candidate_probabilities), reading(1, released_probabilities)
    evidence = Evidence(rows, fresh, candidate, released, hidden, speed_ratio, suspicious_share)
    return decide(evidence, seed, resamples)


def decide(evidence: Evidence, seed: int = 0, resamples: int = RESAMPLES) -> Gate:
    """Run every check and look for every improvement.

    The same evidence and seed give the same gate.
    """
    weights = {
        fresh: draw_weights(clusters_of(rows), resamples, seed)
        for fresh, rows in ((False, evidence.rows), (True, evidence.fresh))
    }
    return Gate(
        evidence.candidate.model,
        evidence.released.model,
        _run(CHECKS, evidence, weights),
        _run(IMPROVEMENTS, evidence, weights),
        seed,
        resamples,
    )


def _run(
    checks: Sequence[Check], evidence: Evidence, weights: dict[bool, Weights]
) -> tuple[Outcome, ...]:
    """Bonferroni's correction is for the checks of the same rule that have enough rows."""
    measured = [(check, check.measure(evidence)) for check in checks]
    ran = Counter(check.rule for check, found in measured if _enough(found))
    return tuple(
        _test(check, found, weights[found.fresh], RISK / max(1, ran[check.rule]))
        if isinstance(found, Sample) and _enough(found)
        else _limit(check, found)
        if isinstance(found, float)
        else _unchecked(check, found)
        for check, found in measured
    )


def _rows(found: Sample | float | None) -> int:
    return len(np.unique(found.index)) if isinstance(found, Sample) else 0


def _enough(found: Sample | float | None) -> bool:
    return _rows(found) >= MIN_ROWS


def _test(check: Check, sample: Sample, weights: Weights, risk: float) -> Outcome:
    candidate = over_draws(sample.candidate, weights, sample.index)
    released = over_draws(sample.released, weights, sample.index)
    gains = released - candidate if check.falls else candidate - released
    low, high = lower_bound(gains[1:], risk), upper_bound(gains[1:], risk)
    passed = {
        Rule.NON_INFERIOR: low > -check.margin,
        Rule.NOT_WORSE: high >= 0,
        Rule.BETTER: low > 0,
    }[check.rule]
    figures = float(candidate[0]), float(released[0]), float(gains[0])
    return _outcome(check, _rows(sample), *figures, low, high, passed=passed)


def _limit(check: Check, figure: float) -> Outcome:
    passed = figure <= check.margin
    return _outcome(check, 0, figure, None, None, None, None, passed=passed)


def _unchecked(check: Check, sample: Sample | float | None) -> Outcome:
    passed = not check.must and check.rule is not Rule.BETTER
    nothing = (None,) * 5
    return _outcome(check, _rows(sample), *nothing, passed=passed, checked=False)


def _outcome(
    check: Check,
    rows: int,
    candidate: float | None,
    released: float | None,
    difference: float | None,
    low: float | None,
    high: float | None,
    passed: bool,
    checked: bool = True,
) -> Outcome:
    return Outcome(
        check.name,
        check.metric,
        check.rule.value,
        rows,
        candidate,
        released,
        difference,
        low,
        high,
        check.margin if check.rule in (Rule.NON_INFERIOR, Rule.LIMIT) else 0.0,
        checked,
        bool(passed),
        check.must,
        check.falls,
        check.why,
    )
