"""What follows from an archive's figures: what to keep in mind when reading them, and what to do next.

A finding is a fact with its figures; serving/templates/findings.*.txt has its sentence in each language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.archives.figures import Figures
from serving.archives.ranking import Ranking
from serving.index.reading import DRAINING, HURT, INFLAMED
from serving.index.settings import IndexSettings
from serving.index.words import Language
from serving.templating import texts

_FEW_MESSAGES = 300
_SOME_OTHER_LANGUAGE = 0.02
_SOME_ARABIZI = 0.05
_RARE_SEPARATION = 0.01
_ENOUGH_CUSTOMERS = 100
"""Of so many customers, a share above that of candidates for a separation points at the company."""


@dataclass(frozen=True)
class Finding:
    """A fact, with the figures that its sentence needs."""

    fact: str
    figures: Mapping[str, Any] = field(default_factory=dict)


def cautions(
    figures: Figures, ranking: Ranking, metrics: Mapping[str, Any], settings: IndexSettings
) -> list[Finding]:
    """What makes the figures less sure than they look; `metrics` are those of the model's manifest."""
    return [
        *_about_the_shares(figures, metrics),
        *_about_the_messages(figures),
        *_about_the_customers(ranking, settings),
    ]


def next_steps(figures: Figures, ranking: Ranking) -> list[Finding]:
    """What people may do now, the most urgent first."""
    messages = {
        "distress": figures.signs["distress"],
        "threats": figures.labels["threat"],
    }
    customers = {name: ranking.quadrants[name] for name in (HURT, INFLAMED, DRAINING)}
    rest = {"review": figures.every.review, "mend": figures.failed}
    labelled = figures.every.hostile + figures.every.accusing
    if labelled > figures.labels["threat"]:  # those are told of on their own
        rest = {"labelled": labelled} | rest
    counts = messages | customers
    steps = [Finding(fact, {"count": count}) for fact, count in counts.items() if count]
    steps += _separations(ranking)
    steps += [Finding(fact, {"count": count}) for fact, count in rest.items() if count]
    return steps or [Finding("nothing")]


def _false_alarms(metrics: Mapping[str, Any]) -> tuple[float, float] | None:
    """The lowest and the highest share of fair messages that got a label, over the model's test sets."""
    rates = [test["false_alarms"]["value"] for test in metrics.values() if test.get("false_alarms")]
    return (min(rates), max(rates)) if rates else None


def sentence(finding: Finding, language: Language) -> str:
    """A finding as a sentence or two.

    Raises:
        ValueError: the fact is unknown.
    """
    template = texts.get_template(f"findings.{language}.txt")
    text = template.render(finding.figures, fact=finding.fact, percent=percent).strip()
    if not text:
        raise ValueError(f"no sentence for {finding}")
    return text


def percent(value: float) -> str:
    """Such as "3.4%", "12%", and "<0.1%"."""
    if value == 0:
        return "0%"
    if value < 0.0005:
        return "<0.1%"
    return f"{value:.1%}" if value < 0.0995 else f"{value:.0%}"


def _about_the_shares(figures: Figures, metrics: Mapping[str, Any]) -> Iterator[Finding]:
    every = figures.every
    if every.messages < _FEW_MESSAGES:
        yield Finding("few_messages", {"count": every.messages})
    rates = _false_alarms(metrics)
    labelled = every.hostile + every.accusing
    if rates and labelled and every.share(labelled).value <= rates[1]:
        shares = {"share": every.share(labelled).value, "low": rates[0], "high": rates[1]}
        yield Finding("false_alarms", shares)


def _about_the_messages(figures: Figures) -> Iterator[Finding]:
    for language, least in (("other", _SOME_OTHER_LANGUAGE), ("arabizi", _SOME_ARABIZI)):
        group = figures.languages.get(language)
        if group and group.messages >= least * figures.every.messages:
            part = figures.every.share(group.messages).value
            yield Finding(language, {"count": group.messages, "share": part})
    for fact in ("truncated", "untimed", "nameless"):
        if count := getattr(figures, fact):
            yield Finding(fact, {"count": count})
    for role, count in figures.unread.items():
        yield Finding(f"unread_{role}", {"count": count})


def _about_the_customers(ranking: Ranking, settings: IndexSettings) -> Iterator[Finding]:
    if not ranking.customers:
        yield Finding("no_customers")
        return
    if ranking.highest is None:
        yield Finding("no_index")
    elif not ranking.quadrants:
        yield Finding("one_sided")
    elif unplaced := ranking.customers - ranking.quadrants.total():
        yield Finding("some_one_sided", {"count": unplaced})
    if ranking.customers < settings.portfolio_customers:
        counts = {"count": ranking.customers, "needed": settings.portfolio_customers}
        yield Finding("few_customers", counts)


def _separations(ranking: Ranking) -> Iterator[Finding]:
    if ranking.separations:
        part = ranking.separations / ranking.customers
        rare = part <= _RARE_SEPARATION or ranking.customers < _ENOUGH_CUSTOMERS
        figures = {"count": ranking.separations, "rare": rare, "share": part}
        yield Finding("separations", figures)
