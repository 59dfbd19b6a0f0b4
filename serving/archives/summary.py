"""What a run found, in the terminal: a few lines for whoever started it."""

from __future__ import annotations

from collections.abc import Iterator

from serving.archives.figures import Figures
from serving.archives.findings import Finding, cautions, next_steps, percent, sentence
from serving.archives.masking import displayed
from serving.archives.ranking import Ranking
from serving.archives.report import Report
from serving.index.reading import CALM, DRAINING, HURT, INFLAMED

_MOST_FAILURES = 5
_MOST_CUSTOMERS = 3
_NAME = 40
_CUSTOMERS = "customer", "customers"


def summary(report: Report) -> str:
    """Lines of text, without a newline at the end."""
    figures, ranking = report.figures, report.ranking
    found = cautions(figures, ranking, report.manifest.metrics, report.settings)
    parts = [
        _rows(figures),
        _shares(figures),
        _customers(ranking),
        _failures(figures),
        _sentences("Keep in mind", found),
        _sentences("Next, for people to decide", next_steps(figures, ranking)),
    ]
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part)))


def _rows(figures: Figures) -> Iterator[str]:
    every = figures.every.messages
    yield (
        f"{figures.rows:,} rows: {every:,} messages of customers"
        f" ({figures.distinct_texts:,} different texts), {figures.outgoing:,} of the company,"
        f" {figures.silent:,} without a message, {figures.failed:,} with an error"
    )


def _shares(figures: Figures) -> Iterator[str]:
    every = figures.every
    counts = {
        "abuse or threat": every.hostile,
        "accusation alone": every.accusing,
        "negative": every.negative,
        "to review": every.review,
    }
    for name, count in counts.items() if every.messages else ():
        part = every.share(count)
        between = f"{percent(part.low)} to {percent(part.high)}"
        yield f"  {name:<17}{count:>10,}  {percent(part.value):>6}  ({between})"


def _customers(ranking: Ranking) -> Iterator[str]:
    if not ranking.customers:
        return
    names = (CALM, HURT, DRAINING, INFLAMED) if ranking.quadrants else ()
    places = ", ".join(f"{ranking.quadrants[name]:,} {name}" for name in names)
    yield f"{ranking.customers:,} {_CUSTOMERS[ranking.customers != 1]}" + (
        f": {places}" if places else ""
    )
    for what, customers in {
        "repair": ranking.hurt,
        "look at": ranking.hard,
        "read": ranking.unplaced,
    }.items():
        if customers:
            yield f"  {what}: " + ", ".join(
                displayed(customer.called)[:_NAME].replace("\n", " ")
                for customer in customers[:_MOST_CUSTOMERS]
            )


def _failures(figures: Figures) -> Iterator[str]:
    if figures.failures:
        yield "Errors (the rows are kept, each with its error):"
    for failure in figures.failures[:_MOST_FAILURES]:
        kind = displayed(failure.kind).replace("\n", " ")
        yield f"  {failure.rows:>8,}  {kind} (first in row {failure.first_row:,})"
    if rest := figures.failures[_MOST_FAILURES:]:
        yield f"  {sum(failure.rows for failure in rest):>8,}  others"


def _sentences(title: str, findings: list[Finding]) -> Iterator[str]:
    if findings:
        yield f"{title}:"
    for finding in findings:
        yield f"  - {sentence(finding, 'en')}".replace("\n", " ")
