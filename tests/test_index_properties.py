"""The eight properties of the index that hold whatever its formula is."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.index.events import Event, Incoming
from serving.index.reading import Reading, read
from serving.index.settings import DAY
from serving.index.state import State, fold, order, pack, unpack
from tests.index_events import (
    SETTINGS,
    SNAPSHOT,
    START,
    about,
    answers,
    at,
    events,
    histories,
    incoming,
    reading,
    says,
    state_of,
)

LATER = 250.0
"""A day after every random event."""

many = settings(max_examples=60, deadline=None)


def points(found: Reading, *components: str) -> float:
    return sum(c.points for c in found.contributions if c.component in components)


@many
@given(histories)
def test_1_it_is_bounded_and_asked_again_the_same(history: list[Event]) -> None:
    found = reading(history, LATER)
    assert 0 <= found.low <= found.index <= found.high <= 100
    assert 0 <= found.pain <= 100
    assert reading(history, LATER) == found


@many
@given(histories, st.integers(0, 39))
def test_1_events_after_the_instant_change_nothing(history: list[Event], day: int) -> None:
    until = [event for event in history if event.at <= at(day)]
    assert reading(history, day) == reading(until, day)


@many
@given(
    histories,
    incoming(),
    st.sampled_from(["abuse", "threat", "accusation"]),
    st.floats(0, 1, allow_nan=False),
)
def test_2_a_more_hostile_message_never_lowers_it(
    history: list[Event], message: Incoming, label: str, more: float
) -> None:
    """Thanks are left out: nobody owes them a reply, and whoever is left waiting is excused."""
    message = msgspec.structs.replace(message, thanks=False)
    score = getattr(message, label)
    worse = score + (1 - score) * more
    labels = message.labels | ({label} if worse >= 0.6 else set())
    takes_back = message.takes_back and labels.isdisjoint({"abuse", "threat"})
    hostile = {"takes_back": takes_back, "labels": labels, label: worse}
    for day in (START, LATER, LATER + 30):
        before = reading([*history, message], day)
        after = reading([*history, msgspec.structs.replace(message, **hostile)], day)
        assert after.index >= before.index - 0.011  # both are rounded to hundredths


@many
@given(histories, st.floats(0, 200, allow_nan=False))
def test_2_a_fair_message_never_raises_it_through_language_or_peak(
    history: list[Event], day: float
) -> None:
    before = state_of(history)
    after = state_of([*history, says(day, vector=about(9))])
    for when in (LATER, LATER + 60):
        old, new = (state.language for state in (before, after))
        assert sum(new.rate_at(at(when), 0.02, SETTINGS)) <= (
            sum(old.rate_at(at(when), 0.02, SETTINGS)) + 1e-12
        )
        assert new.peak_at(at(when), SETTINGS).amount <= (
            old.peak_at(at(when), SETTINGS).amount + 1e-12
        )
        assert new.intensification_at(at(when), SETTINGS) <= (
            old.intensification_at(at(when), SETTINGS) + 1e-12
        )


@many
@given(histories)
def test_3_without_new_events_it_decays_to_the_prior(history: list[Event]) -> None:
    prior = reading([]).index
    state = state_of(history)
    first = max(state.at, at(0))
    figures = [read(state, first + week * 7 * DAY, SETTINGS, SNAPSHOT) for week in range(12)]
    above = [max(found.index - prior, 0.0) for found in figures]
    assert all(b <= a + 0.02 for a, b in itertools.pairwise(above))
    assert reading(history, LATER + 2_000).index == pytest.approx(prior, abs=0.02)


def test_3_a_grave_event_still_shows_after_four_weeks_and_a_thousand_calm_messages() -> None:
    calm = [says(28 * i / 1000, abuse=0.01, threat=0.01, accusation=0.01) for i in range(1, 1001)]
    found = reading([says(0, "threat", "grave"), *calm], 28)
    assert found.index >= 30
    assert found.quadrant in ("draining", "inflamed")


def test_3_an_insult_of_a_year_ago_hardly_shows() -> None:
    assert reading([says(0, "abuse")], 365).index < reading([]).index + 1


def test_4_few_messages_mean_little() -> None:
    one, many_of_them = [says(0, "abuse")], [says(i / 10, "abuse") for i in range(20)]
    assert reading(one).index < SETTINGS.toxic_index < reading(many_of_them).index


@pytest.mark.parametrize("share", [2, 4, 10])
def test_4_the_interval_narrows_with_evidence(share: int) -> None:
    widths = []
    for count in (20, 80, 320):
        spread = 20 / count
        history = [
            says(i * spread, *(["accusation"] if i % share == 0 else [])) for i in range(count)
        ]
        found = reading(history, 20)
        widths.append(found.high - found.low)
        assert found.low <= found.index <= found.high
    assert widths[0] > widths[1] > widths[2]


def test_4_a_new_customer_has_the_average() -> None:
    usual = reading([], snapshot=SNAPSHOT).index
    worse = reading([], snapshot=msgspec.structs.replace(SNAPSHOT, rate=0.1)).index
    assert usual < worse


@pytest.mark.parametrize("days", [0.5, 28, 365, 1000])
@pytest.mark.parametrize("answered", [True, False])
def test_5_a_thousand_messages_of_noise_stay_below_ten(days: float, answered: bool) -> None:
    history: list[Event] = []
    for i in range(1000):
        day = days * i / 1000
        history.append(says(day, abuse=0.01, threat=0.01, accusation=0.01))
        if answered:
            history.append(answers(day + 0.0001))
    assert reading(history).index < 10


@many
@given(histories)
def test_6_contributions_add_up_and_name_their_evidence(history: list[Event]) -> None:
    ids = {event.id for event in history if isinstance(event, Incoming)}
    found = reading(history, LATER - 40)
    assert sum(c.points for c in found.contributions) == pytest.approx(found.index, abs=1e-9)
    assert sum(c.points for c in found.pain_contributions) == pytest.approx(found.pain, abs=1e-9)
    for contribution in found.contributions:
        assert contribution.points >= 0
        assert set(contribution.message_ids) <= ids
        if contribution.points and contribution.component not in ("prior", "team_rating"):
            assert contribution.message_ids, contribution.component


@many
@given(histories, st.randoms(use_true_random=False))
def test_7_the_order_of_arrival_does_not_matter(history: list[Event], chance: object) -> None:
    shuffled = list(history)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert pack(state_of(shuffled)) == pack(state_of(history))


@many
@given(histories, st.integers(0, 40))
def test_7_an_update_equals_a_fold_from_the_beginning(history: list[Event], cut: int) -> None:
    ordered = order(history)
    kept = unpack(pack(fold(ordered[:cut], SETTINGS)))
    assert pack(fold(ordered[cut:], SETTINGS, kept)) == pack(fold(ordered, SETTINGS))


def test_7_the_state_does_not_grow() -> None:
    def size(count: int) -> int:
        history = [
            says(i / 50, *(["abuse"] if i % 3 else ["accusation"]), vector=about(i % 50))
            for i in range(count)
        ]
        return len(pack(state_of(history)))

    assert size(20_000) < 1.2 * size(4_000)


def test_7_a_late_event_is_refused_by_a_state() -> None:
    state = State()
    state.apply(says(2), SETTINGS)
    with pytest.raises(ValueError, match="fold anew"):
        state.apply(says(1), SETTINGS)


@many
@given(st.lists(events, min_size=1, max_size=30))
def test_8_what_is_lawful_is_no_part_of_an_event(history: list[Event]) -> None:
    """Escalation, leaving, refund demands, distress and sentiment do not even reach the index."""
    fields = {field for event in history for field in event.__struct_fields__}
    assert fields.isdisjoint(
        {"escalation", "leaving", "refund_demand", "distress", "negative", "sentiment"}
    )
