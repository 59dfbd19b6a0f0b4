"""Customers' states on both databases: whatever comes in whatever order, a state is what a fold over all
stored events makes, now and as of any instant."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from serving import worker
from serving.index.alerts import Alert
from serving.index.events import Incoming, Outgoing
from serving.index.portfolio import Snapshot
from serving.index.reading import read
from serving.index.settings import DAY, IndexSettings
from serving.index.state import State, pack
from serving.store import states as module
from serving.store import timeline
from serving.store.alerts import add_alerts
from serving.store.database import Database
from serving.store.messages import add_messages
from serving.store.queue import MOST_ATTEMPTS
from serving.store.sources import fold_sources_anew
from serving.store.states import States
from serving.store.tables import alerts, checkpoints, customers, facts, states
from tests.helpers import NOW, FakeScorer
from tests.stores import HOUR, Company, days_ago, message, reply, spoken

TEXTS = [
    "a calm",
    "a insult",
    "a threat",
    "b grave",
    "b blame",
    "b push",
    "c scope",
    "c thanks",
    "ok",
]


# --- random histories ---

_TIMES = st.integers(0, 40).map(lambda step: days_ago(60) + step * 36 * HOUR)
_TICKET = st.sampled_from(["t1", "t2"])
_ARRIVALS = st.one_of(
    st.tuples(st.just("in"), _TIMES, st.sampled_from(TEXTS), st.none() | _TICKET),
    st.tuples(st.just("in"), _TIMES, st.sampled_from(TEXTS), st.none()),
    st.tuples(
        st.just("out"),
        _TIMES,
        st.sampled_from(["wa", "mail"]),
        st.booleans(),
        st.none() | _TICKET,
    ),
    st.tuples(
        st.just("event"),
        _TIMES,
        _TICKET,
        st.sampled_from(["opened", "replied", "handed_over", "resolved", "reopened", "work"]),
    ),
    st.tuples(st.just("record"), _TIMES, _TICKET, st.integers(0, 2)),
    st.tuples(st.just("rating"), _TIMES, st.integers(1, 5)),
    st.tuples(st.just("outcome"), _TIMES, st.sampled_from(["purchase", "cancellation"])),
    st.tuples(st.just("profile"), st.integers(1, 3)),
    st.tuples(st.just("work")),
)


def arrive(company: Company, customer: str, number: int, what: tuple[Any, ...]) -> None:
    identity = f"{customer}-{number}"
    match what:
        case "in", at, text, ticket:
            name = ticket and f"{customer}-{ticket}"
            company.take(message(identity, at, text, customer_id=customer, ticket_id=name))
        case "out", at, source, named, ticket:
            fields = {"agent_id": "a1" if named else None, "source": f"{customer}-{source}"}
            fields["ticket_id"] = ticket and f"{customer}-{ticket}"
            company.take(reply(identity, at, customer_id=customer, **fields))
        case "event", at, ticket, kind:
            company.ticket_event(f"{customer}-{ticket}", identity, kind, at)
        case "record", at, ticket, counts:
            times = {"opened_at": at}
            if counts:
                times |= {"first_reply_at": at + DAY / 2, "resolved_at": at + counts * DAY}
            name = f"{customer}-{ticket}"
            company.put_ticket(
                name, customer_id=customer, **times, handoffs=counts, reopened=counts
            )
        case "rating", at, rating:
            company.rate(rating, at, customer)
        case "outcome", at, kind:
            company.outcome(kind, at, customer)
        case "profile", plan:
            company.put_customer(customer, plan=f"p{plan}", usage_volume=10.0 * plan)
        case _:
            company.worker.turn()


@given(
    arrivals=st.lists(_ARRIVALS, min_size=1, max_size=40),
    in_order=st.booleans(),
    asked=st.lists(_TIMES, max_size=3),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_state_is_what_all_events_make_in_whatever_order_they_come(
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
    arrivals: list[tuple[Any, ...]],
    in_order: bool,
    asked: list[float],
) -> None:
    monkeypatch.setattr(module, "EVENTS_A_CHECKPOINT", 4)
    customer = f"c{company.count(customers)}"
    company.put_customer(customer)
    if in_order:
        dated = [what for what in arrivals if what[0] not in ("profile", "work")]
        arrivals = sorted(dated, key=lambda what: float(what[1]))
    for number, what in enumerate(arrivals):
        arrive(company, customer, number, what)
        if number % 3 == 2:
            company.worker.turn()
    midway = [company.as_of(at, customer) for at in asked]
    company.work()
    if company.events(customer):
        assert company.is_consistent(customer)
    for at, before in zip(asked, midway, strict=True):
        now = company.as_of(at, customer)
        assert now == company.recomputed(customer, at)
        assert before.at <= at
        assert now.at <= at


# --- long histories ---


def long_history(number: int, start: float) -> list[Any]:
    """Messages and answers every three hours, some of them at the same instant."""
    return [
        (reply if n % 3 == 2 else message)(
            f"m{n}", start + (n - n % 5 // 4) * 3 * HOUR, text=TEXTS[n % len(TEXTS)]
        )
        for n in range(number)
    ]


def test_a_long_history_has_checkpoints_and_any_past_can_be_asked(company: Company) -> None:
    history = long_history(450, days_ago(60))
    for start in range(0, 450, 50):
        company.take(*history[start : start + 50])
        company.work()
    assert company.is_consistent()
    kept = [module._unpack(row.state) for row in company.rows(checkpoints)]
    assert sorted(state.events for state in kept if state) == [128, 256, 385]
    for at in (
        days_ago(61),
        history[0].sent_at,
        history[200].sent_at,
        history[300].sent_at + 1,
        NOW,
    ):
        assert company.as_of(at) == company.recomputed(up_to=at)


def test_all_at_once_or_one_by_one_makes_the_same(store: Database) -> None:
    one, other = Company(store), Company(store)
    history = long_history(150, days_ago(40))
    for item in history:
        one.take(item)
        if item.id.endswith("7"):
            one.work()
    one.work()
    first = pack(one.kept())
    other.states.check_settings()
    with store.begin() as connection:
        other.states.forget_all(connection)
    other.work()
    assert pack(other.kept()) == first


def applied_events(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The events that are folded from now on."""
    applied: list[Any] = []
    apply = State.apply

    def remember(state: State, event: Any, settings: IndexSettings) -> None:
        applied.append(event)
        apply(state, event, settings)

    monkeypatch.setattr(State, "apply", remember)
    return applied


@pytest.mark.parametrize("place", [-1, 100, 260, 449])
def test_a_late_event_folds_from_before_it_and_no_further_back(
    company: Company, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    history = long_history(450, days_ago(60))
    company.take(*history)
    company.work()
    at = history[place].sent_at - HOUR if place >= 0 else days_ago(90)
    company.take(message("late", at, "a insult"))
    applied = applied_events(monkeypatch)
    company.work()
    monkeypatch.undo()
    assert company.is_consistent()
    assert len(applied) <= 451 - max(0, place // 128 * 128 - 2)
    for asked in (at, NOW):
        assert company.as_of(asked) == company.recomputed(up_to=asked)


def test_an_update_in_order_folds_the_new_event_only(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.take(*long_history(300, days_ago(60)))
    company.work()
    applied = applied_events(monkeypatch)
    company.take(message("new", NOW - 5))
    company.work()
    assert [event.id for event in applied] == ["new"]


def test_an_event_at_the_instant_of_the_last_one_is_not_lost(company: Company) -> None:
    for name in ("b", "a", "c"):
        company.take(message(name, NOW - HOUR, "a insult"))
        company.work()
        assert company.is_consistent()
    assert company.kept().events == 3


def test_duplicates_change_nothing(company: Company) -> None:
    history = long_history(20, days_ago(9))
    company.take(*history)
    company.ticket_event("t", "e", "opened", days_ago(3))
    company.put_ticket("t", opened_at=days_ago(3))
    company.outcome("renewal", days_ago(2))
    company.work()
    before = company.rows(states)
    company.take(*history, *history[::-1])
    company.ticket_event("t", "e", "opened", days_ago(3))
    company.outcome("renewal", days_ago(2))
    company.put_customer()
    assert company.dirty_from() is None
    company.work()
    assert company.rows(states) == before


# --- what was there before it was known whose it is, or what it means ---


def test_a_source_that_begins_to_name_agents_turns_its_earlier_messages_into_a_bots(
    company: Company,
) -> None:
    company.take(message("q", days_ago(9)), reply("r", days_ago(9) + HOUR))
    company.take(reply("other", days_ago(8), source="mail"))
    company.take(message("p", days_ago(9), customer_id="c2"), reply("s", NOW, customer_id="c2"))
    company.work()
    assert company.kept().service.open_since is None

    company.take(reply("named", days_ago(1), customer_id="c3", agent_id="mona"))
    company.work()
    people = [e.person for e in company.events() if isinstance(e, Outgoing)]
    assert people == [False, True]
    for customer in ("c1", "c2", "c3"):
        assert company.is_consistent(customer)
    assert company.kept().service.answered.amount == 1
    assert company.kept("c2").service.open_since == days_ago(9)

    company.take(reply("bot", NOW, customer_id="c2"))
    company.work()
    assert company.kept("c2").service.open_since == days_ago(9)


def test_a_source_is_turned_in_one_statement_and_its_customers_are_folded_in_turns(
    company: Company,
) -> None:
    names = [f"c{n}" for n in range(5)]
    for name in names:
        company.take(message(f"m-{name}", days_ago(9), customer_id=name))
        company.take(reply(f"r-{name}", days_ago(8), customer_id=name))
    company.take(reply("other", days_ago(8), customer_id="other", source="mail"))
    company.work()
    company.take(reply("named", days_ago(1), customer_id="d", agent_id="mona"))
    assert [company.dirty_from(name) for name in names] == [None] * 5
    counts = []
    while True:
        with company.database.begin() as connection:
            if not (looked_at := fold_sources_anew(connection, 3)):
                break
        counts.append(looked_at)
    assert counts == [3, 3, 1]
    assert [company.dirty_from(name) for name in names] == [days_ago(8)] * 5
    assert company.dirty_from("other") is None
    company.work()
    for name in names:
        assert company.is_consistent(name)
        assert company.kept(name).service.open_since == days_ago(9)


def test_a_message_folded_while_its_source_turns_is_folded_anew(company: Company) -> None:
    if company.database.is_sqlite:
        return  # has one writer at a time
    company.take(message("m", days_ago(9)), reply("r", days_ago(9), customer_id="c2"))
    company.work()
    with ExitStack() as first, company.database.begin() as turning:
        sending = first.enter_context(company.database.begin())
        add_messages(company.database, sending, [reply("bot", days_ago(8))], NOW)
        named = reply("named", days_ago(1), customer_id="c3", agent_id="mona")
        add_messages(company.database, turning, [named], NOW)
        first.pop_all().close()  # commits
        company.work()
        assert company.kept().service.open_since is None
    company.work()
    assert company.kept().service.open_since == days_ago(9)
    assert company.is_consistent()


def test_nothing_is_folded_before_what_waits_for_the_model(company: Company) -> None:
    company.take(message("a", days_ago(2)), reply("r", days_ago(1)))
    assert company.worker.bring_up_to_date() == 0
    assert company.states.bring_up_to_date("c1", NOW) is None
    assert company.rows(states) == []
    company.work()
    assert company.kept().events == 2


def test_a_message_that_the_model_cannot_read_counts_as_calm(store: Database) -> None:
    def fail(text: str) -> Any:
        if "insult" in text:
            raise ValueError
        return spoken(text)

    company = Company(store, FakeScorer(fail))
    company.take(message("a", days_ago(2), "a insult"), message("b", days_ago(1), "a threat"))
    for _ in range(MOST_ATTEMPTS):
        company.work()
        company.clock.now += 60
    first, second = company.events()
    assert isinstance(first, Incoming)
    assert isinstance(second, Incoming)
    assert (first.labels, second.labels) == (frozenset(), frozenset({"threat"}))
    assert company.is_consistent()


def test_the_first_profile_holds_from_the_beginning_and_a_change_from_when_it_comes(
    company: Company,
) -> None:
    company.take(message("m", days_ago(50)), message("n", days_ago(1)))
    company.work()
    company.put_customer(plan="pro", usage_volume=10.0, started_at=days_ago(30))
    company.work()
    for days in (80, 50, 1, 0):
        assert (company.as_of(days_ago(days)).plan, company.kept().usage_volume) == ("pro", 10)
    company.clock.now += DAY
    company.put_customer(plan="basic")
    company.work()
    assert [company.as_of(at).plan for at in (days_ago(80), NOW, NOW + DAY)] == [
        "pro",
        "pro",
        "basic",
    ]
    assert company.as_of(NOW + DAY).usage_volume == 10
    assert company.is_consistent()


# --- settings ---


def test_a_changed_setting_folds_everybody_anew(store: Database) -> None:
    before = Company(store)
    before.take(*long_history(140, days_ago(40)))
    before.take(message("old", -1e9, "a insult", customer_id="c2"))  # 1938
    before.put_customer("silent")
    before.work()
    assert before.count(checkpoints) == 1

    after = Company(store, settings=IndexSettings(half_life_days=5, soft_threshold=0.0))
    assert {row.dirty_from for row in after.rows(customers)} != {None}
    assert after.count(checkpoints) == 0
    after.work()
    for customer in ("c1", "c2"):
        assert after.is_consistent(customer)
        assert after.kept(customer) != before.recomputed(customer)


def test_the_same_settings_fold_nobody_anew(store: Database) -> None:
    company = Company(store)
    company.take(message("m"))
    company.work()
    again = Company(store, settings=IndexSettings(half_life_days=30))
    assert again.dirty_from() is None


def test_a_version_whose_states_hold_other_things_folds_everybody_anew(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = Company(store)
    company.take(message("m"))
    company.work()
    (fact,) = company.rows(facts)
    shape = json.loads(fact.value)
    changed = json.dumps(shape | {"state": "0" * 64})
    with store.begin() as connection:
        connection.execute(update(facts).values(value=changed))
    assert Company(store).dirty_from() is not None


@pytest.mark.parametrize("state", [b"", b"\x00", b"\xff\xff"])
def test_a_state_that_cannot_be_read_is_folded_anew(company: Company, state: bytes) -> None:
    company.take(*long_history(140, days_ago(40)))
    company.work()
    with company.database.begin() as connection:
        connection.execute(update(states).values(state=state))
        connection.execute(update(checkpoints).values(state=state))
    assert company.as_of(NOW) == company.recomputed()
    company.clock.now += 2 * HOUR
    company.work()
    assert company.is_consistent()


# --- figures in lists ---


def test_figures_are_refreshed_well_before_they_are_an_hour_old(company: Company) -> None:
    company.take(message("m", NOW - HOUR, "a grave"), message("n", customer_id="c2"))
    company.work()
    (before, _) = company.rows(states)
    company.clock.now += HOUR / 2
    company.work()
    assert company.rows(states)[0] == before
    company.clock.now += 1
    company.work()
    assert company.rows(states)[0].refreshed_at == company.clock.now
    company.clock.now += 30 * DAY
    company.work()
    found = company.rows(states)
    assert [row.refreshed_at for row in found] == [company.clock.now] * 2
    assert found[0].index_value < before.index_value
    assert found[0].state == before.state
    with company.database.read() as connection:
        assert company.states.refreshed_at(connection) == company.clock.now
        reading = read(company.kept(), company.clock.now, company.settings, Snapshot())
    assert found[0].index_value == reading.index
    assert found[0].quadrant == reading.quadrant


def test_the_oldest_figures_are_refreshed_first_so_many_at_once(company: Company) -> None:
    for n in range(5):
        company.take(message(f"m{n}", customer_id=f"c{n}"))
        company.clock.now += 60
        company.work()
    later = company.clock.now + HOUR + 1000
    assert company.states.refresh(later, later - HOUR, 3) == 3
    found = company.rows(states)
    assert [row.refreshed_at == later for row in found] == [True] * 3 + [False] * 2
    assert company.states.refresh(later, later - HOUR, 3) == 2
    assert company.states.refresh(later, later - HOUR, 3) == 0


def test_a_dirty_customer_is_refreshed_without_forgetting_that_it_is(company: Company) -> None:
    company.take(message("m", NOW - 9))
    company.work()
    company.take(message("n", NOW - 5))
    company.states.refresh(NOW + DAY, NOW + DAY, 9)
    assert company.dirty_from() == NOW - 5
    company.work()
    assert company.is_consistent()


def test_a_refresh_goes_on_as_long_as_it_has_time(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_REFRESH_BATCH", 2)
    monkeypatch.setattr(worker, "_REFRESH_TURN_SECONDS", 60.0)
    company.take(*[message(f"m{n}", customer_id=f"c{n}") for n in range(5)])
    company.work()
    company.clock.now += HOUR
    company.worker.turn()
    assert {row.refreshed_at for row in company.rows(states)} == {company.clock.now}


def test_a_refresh_writes_no_state(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    company.take(message("m"))
    company.work()
    monkeypatch.setattr(module, "pack", None)
    assert company.states.refresh(NOW + DAY, NOW + DAY, 9) == 1
    assert company.rows(states)[0].refreshed_at == NOW + DAY


def test_a_refresh_leaves_what_was_folded_meanwhile_as_it_is(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.take(message("m", NOW - 9))
    company.work()
    read_anew = States._read_anew

    def meanwhile(*given: Any) -> Any:
        found = read_anew(*given)
        company.take(message("n", NOW - 9, "a grave"))
        company.worker.score_waiting()
        company.states.bring_up_to_date("c1", NOW + HOUR)
        return found

    monkeypatch.setattr(States, "_read_anew", meanwhile)
    company.states.refresh(NOW + DAY, NOW + DAY, 9)
    (row,) = company.rows(states)
    assert (row.refreshed_at, row.quadrant) == (NOW + HOUR, "draining")
    assert ("quadrant", "calm") not in company.alerts()


def test_a_state_that_cannot_be_refreshed_stops_no_other(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.take(message("m", text="a insult"), message("n", customer_id="c2"))
    company.work()
    figures = States._figures

    def fail_of_one(self: States, state: State, *given: Any) -> Any:
        if state.language.peak.amount > 0:
            raise ZeroDivisionError
        return figures(self, state, *given)

    monkeypatch.setattr(States, "_figures", fail_of_one)
    company.states.refresh(NOW + DAY, NOW + DAY, 9)
    assert [row.refreshed_at for row in company.rows(states)] == [NOW + DAY] * 2
    assert company.dirty_from("c1") is not None
    monkeypatch.undo()
    company.work()
    assert company.is_consistent("c1")


# --- who is folded first ---


def test_a_past_that_is_being_told_does_not_hold_up_what_happens_now(company: Company) -> None:
    for n in range(9):
        company.take(message(f"m{n}", days_ago(99 - n), customer_id=f"past{n}"))
    company.take(message("now", customer_id="live"))
    company.worker.score_waiting()
    with company.database.read() as connection:
        assert company.states.stale(connection, 2) == ["live", "past0"]
        assert company.states.stale(connection, 2, ["live"]) == ["past8", "past0"]
        assert len(company.states.stale(connection, 100)) == 10


# --- the portfolio's day ---


def portfolio_on(company: Company, *instants: float) -> list[tuple[str, int]]:
    """The day and the customers of the portfolio that a reading as of each instant is held against."""
    with company.database.read() as connection:
        found = [company.states.snapshot(connection, at) for at in instants]
        days = timeline.Snapshots(connection, min(instants), max(instants))
    assert [days.at(at) for at in instants] == found
    return [(snapshot.day, snapshot.customers) for snapshot in found]


def test_a_day_is_held_against_the_portfolio_at_the_end_of_the_day_before(store: Database) -> None:
    company = Company(store, settings=IndexSettings(portfolio_customers=2))
    company.take(*[message(f"m{n}", customer_id=f"c{n}") for n in range(3)])
    company.work()
    assert portfolio_on(company, NOW) == [("", 0)]
    company.take(*[message(f"x{n}", text="a insult", customer_id=f"d{n}") for n in range(3)])
    company.clock.now += HOUR - 1
    company.work()
    assert portfolio_on(company, NOW + DAY) == [("2026-07-02", 3)]
    company.clock.now += 1
    company.work()
    assert portfolio_on(company, NOW, NOW + DAY) == [("", 0), ("2026-07-02", 6)]
    with store.read() as connection:
        assert company.states.snapshot(connection, NOW + DAY).rate == 0.1


def test_the_portfolio_of_a_day_does_not_change_once_it_has_begun(store: Database) -> None:
    company = Company(store, settings=IndexSettings(portfolio_customers=2))
    asked = [NOW + day * DAY + hour * HOUR for day in range(9) for hour in (-12, 0, 11.9)]
    first: dict[float, tuple[str, int]] = {}
    for day in range(9):
        for hour in (-12, -6, 3, 11.9):
            company.clock.now = NOW + day * DAY + hour * HOUR
            if day not in (3, 4, 5):  # the service is off
                company.take(
                    message(f"m{company.clock.now}", company.clock.now, customer_id=f"c{day}")
                )
                company.work()
            past = [at for at in asked if at <= company.clock.now]
            found = dict(zip(past, portfolio_on(company, *past), strict=True))
            assert found == found | first
            first = found
    days = ["", *(f"2026-07-0{day}" for day in (2, 3, 4, 4, 4, 4, 8, 9))]
    assert [day for day, _ in first.values()] == [day for day in days for _ in range(3)]


def test_the_index_of_a_past_day_stays_what_it_was(store: Database) -> None:
    company = Company(store, settings=IndexSettings(portfolio_customers=2))
    company.take(*long_history(40, days_ago(20)))
    company.work()

    def asked() -> Any:
        with store.read() as connection:
            snapshot = company.states.snapshot(connection, days_ago(16))
            return read(company.as_of(days_ago(16)), days_ago(16), company.settings, snapshot)

    before = asked()
    company.take(*[message(f"x{n}", days_ago(n % 9), "a insult") for n in range(30)])
    company.take(*[message(f"y{n}", days_ago(1), customer_id=f"d{n}") for n in range(9)])
    company.clock.now += 3 * DAY
    company.work()
    assert asked() == before


# --- alerts ---


def test_an_alert_comes_with_a_change_and_not_with_the_standing(company: Company) -> None:
    company.take(message("a", NOW - 9, "calm"))
    company.work()
    assert company.alerts() == []
    company.take(message("b", NOW - 8, "a grave"))
    company.work()
    found = company.alerts()
    assert sorted(found) == [("grave", ""), ("prepare_separation", ""), ("quadrant", "draining")]
    company.take(message("c", NOW - 7, "calm"), message("d", NOW - 6, "calm"))
    company.work()
    company.clock.now += 2 * HOUR
    company.work()
    assert company.alerts() == found


def test_what_time_changes_is_told_by_the_refresh(company: Company) -> None:
    company.take(message("a", NOW - 9, "a grave"))
    company.work()
    before = len(company.alerts())
    company.clock.now += 200 * DAY
    company.work()
    assert company.alerts()[before:] == [("quadrant", "calm")]
    company.clock.now += 2 * HOUR
    company.work()
    assert len(company.alerts()) == before + 1


def test_a_sign_is_told_when_it_begins_to_stand(company: Company) -> None:
    for n in range(3):
        company.take(message(f"m{n}", days_ago(9 - n), "a push"))
        company.take(reply(f"r{n}", days_ago(9 - n) + HOUR))
    company.work()
    assert company.alerts() == [("sign", "informal_channel")]
    company.take(message("more", days_ago(0.1), "a push"))
    company.work()
    assert company.alerts() == [("sign", "informal_channel")]


def test_a_refold_tells_nothing_again(store: Database) -> None:
    company = Company(store)
    company.take(message("b", NOW - 8, "a grave"))
    company.work()
    before = company.alerts()
    company.take(reply("late", days_ago(50)))
    company.work()
    Company(store, settings=IndexSettings(half_life_days=29)).work()
    assert company.alerts() == before


def test_alerts_are_seen_in_the_order_of_their_numbers(company: Company) -> None:
    """Who asks for those after the last one that it has seen misses none."""
    company.take(message("a", NOW - 9), message("b", NOW - 9, customer_id="c2"))
    company.work()
    reading = read(company.kept(), NOW, company.settings, Snapshot())
    found = [Alert("grave")]

    def tell_too() -> None:
        with company.database.begin() as connection:
            add_alerts(connection, "c2", NOW, reading, found)

    second = threading.Thread(target=tell_too)
    with company.database.begin() as connection:
        add_alerts(connection, "c1", NOW, reading, found)
        second.start()
        second.join(0.3)
        assert company.rows(alerts) == []
    second.join()
    assert [row.customer_id for row in company.rows(alerts)] == ["c1", "c2"]
