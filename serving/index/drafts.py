"""What a person may send a customer, and the reasons of a suggestion, in English and Arabic.

The texts themselves are serving/templates/drafts.*.txt and reasons.*.txt. A draft states only what the
reading holds, names no score, and leaves in [square brackets] what its sender must fill in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serving.index import words
from serving.index.ladder import NONE, Reason, Suggestion
from serving.index.reading import Reading
from serving.index.words import LANGUAGES
from serving.templating import texts

_FELT = 1.0
"""Points of pain from which a fault is named: an older one is forgotten."""

_MOST_COUNTED = 10
"""Lists of evidence are bounded, the shortest at so many: from here on a count is "or more"."""

_PRICE_FACTORS = (3, 4)


@dataclass(frozen=True)
class Facts:
    """What a draft may name of the customer beside the reading; None where unknown."""

    name: str | None = None
    monthly_value: float | None = None
    currency: str | None = None
    plan: str | None = None


def drafts(suggestion: Suggestion, reading: Reading, facts: Facts) -> dict[str, str]:
    """A text for the suggested step, by language; empty where nothing is to be sent."""
    return {language: _draft(suggestion.step, reading, facts, language) for language in LANGUAGES}


def sentence(reason: Reason, language: str) -> str:
    """A reason as one sentence for the team (it may name scores: it is not for the customer).

    Raises:
        ValueError: the fact is unknown.
    """
    text = _render("reasons", language, fact=reason.fact, **reason.figures)
    if not text:
        raise ValueError(f"no sentence for {reason}")
    return text


def _draft(step: str, reading: Reading, facts: Facts, language: str) -> str:
    if step == NONE:
        return ""
    return _render(
        "drafts",
        language,
        step=step,
        name=_line(facts.name),
        plan=_line(facts.plan),
        value=words.amount(facts.monthly_value, facts.currency) if facts.monthly_value else None,
        prices=_prices(facts),
        faults=_faults(reading),
        signs={sign.name: sign if sign.active else None for sign in reading.signs},
        hostile=next((s for s in reading.signs if s.name == "hostile_language" and s.since), None),
        reading=reading,
    )


def _line(text: str | None) -> str | None:
    """On one line, and None when there is nothing in it."""
    return " ".join(text.split()) or None if text else None


def _prices(facts: Facts) -> list[str]:
    """From and to: at renewal, for the dedicated support that the customer takes."""
    value = facts.monthly_value
    return [words.amount(factor * value, facts.currency) for factor in _PRICE_FACTORS if value]


def _faults(reading: Reading) -> dict[str, tuple[str, ...]]:
    """The company's own faults, the worst first, each with its messages."""
    felt = [fault for fault in reading.pain_contributions if fault.points >= _FELT]
    felt.sort(key=lambda fault: -fault.points)
    return {fault.component: fault.message_ids for fault in felt}


def _render(kind: str, language: str, **values: Any) -> str:
    def count(evidence: tuple[str, ...]) -> str:
        if len(evidence) < _MOST_COUNTED:
            return str(len(evidence))
        return f"{_MOST_COUNTED} أو أكثر" if language == "ar" else f"{_MOST_COUNTED} or more"

    text = texts.get_template(f"{kind}.{language}.txt").render(
        values,
        count=count,
        date=lambda at: words.date(at, language),
        span=lambda number: words.days(number, language),
        name_of=lambda word: words.name_of(word, language),
        amount=words.amount,
    )
    return text.strip()
