"""Figures of weeks, and what is outside their usual range."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.labels import LABELS
from serving.drift import WEEK, Told, Week, WeekFigures, psi, tell, week_of
from tests.helpers import NOW

SPREAD = (0, 1, -1, 2, -2, 0, 1, -1)
"""How weeks differ where nothing happens, in messages."""


def week(
    number: int, model: str = "m", *, messages: int = 1_000, threshold: float = 0.5, **counts: int
) -> Week:
    """A week like all others, but for the counts; Arabic but for `arabizi`."""
    some = SPREAD[number % len(SPREAD)]
    arabizi = counts.get("arabizi", messages // 10 + some)
    abuse = counts.get("abuse", messages // 20 + some)
    found = WeekFigures(messages=messages, review=counts.get("review", messages // 12 - some))
    for label in LABELS:
        found.labelled[label] = abuse
        found.sums[label] = 0.9 * abuse + 0.01 * (messages - abuse)
        found.bins[label][1], found.bins[label][-1] = messages - abuse, abuse
    found.languages |= {"arabizi": arabizi, "ar": messages - arabizi}
    found.texts, found.pieces, found.unknown = 500, 5_000, counts.get("unknown", 20 + some)
    found.said, found.agreed = counts.get("said", 40), counts.get("agreed", 34)
    found.thresholds = dict.fromkeys(LABELS, threshold)
    return Week(number * WEEK, model, found)


def calm(weeks: int, messages: int = 1_000) -> list[Week]:
    return [week(number, messages=messages) for number in range(weeks)]


def last(*weeks: Week) -> Told:
    return tell(weeks)[-1]


def test_a_week_begins_on_monday() -> None:
    def beginning(at: float) -> str:
        return datetime.fromtimestamp(week_of(at), UTC).isoformat()

    assert beginning(NOW) == "2026-06-29T00:00:00+00:00"  # a Wednesday
    monday = week_of(NOW)
    assert (week_of(monday), week_of(monday - 1)) == (monday, monday - WEEK)
    assert beginning(-1) == "1969-12-29T00:00:00+00:00"


@given(st.lists(st.integers(0, 1_000), min_size=3, max_size=3), st.integers(1, 50))
def test_the_stability_index_of_the_same_shares_is_nothing(bins: list[int], times: int) -> None:
    assert psi(bins, bins) == 0
    assert psi(bins, [times * one for one in bins]) >= 0


def test_the_stability_index_is_that_of_its_formula() -> None:
    assert psi([499, 499], [249, 749]) == pytest.approx(0.25 * 1.0986, abs=0.003)


def test_nothing_is_outside_where_nothing_happens() -> None:
    told = tell(calm(60))
    assert [one.left for one in told] == [[]] * 60
    assert all(figure.value is not None for name, figure in told[9].figures.items())
    assert told[-1].compared_with == 26


@pytest.mark.parametrize(
    ("counts", "figures"),
    [
        ({"arabizi": 400}, {"language_ar", "language_arabizi"}),
        ({"review": 250}, {"needs_review"}),
        ({"unknown": 600}, {"unknown_pieces"}),
        ({"agreed": 5}, {"agreement"}),
        ({"abuse": 200}, {f"{n}_{f}" for n in LABELS for f in ("mean", "share", "psi")}),
    ],
)
def test_what_changes_is_outside(counts: dict[str, Any], figures: set[str]) -> None:
    assert set(last(*calm(20), week(20, **counts)).left) == figures


def test_a_range_needs_four_weeks() -> None:
    assert last(*calm(3), week(3, arabizi=900)).figures["language_arabizi"].low is None
    assert "language_arabizi" in last(*calm(4), week(4, arabizi=900)).left


def test_few_weeks_make_a_wide_range_and_few_messages_too() -> None:
    def width(weeks: int, messages: int = 1_000) -> float:
        figure = last(*calm(weeks + 1, messages=messages)).figures["language_arabizi"]
        assert figure.low is not None
        assert figure.high is not None
        return figure.high - figure.low

    assert width(4) > width(8) > width(26)
    assert width(26, 200) > width(26, 1_000) > width(26, 50_000)


def test_a_change_is_told_once_and_its_end_is_none() -> None:
    weeks = [*calm(20), *(week(n, arabizi=400) for n in (20, 21)), *(week(n) for n in (22, 23))]
    told = tell(weeks)[-4:]
    assert [bool(one.left) for one in told] == [True, False, False, False]
    assert [one.figures["language_arabizi"].outside for one in told] == [True, True, False, False]


def test_one_strange_week_does_not_move_the_range() -> None:
    strange = [*calm(10), week(10, arabizi=900), *(week(n) for n in range(11, 20))]
    ranges = [last(*weeks).figures["language_arabizi"] for weeks in (calm(20), strange)]
    assert ranges[0].high == pytest.approx(ranges[1].high or 0, abs=0.01)


def test_the_range_begins_anew_with_a_model_and_with_other_thresholds() -> None:
    for model, threshold in (("n", 0.5), ("m", 0.9)):
        others = (week(n, model, threshold=threshold, abuse=200) for n in range(10, 16))
        weeks = [*calm(10), *others]
        told = tell(weeks)
        assert [one.begins_anew for one in told] == [False] * 10 + [True] + [False] * 5
        assert [one.compared_with for one in told[10:]] == [0, 1, 2, 3, 4, 5]
        assert not any(one.left for one in told)


def test_after_a_rollback_the_weeks_before_count_again() -> None:
    weeks = [*calm(8), week(8, model="n"), week(9, abuse=300)]
    assert last(*weeks).compared_with == 8
    assert "abuse_share" in last(*weeks).left


def test_a_week_of_few_messages_says_nothing_and_is_no_measure() -> None:
    weeks = [*calm(10), week(10, messages=99, arabizi=99), week(11)]
    told = tell(weeks)
    assert told[10].figures["language_arabizi"].value is None
    assert (told[10].left, told[11].compared_with) == ([], 10)


def test_few_corrections_say_nothing() -> None:
    assert last(*calm(8), week(8, said=19, agreed=0)).figures["agreement"].value is None
