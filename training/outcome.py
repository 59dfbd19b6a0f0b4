"""What one check of the gate found, in figures and in plain words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from training.gate_checks import Rule

MIN_ROWS = 100
"""A figure of fewer rows is not checked."""

_DIGITS = 5


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes:
        rows: distinct rows of the figure; 0 for a limit or what was not measured.
        candidate, released: the figures; None where not checked (and for a limit, released).
        difference: how much better the candidate is; below 0, worse.
        low, high: one-sided bounds of the difference, each corrected for the number of checks of the
            rule that ran.
        checked: False when it was not measured, or on fewer than 100 rows.
    """

    name: str
    metric: str
    rule: str
    rows: int
    candidate: float | None
    released: float | None
    difference: float | None
    low: float | None
    high: float | None
    margin: float
    checked: bool
    passed: bool
    must: bool
    falls: bool
    why: str

    @property
    def unchecked(self) -> str:
        """Why it was not checked."""
        if self.rule == Rule.LIMIT:
            return "not checked: it was not measured"
        return f"not checked: {self.rows} rows, at least {MIN_ROWS} are needed"

    @property
    def told(self) -> str:
        """What came of it in plain words, such as: threats found: 55.1 % instead of 61.4 %, 6.3 points
        fewer.
        """
        return _told(self)

    def as_dict(self) -> dict[str, Any]:
        rounded = {
            key: round(value, _DIGITS) if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }
        return rounded | {"told": self.told}


def _told(outcome: Outcome) -> str:
    if not outcome.checked:
        return f"{outcome.metric}: {outcome.unchecked}" + (
            ", and it must be" if outcome.must else ""
        )
    if outcome.rule == Rule.LIMIT:
        return f"{outcome.metric}: {outcome.candidate:.3g}, at most {outcome.margin:g} is allowed"
    assert outcome.difference is not None
    unsure = not outcome.passed and outcome.difference > -outcome.margin
    if outcome.rule == Rule.NON_INFERIOR and unsure:
        return f"{_change(outcome)}; more than {100 * outcome.margin:g} point worse cannot be ruled out"
    if outcome.rule == Rule.BETTER and not outcome.passed:
        return f"{_change(outcome)} (no better beyond noise)"
    return _change(outcome)


def _change(outcome: Outcome) -> str:
    """Such as: threats found: 55.1 % instead of 61.4 %, 6.3 points fewer."""
    candidate, released, by = outcome.candidate, outcome.released, outcome.difference
    assert candidate is not None
    assert released is not None
    assert by is not None
    if abs(by) < 5e-4:
        return f"{outcome.metric}: {_figure(outcome, candidate)}, as before"
    more = "more" if candidate > released else "fewer"
    kind = more if _is_share(outcome) else "better" if by > 0 else "worse"
    size = f"{100 * abs(by):.1f} points"
    values = f"{_figure(outcome, candidate)} instead of {_figure(outcome, released)}"
    return f"{outcome.metric}: {values}, {size} {kind}"


def _is_share(outcome: Outcome) -> bool:
    return outcome.name.startswith(("recall_", "false_alarms"))


def _figure(outcome: Outcome, value: float) -> str:
    return f"{100 * value:.1f} %" if _is_share(outcome) else f"{value:.3f}"
