"""Tickets on both databases: whose they are, what events and records tell together, the first reply."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from serving.index.events import Outgoing, TicketChange
from serving.index.settings import DAY
from serving.store import told
from serving.store.told import FirstReplies, Told
from tests.helpers import NOW
from tests.stores import Company, days_ago, message, reply


def changes_of(company: Company, customer: str = "c1") -> list[tuple[str, float]]:
    """Type and days ago of each change, one sent at once with others as often as it counts."""
    return [
        (event.type, round((NOW - event.at) / DAY, 6))
        for event in company.events(customer)
        if isinstance(event, TicketChange)
        for _ in range(event.count)
    ]


def told_of(company: Company, *changes: tuple[str, float], ticket: str = "t") -> None:
    """Send events of a type so many days ago."""
    for kind, days in changes:
        company.ticket_event(ticket, f"{kind}-{days}", kind, days_ago(days))


# --- whose they are ---


@pytest.mark.parametrize("by", ["message", "record"])
def test_ticket_events_wait_for_their_owner(company: Company, by: str) -> None:
    told_of(company, ("opened", 9), ("reopened", 8))
    company.take(message("m", days_ago(1)))
    company.work()
    assert changes_of(company) == []
    if by == "message":
        company.take(message("n", days_ago(0.5), ticket_id="t"))
    else:
        company.put_ticket("t", opened_at=days_ago(7))
    company.work()
    assert changes_of(company) == [("opened", 9), ("reopened", 8)]
    assert company.is_consistent()
    assert company.kept().service.reopened.amount > 0


def test_a_ticket_stays_with_its_first_owner_but_a_record_may_move_it(company: Company) -> None:
    company.take(message("m", days_ago(3), ticket_id="t"))
    company.take(message("n", days_ago(2), customer_id="c2", ticket_id="t"))
    told_of(company, ("reopened", 1))
    company.work()
    assert (changes_of(company), changes_of(company, "c2")) == ([("reopened", 1)], [])
    company.put_ticket("t", customer_id="c2", opened_at=days_ago(3))
    company.work()
    assert changes_of(company) == []
    assert changes_of(company, "c2") == [("opened", 3), ("reopened", 1)]
    assert company.is_consistent("c1")
    assert company.is_consistent("c2")


# --- events and records together ---

RECORD = {
    "opened_at": days_ago(9),
    "first_reply_at": days_ago(8),
    "resolved_at": days_ago(5),
    "reopened": 2,
    "handoffs": 1,
}
COUNTS = [("handed_over", 5), ("reopened", 5), ("reopened", 5)]
"""Those of the record, dated at its last change."""


def test_a_bare_record_tells_everything(company: Company) -> None:
    assert company.put_ticket("t", **RECORD) == days_ago(5)
    company.work()
    assert changes_of(company) == [("opened", 9), ("replied", 8), *COUNTS, ("resolved", 5)]
    assert company.is_consistent()


@pytest.mark.parametrize("record_first", [True, False])
def test_what_events_tell_is_not_told_again_by_the_record(
    company: Company, record_first: bool
) -> None:
    if record_first:
        company.put_ticket("t", **RECORD)
        company.work()
    told_of(company, ("opened", 9.1), ("handed_over", 7), ("reopened", 6))
    company.work()
    if not record_first:
        assert company.put_ticket("t", **RECORD) == days_ago(5)
        company.work()
    assert changes_of(company) == [
        ("opened", 9.1),
        ("replied", 8),
        ("handed_over", 7),
        ("reopened", 6),
        ("reopened", 5),
        ("resolved", 5),
    ]
    assert company.is_consistent()


def test_a_record_adds_nothing_to_a_whole_story(company: Company) -> None:
    story = [
        ("opened", 9),
        ("replied", 8),
        ("handed_over", 7.5),
        ("resolved", 7),
        ("reopened", 6.5),
        ("resolved", 6),
        ("reopened", 5.5),
        ("resolved", 5),
    ]
    told_of(company, *story)
    company.work()
    assert company.put_ticket("t", **RECORD) is None
    company.work()
    assert changes_of(company) == story
    assert company.is_consistent()


def test_a_record_with_fewer_counts_than_events_takes_none_away(company: Company) -> None:
    story = [("opened", 9), ("handed_over", 8), ("handed_over", 7), ("resolved", 5)]
    told_of(company, *story)
    times = {"opened_at": days_ago(9), "resolved_at": days_ago(5)}
    assert company.put_ticket("t", **times, handoffs=1, reopened=0) is None
    company.work()
    assert changes_of(company) == story


def test_grown_counts_replace_those_before(company: Company) -> None:
    company.put_ticket("t", opened_at=days_ago(9), resolved_at=days_ago(6), handoffs=1)
    company.work()
    grown = {"opened_at": days_ago(9), "resolved_at": days_ago(2), "handoffs": 3}
    assert company.put_ticket("t", **grown) == days_ago(2)
    company.work()
    assert changes_of(company) == [("opened", 9), *[("handed_over", 2)] * 3, ("resolved", 2)]
    assert company.is_consistent()
    company.put_ticket("t", **grown)
    assert company.dirty_from() is None


def test_a_resolution_that_no_event_tells_is_read_from_the_record(company: Company) -> None:
    """A ticket that was reopened was resolved once more."""
    told_of(company, ("opened", 9), ("resolved", 7), ("reopened", 6))
    company.put_ticket("t", opened_at=days_ago(9), resolved_at=days_ago(5), reopened=1)
    company.work()
    assert changes_of(company)[-1] == ("resolved", 5)
    assert company.kept().service.tickets == {}


def test_work_alone_does_not_hide_the_record(company: Company) -> None:
    told_of(company, ("work", 7))
    company.put_ticket("t", **RECORD)
    company.work()
    assert changes_of(company) == [
        ("opened", 9),
        ("replied", 8),
        ("work", 7),
        *COUNTS,
        ("resolved", 5),
    ]


def test_minutes_without_an_event_of_work_are_dated_too(company: Company) -> None:
    record = {"opened_at": days_ago(9), "resolved_at": days_ago(5), "minutes_of_work": 20.0}
    assert company.put_ticket("t", **record) == days_ago(5)
    told_of(company, ("work", 7))
    assert company.put_ticket("t", **record) is None


def test_a_replaced_record_leaves_no_trace_of_the_old_one(company: Company) -> None:
    company.put_ticket("t", opened_at=days_ago(9), resolved_at=days_ago(2), handoffs=3)
    company.work()
    company.put_ticket("t", opened_at=days_ago(4))
    company.work()
    assert changes_of(company) == [("opened", 4)]
    assert company.is_consistent()
    assert company.kept().service.handoffs.amount == 0


# --- the first reply ---


def lateness(company: Company) -> float:
    """How late the answers were; 0 when all were in time."""
    return company.kept().service.late.amount


def first_reply_told(company: Company, by: str, at: float) -> None:
    if by == "event":
        company.ticket_event("t", "r", "replied", at)
    else:
        company.put_ticket("t", opened_at=days_ago(9), first_reply_at=at)


@pytest.mark.parametrize("by", ["record", "event"])
@pytest.mark.parametrize("ticket", ["t", None])
def test_a_told_first_reply_wins_against_an_earlier_guess(
    company: Company, by: str, ticket: str | None
) -> None:
    """A message without an agent, from a source that never names one, is taken for a person's."""
    company.take(message("m", days_ago(9), ticket_id="t"))
    company.ticket_event("t", "o", "opened", days_ago(9))
    company.take(reply("auto", days_ago(9) + 60, ticket_id=ticket))
    company.work()
    assert company.kept().service.answered.amount > 0
    assert lateness(company) == 0
    first_reply_told(company, by, days_ago(7))
    company.work()
    people = [event.person for event in company.events() if isinstance(event, Outgoing)]
    assert people == [False]
    assert lateness(company) > 0.5
    assert company.as_of(days_ago(8)).service.open_since == days_ago(9)
    assert company.is_consistent()


@pytest.mark.parametrize("by", ["record", "event"])
def test_a_told_first_reply_wins_whatever_comes_first(company: Company, by: str) -> None:
    company.ticket_event("t", "o", "opened", days_ago(9))
    first_reply_told(company, by, days_ago(7))
    company.take(message("m", days_ago(9), ticket_id="t"))
    company.work()
    company.take(reply("auto", days_ago(9) + 60, ticket_id="t"))
    company.work()
    assert lateness(company) > 0.5
    assert company.is_consistent()


def test_an_earlier_told_first_reply_ends_the_wait(company: Company) -> None:
    company.take(message("m", days_ago(9), ticket_id="t"), reply("r", days_ago(7), ticket_id="t"))
    company.work()
    assert lateness(company) > 0.5
    first_reply_told(company, "record", days_ago(9) + 60)
    company.work()
    assert lateness(company) == 0
    people = [event.person for event in company.events() if isinstance(event, Outgoing)]
    assert people == [True]


def test_a_first_reply_told_anew_counts_from_where_it_was_before(company: Company) -> None:
    company.take(message("m", days_ago(9), ticket_id="t"))
    company.take(reply("auto", days_ago(9) + 60), reply("r", days_ago(8), ticket_id="t"))
    first_reply_told(company, "record", days_ago(7))
    company.work()
    first_reply_told(company, "record", days_ago(8))
    company.work()
    people = [event.person for event in company.events() if isinstance(event, Outgoing)]
    assert people == [False, True]
    assert company.is_consistent()
    company.put_ticket("t", customer_id="c2", opened_at=days_ago(9), first_reply_at=days_ago(7))
    company.work()
    people = [event.person for event in company.events() if isinstance(event, Outgoing)]
    assert people == [True, True]
    assert company.is_consistent()


@pytest.mark.parametrize(
    "sent",
    [
        reply("named", days_ago(9) + 60, ticket_id="t", agent_id="mona", source="desk"),
        reply("elsewhere", days_ago(9) + 60, ticket_id="other"),
        reply("before", days_ago(9.5)),
        reply("same instant", days_ago(7)),
        reply("another's", days_ago(9) + 60, customer_id="c2"),
    ],
    ids=lambda sent: sent.id,
)
def test_a_told_first_reply_leaves_other_messages_as_they_are(company: Company, sent: Any) -> None:
    company.take(message("m", days_ago(9), ticket_id="t"), sent)
    company.work()
    first_reply_told(company, "record", days_ago(7))
    company.work()
    found = [e for e in company.events(sent.customer_id) if isinstance(e, Outgoing)]
    assert [event.person for event in found] == [True]


def test_a_first_reply_with_nothing_to_overrule_folds_nothing_anew(company: Company) -> None:
    company.take(message("m", days_ago(9), ticket_id="t"))
    company.take(reply("auto", days_ago(9) + 60, ticket_id="t", source="desk"))
    company.take(reply("named", days_ago(8), agent_id="mona", source="desk"))
    company.ticket_event("t", "o", "opened", days_ago(9))
    company.work()
    first_reply_told(company, "event", days_ago(8))
    assert company.dirty_from() == days_ago(8)


_SPANS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), max_size=6)


@given(_SPANS, st.integers(0, 30))
def test_a_message_on_no_ticket_comes_before_a_reply_where_any_ticket_waits(
    spans: list[tuple[int, int]], at: int
) -> None:
    story = [
        Told(
            str(n),
            [
                TicketChange(at=start, ticket=str(n), type="opened"),
                TicketChange(at=start + length, ticket=str(n), type="replied"),
            ],
        )
        for n, (start, length) in enumerate(spans)
    ]
    waits = any(start <= at < start + length for start, length in spans)
    assert FirstReplies(story).come_after(None, at) == waits


# --- how much is read ---


def test_an_update_does_not_look_at_old_tickets(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(20):
        company.put_ticket(f"t{n}", opened_at=days_ago(9), resolved_at=days_ago(8))
        company.ticket_event(f"u{n}", "e", "opened", days_ago(9))
        company.put_ticket(f"u{n}", opened_at=days_ago(9))
    company.take(message("m", days_ago(2)))
    company.work()
    told_of(company, ("opened", 9), ticket="new")
    company.put_ticket("new", opened_at=days_ago(9))
    company.work()
    told_of(company, ("resolved", 0.2), ticket="new")
    looked_at: list[str] = []
    tell = told.record_changes

    def remember(record: Any, events: Any) -> Any:
        looked_at.append(record.id)
        return tell(record, events)

    monkeypatch.setattr(told, "record_changes", remember)
    company.take(message("n", days_ago(0.5)))
    company.work()
    assert set(looked_at) == {"new"}
    assert ("resolved", 0.2) in changes_of(company)
    assert company.is_consistent()
    if company.database.is_sqlite:
        with company.database.read() as connection:
            plan = [str(row) for row in connection.execute(text(_TOLD))]
        assert any("ix_tickets_customer_id_last_at" in step for step in plan), plan
        assert not any("SCAN" in step for step in plan), plan


_TOLD = """
    EXPLAIN QUERY PLAN SELECT e.at FROM tickets t JOIN ticket_events e ON t.id = e.ticket_id
    WHERE t.customer_id = 'c1' AND t.last_at > 5
"""
