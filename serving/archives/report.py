"""The report of a scored archive: one HTML page that needs nothing from elsewhere and runs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import NamedTuple

from model.manifest import Manifest
from serving.archives.failures import in_arabic
from serving.archives.figures import Figures, Group, Period, Quote, Span
from serving.archives.findings import cautions, next_steps, percent, sentence
from serving.archives.gathering import OTHERS
from serving.archives.masking import KNOWN_CHANNELS, displayed, mask
from serving.archives.ranking import Customer, Ranking
from serving.index import words
from serving.index.settings import IndexSettings
from serving.index.words import Language
from serving.templating import pages

_MOST_INPUTS = 12
_FEW = 20
"""Messages below which a share says little."""

_SCALES = (0.1, 0.2, 0.3, 0.5, 1.0)

_MOST_EVIDENCE = 3
"""Messages shown of a customer."""


@dataclass(frozen=True)
class Input:
    """A file that was read: its name, its format, and the column of each role that was found."""

    name: str
    format: str
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What a report tells.

    Attributes:
        inputs: the files that were read.
        manifest: of the model that scored.
        settings: those with which the customers' indices were made.
    """

    inputs: Sequence[Input]
    figures: Figures
    ranking: Ranking
    manifest: Manifest
    settings: IndexSettings = field(default_factory=IndexSettings)


def render(report: Report, language: Language, masked: bool) -> str:
    """The page; `masked` hides texts, customers, files, other names and values of the archive."""
    figures = report.figures
    span, periods = figures.periods()
    return pages.get_template("report.html").render(
        report=report,
        figures=figures,
        ranking=report.ranking,
        every=figures.every,
        inputs=report.inputs[:_MOST_INPUTS],
        span=span,
        periods=periods,
        chart=_chart(periods),
        channels=_largest(figures.channels),
        languages=_largest(figures.languages),
        cautions=[
            sentence(finding, language)
            for finding in cautions(
                figures, report.ranking, report.manifest.metrics, report.settings
            )
        ],
        steps=[sentence(finding, language) for finding in next_steps(figures, report.ranking)],
        masked=masked,
        say=lambda english, arabic: arabic if language == "ar" else english,
        percent=percent,
        top_of=_top_of,
        scale=_scale,
        show=_Show(language, masked, figures.channels),
        evidence_of=lambda customer: evidence_of(customer, figures),
    )


def evidence_of(customer: Customer, figures: Figures) -> list[Quote]:
    """A customer's messages to show, each text once: threats first, then as they weigh."""
    keys = ((customer.id, identity) for identity in customer.evidence)
    found = [figures.evidence[key] for key in keys if key in figures.evidence]
    each: dict[str, Quote] = {}
    for quote in found:
        each.setdefault(quote.text, quote)
    threats_first = sorted(each.values(), key=lambda quote: "threat" not in quote.labels)
    return threats_first[:_MOST_EVIDENCE]


class Bar(NamedTuple):
    """A period in the chart; heights are percent of the chart's.

    Attributes:
        hostile, accusing: of the share's scale; they stand on each other.
        volume: of the busiest period.
        pale: so few messages that its share says little.
    """

    period: Period
    hostile: float
    accusing: float
    volume: float
    pale: bool


class Chart(NamedTuple):
    """Bars over time; `top` is the share (0 to 1) at the top of the scale."""

    bars: list[Bar]
    top: float
    busiest: int


def _chart(periods: Sequence[Period]) -> Chart:
    groups = [period.group for period in periods]
    sure = [group for group in groups if group.messages >= _FEW] or groups
    highest = max((_labelled(group) for group in sure), default=0.0)
    top = _scale(highest)
    busiest = max((group.messages for group in groups), default=0)
    return Chart([_bar(period, top, busiest) for period in periods], top, busiest)


def _bar(period: Period, top: float, busiest: int) -> Bar:
    group = period.group
    few = group.messages < _FEW
    hostile = min(100 * group.share(group.hostile).value / top, 100.0)
    accusing = min(100 * group.share(group.accusing).value / top, 100.0 - hostile)
    return Bar(period, hostile, accusing, 100 * group.messages / max(busiest, 1), few)


def _scale(highest: float) -> float:
    return next(scale for scale in _SCALES if scale >= highest)


def _top_of(rows: Sequence[tuple[str, Group]]) -> float:
    """Where the bars of a table end: at the highest share of the groups with enough messages."""
    sure = [group for _, group in rows if group.messages >= _FEW]
    return _scale(max((max(g.hostile, g.accusing) / g.messages for g in sure), default=1.0))


def _labelled(group: Group) -> float:
    return group.share(group.hostile + group.accusing).value


def _largest(groups: Mapping[str, Group]) -> list[tuple[str, Group]]:
    """The largest first; those that are gathered as others last."""
    return sorted(groups.items(), key=lambda item: (item[0] == OTHERS, -item[1].messages, item[0]))


class _Show:
    """How names, times and texts are written in a language, hidden where they must be."""

    def __init__(self, language: Language, masked: bool, channels: Mapping[str, Group]) -> None:
        self._language: Language = language
        self._masked = masked
        unknown = [
            name for name, _ in _largest(channels) if name not in KNOWN_CHANNELS | {"", OTHERS}
        ]
        self._unknown = {name: number for number, name in enumerate(unknown, 1)}

    def text(self, text: str) -> str:
        return mask(text) if self._masked else displayed(text)

    def customer(self, customer: Customer) -> str:
        """Its name and id, or its line in the customers file."""
        return f"#{customer.line}" if self._masked else displayed(customer.called)

    def channel(self, name: str) -> str:
        """Its own name; one that may tell who somebody is has a number instead."""
        if not self._masked or name in KNOWN_CHANNELS:
            return displayed(name)
        word = "قناة" if self._language == "ar" else "channel"
        return f"{word} {self._unknown[name]}" if name in self._unknown else OTHERS

    def failure(self, kind: str) -> str:
        return self.text(in_arabic(kind) if self._language == "ar" else kind)

    def name_of(self, word: str) -> str:
        return words.name_of(word, self._language)

    def day(self, at: float) -> str:
        return words.date(at, self._language)

    def period(self, begins: date, span: Span) -> str:
        whole = self.day(datetime(begins.year, begins.month, begins.day, tzinfo=UTC).timestamp())
        match span:
            case "month":
                return whole.split(" ", 1)[1]
            case "year":
                return str(begins.year)
            case _:
                return whole
