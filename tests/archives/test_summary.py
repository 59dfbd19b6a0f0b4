"""The figures of a scored archive, what follows from them, and what the terminal says."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.manifest import RELEASED, Manifest, load_manifest
from serving.archives.chunks import Scored
from serving.archives.figures import Figures, share
from serving.archives.findings import Finding, cautions, next_steps, percent, sentence
from serving.archives.gathering import gather
from serving.archives.ranking import MOST_SHOWN, rank
from serving.archives.report import Report
from serving.archives.summary import summary
from serving.index.settings import IndexSettings
from serving.index.words import LANGUAGES
from tests.archives.scored import DAY, NOON, SILENT, failed, line, said

THRESHOLDS = {"refund_demand": {"balanced": 0.4}, "distress": {"balanced": 0.3}}
METRICS = {"one": {"false_alarms": {"value": 0.02}}, "two": {"false_alarms": {"value": 0.06}}}


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return load_manifest(RELEASED)


def facts(found: list[Finding]) -> list[str]:
    return [finding.fact for finding in found]


def cautions_of(figures: Figures, *lines: dict[str, Any]) -> list[str]:
    return facts(cautions(figures, rank(lines), METRICS, IndexSettings()))


def test_an_interval_is_wilsons() -> None:
    assert share(5, 50) == pytest.approx((0.1, 0.0435, 0.2136), abs=1e-4)
    assert share(0, 0) == (0.0, 0.0, 1.0)


@given(st.integers(1, 10_000), st.data())
def test_an_interval_holds_the_share_and_narrows_with_evidence(total: int, data: Any) -> None:
    count = data.draw(st.integers(0, total))
    found, more = share(count, total), share(10 * count, 10 * total)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert more.high - more.low < found.high - found.low


def test_every_row_is_counted_once() -> None:
    rows = [
        said("where is my order", customer="c1", at=NOON),
        said("you fools", "abuse", "accusation", customer="c1", at=NOON + DAY),
        said("you never read what I write", "accusation", needs_review=True),
        said("we look into it, fools", "abuse", direction="out"),
        SILENT,
        failed("column text is empty"),
    ]
    figures = gather(rows, THRESHOLDS)
    every = figures.every
    assert (figures.rows, figures.outgoing, figures.silent, figures.failed) == (6, 1, 1, 1)
    assert (every.messages, every.hostile, every.accusing, every.review) == (3, 1, 1, 1)
    assert (every.negative, figures.sentiments["neutral"]) == (2, 1)
    assert figures.labels == {"abuse": 1, "accusation": 2}
    assert (figures.untimed, figures.nameless) == (1, 1)
    assert (figures.first_at, figures.last_at) == (NOON, NOON + DAY)
    assert figures.sources == {"a.csv": 6}
    assert figures.models == {"9.9.9"}


def test_message_signs_count_at_the_models_thresholds() -> None:
    rows = [said("money", refund_demand=0.41), said("x", refund_demand=0.39, distress=0.3)]
    assert gather(rows, THRESHOLDS).signs == {"refund_demand": 1, "distress": 1}


def test_repeated_texts_are_told_apart() -> None:
    rows = [said("again"), said("again"), said("other"), said("ours", direction="out")]
    assert gather(rows, THRESHOLDS).distinct_texts == 2


def test_errors_are_counted_by_kind() -> None:
    rows = [failed("'a' in row 3 is no text"), SILENT, failed("'b' in row 71 is no text")]
    rows += [failed("too long")]
    first, second = gather(rows, THRESHOLDS).failures
    assert (first.rows, first.first_row) == (2, 1)
    assert "is no text" in first.kind
    assert (second.kind, second.rows, second.first_row) == ("too long", 1, 4)


def test_the_strongest_messages_are_kept_one_of_each_text_and_the_first_of_equals() -> None:
    rows = [
        said("weak", "abuse", score=0.80),
        said("loud", "abuse", score=0.95),
        said("loud", "abuse", score=0.95),
        said("first", "abuse", score=0.90),
        said("second", "abuse", score=0.90),
        said("unfair, fools", "abuse", "accusation", score=0.99),
        said("unfair", "accusation"),
    ]
    examples = gather(rows, THRESHOLDS).examples
    assert [quote.text for quote in examples["abuse"]] == ["unfair, fools", "loud", "first"]
    assert [quote.row for quote in examples["abuse"]] == [6, 2, 4]
    assert [quote.text for quote in examples["accusation"]] == ["unfair"]
    assert examples["threat"] == []


def test_evidence_is_found_by_customer_and_id_or_else_by_row() -> None:
    rows = [
        said("one", customer="c1", id="m1"),
        said("another's", customer="c2", id="m1"),
        said("without an id", customer="c1"),
    ]
    found = gather(rows, THRESHOLDS, {("c1", "m1"), ("c1", "3"), ("c1", "4")}).evidence
    assert {key: quote.text for key, quote in found.items()} == {
        ("c1", "m1"): "one",
        ("c1", "3"): "without an id",
    }


def days(*offsets: float) -> Figures:
    return gather((said(f"{n}", at=NOON + n * DAY) for n in offsets), THRESHOLDS)


@pytest.mark.parametrize(
    ("last", "span", "number", "begins"),
    [
        (9, "day", 10, date(2024, 3, 4)),
        (40, "week", 6, date(2024, 3, 4)),
        (700, "month", 24, date(2024, 3, 1)),
        (8_000, "year", 23, date(2024, 1, 1)),
    ],
)
def test_time_is_told_in_steps_that_suit_its_length(
    last: int, span: str, number: int, begins: date
) -> None:
    found, periods = days(0, last).periods()
    assert (found, len(periods), periods[0].begins) == (span, number, begins)
    assert [period.group.messages for period in periods if period.group.messages] == [1, 1]


@given(st.lists(st.integers(-9_000, 9_000), min_size=1, max_size=60))
def test_no_message_is_lost_over_time(offsets: list[int]) -> None:
    _, periods = days(*offsets).periods()
    assert sum(period.group.messages for period in periods) == len(offsets)
    starts = [period.begins for period in periods]
    assert starts == sorted(set(starts))


def test_very_many_days_are_told_by_month() -> None:
    span, periods = days(*range(800)).periods()
    assert (span, sum(period.group.messages for period in periods)) == ("month", 800)


def test_without_times_there_are_no_periods() -> None:
    assert gather([said("x")], THRESHOLDS).periods() == ("day", [])


def wild_rows(number: int) -> Iterator[Scored]:
    """Every text, channel, customer, day and error is another."""
    for n in range(number):
        yield said(f"t{n}", "abuse", customer=f"c{n}", channel=f"h{n}", at=NOON + n * DAY % 2e9)
        yield failed(f"error {chr(97 + n % 26)}{chr(97 + n // 26 % 26)}")


def test_memory_is_bounded_and_no_message_lost() -> None:
    tracemalloc.start()
    try:
        figures = gather(wild_rows(10_000), THRESHOLDS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6e6
    assert len(figures.channels) <= 51
    assert sum(group.messages for group in figures.channels.values()) == 10_000
    assert len(figures.failures) <= 51
    assert sum(failure.rows for failure in figures.failures) == figures.failed == 10_000
    assert figures.distinct_texts == 10_000


def test_the_same_rows_give_the_same_figures() -> None:
    assert gather(wild_rows(300), THRESHOLDS) == gather(wild_rows(300), THRESHOLDS)


def test_customers_are_ranked_hurt_by_pain_and_the_others_by_index() -> None:
    lines = [line("d1", 80, "draining"), line("i1", 70, "inflamed", prepare_separation=True)]
    lines += [line(f"h{n}", 30, "hurt", pain=40.0 + n) for n in range(15)]
    lines += [line("calm", 5, "calm")]
    ranking = rank(lines)
    assert ranking.quadrants == {"draining": 1, "inflamed": 1, "hurt": 15, "calm": 1}
    assert [customer.id for customer in ranking.hard] == ["d1", "i1"]
    assert len(ranking.hurt) == MOST_SHOWN
    assert [customer.pain for customer in ranking.hurt[:2]] == [54.0, 53.0]
    assert (ranking.customers, ranking.separations, ranking.highest) == (18, 1, 80)
    assert ranking.hard[1].line == 2


def test_where_no_quadrant_is_known_nobody_is_called_hurt_or_draining() -> None:
    fair = {"abuse": 0, "threat": 0, "accusation": 0}
    ranking = rank([line("a", 60, None, pain=None), line("b", 50, None, pain=None, **fair)])
    assert not ranking.hurt
    assert not ranking.hard
    assert [customer.id for customer in ranking.unplaced] == ["a"]
    assert "one_sided" in cautions_of(gather([said("x")], THRESHOLDS), line("a", 60, None))


def test_what_makes_the_figures_less_sure_is_said() -> None:
    rows = [said("fine", customer="c") for _ in range(95)]
    rows += [said("idiot", "abuse", customer="c"), said("¿qué?", language="other", truncated=True)]
    rows += [said(f"3ayez {n}", language="arabizi", unread=("sent_at",)) for n in range(8)]
    found = cautions_of(gather(rows, THRESHOLDS), line("c", 3, "calm"))
    assert found == [
        "few_messages",
        "false_alarms",
        "arabizi",
        "truncated",
        "untimed",
        "nameless",
        "unread_sent_at",
        "few_customers",
    ]


def test_many_sure_messages_need_no_caution() -> None:
    rows = [said("fair", customer="c", at=NOON) for _ in range(900)]
    rows += [said("bad", "abuse", customer="c", at=NOON) for _ in range(100)]
    lines = [line(f"c{n}", 3, "calm") for n in range(60)]
    assert cautions_of(gather(rows, THRESHOLDS), *lines) == []


def test_repair_comes_before_boundaries_and_distress_before_all() -> None:
    rows = [said("I cannot go on", distress=0.9), said("I will find you", "threat"), failed("x")]
    lines = [line("d", 80, "draining"), line("i", 70, "inflamed"), line("h", 20, "hurt")]
    found = facts(next_steps(gather(rows, THRESHOLDS), rank(lines)))
    assert found == ["distress", "threats", "hurt", "inflamed", "draining", "mend"]
    assert facts(next_steps(gather([said("fine")], THRESHOLDS), rank([]))) == ["nothing"]


def test_labelled_messages_ask_to_be_read_although_no_customer_has_a_place() -> None:
    rows = [said("you are idiots", "abuse"), said("you lied", "accusation"), said("fine")]
    steps = next_steps(gather(rows, THRESHOLDS), rank([line("c", 60, None)]))
    assert steps == [Finding("labelled", {"count": 2})]


def test_customers_without_a_place_beside_others_are_told() -> None:
    lines = [line("a", 3, "calm"), line("b", 60, None), line("c", 4, None)]
    assert "some_one_sided" in cautions_of(gather([], THRESHOLDS), *lines)
    assert "some_one_sided" not in cautions_of(gather([], THRESHOLDS), *lines[:1])


def test_many_separations_point_at_the_company() -> None:
    lines = [line(f"c{n}", 80, "draining", prepare_separation=n < 2) for n in range(300)]
    (few,) = (f for f in next_steps(Figures(), rank(lines)) if f.fact == "separations")
    (many,) = (f for f in next_steps(Figures(), rank(lines[:100])) if f.fact == "separations")
    (one_of_few,) = (f for f in next_steps(Figures(), rank(lines[:20])) if f.fact == "separations")
    assert "point at the product" not in sentence(few, "en")
    assert "point at the product" not in sentence(one_of_few, "en")
    assert "may point at the product or the service as well" in sentence(many, "en")


COUNTED = (
    *("few_messages", "truncated", "untimed", "nameless", "unread_sent_at", "unread_direction"),
    *("distress", "threats", "hurt", "inflamed", "draining", "review", "mend"),
    *("labelled", "some_one_sided"),
)
EVERY_FACT: dict[str, dict[str, Any]] = {
    **{fact: {"count": 1_234} for fact in COUNTED},
    **{fact: {} for fact in ("no_customers", "no_index", "one_sided", "nothing")},
    "false_alarms": {"share": 0.03, "low": 0.02, "high": 0.06},
    "other": {"count": 12, "share": 0.1},
    "arabizi": {"count": 12, "share": 0.1},
    "few_customers": {"count": 12, "needed": 50},
    "separations": {"count": 2, "share": 0.2, "rare": False},
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("fact", EVERY_FACT)
def test_every_fact_has_its_sentence(fact: str, language: Any) -> None:
    text = sentence(Finding(fact, EVERY_FACT[fact]), language)
    assert text.endswith((".", ")."))
    assert any("\u0600" <= letter <= "\u06ff" for letter in text) == (language == "ar")
    with pytest.raises(ValueError, match="no sentence"):
        sentence(Finding("unheard-of"), language)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0%"), (0.0001, "<0.1%"), (0.034, "3.4%"), (0.123, "12%"), (1, "100%")],
)
def test_shares_are_short(value: float, text: str) -> None:
    assert percent(value) == text


def test_the_terminal_says_what_was_found_and_what_to_do(manifest: Manifest) -> None:
    rows = [said("you fools", "abuse", customer="c1"), said("thanks"), SILENT]
    rows += [failed("column text is empty"), failed("column text is empty")]
    ranking = rank([line("c1", 70, "draining"), line("c2", 10, "hurt")])
    text = summary(Report([], gather(rows, THRESHOLDS), ranking, manifest))
    assert text.startswith("5 rows: 2 messages of customers (2 different texts), 0 of the company")
    assert "2 customers: 0 calm, 1 hurt, 1 draining, 0 inflamed" in text
    assert "repair: c2" in text
    assert "2  column text is empty (first in row 4)" in text
    assert "Repair first" in text
    assert max(map(len, text.splitlines())) < 300


def test_the_terminal_is_not_steered_by_what_customers_are_called(manifest: Manifest) -> None:
    ranking = rank([line("\x1b[2Jc1\nDone.\u202e", 70, "draining")])
    rows = [failed("\x1b]0;owned\x07 broken")]
    text = summary(Report([], gather(rows, THRESHOLDS), ranking, manifest))
    assert not set("\x1b\x07\u202e") & set(text)
    assert "\nDone." not in text


def test_an_empty_archive_has_a_summary(manifest: Manifest) -> None:
    text = summary(Report([], gather([], THRESHOLDS), rank([]), manifest))
    assert text.startswith("0 rows")
    assert "nothing asks for action" in text
