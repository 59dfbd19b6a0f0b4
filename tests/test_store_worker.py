"""The scorer over the store, on both databases: each message once, whatever dies, fails or goes meanwhile."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.exc import OperationalError

from model import Verdict
from serving import worker
from serving.scoring import verdict_row
from serving.store.database import Database
from serving.store.messages import find_verdicts
from serving.store.privacy import delete_customer
from serving.store.queue import MOST_ATTEMPTS, Waiting, claim, finish, hold
from serving.store.states import States
from serving.store.tables import customers, messages, states, ticket_events, verdicts
from tests.helpers import NOW, Clock, FakeScorer, HeldScorer, verdict
from tests.stores import HOUR, Company, days_ago, message, reply, spoken


def at_once(*works: Callable[[], object]) -> None:
    """Run all in threads of their own; the first error is raised."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        start.wait()
        work()

    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(run, work) for work in works]:
            done.result()


# --- the queue ---


def test_messages_are_claimed_in_the_order_in_which_they_came(company: Company) -> None:
    company.take(*[message(f"m{n}", NOW - n) for n in range(5)], reply("out"))
    with company.database.begin() as connection:
        first = claim(connection, NOW, 60, 2)
        rest = claim(connection, NOW, 60, 9)
    assert [row.id for row in company.rows(messages)[:5]] == [f"m{n}" for n in range(5)]
    assert [w.seq for w in first + rest] == [row.seq for row in company.rows(messages)[:5]]


def test_a_claim_lapses_after_its_lease(company: Company) -> None:
    company.take(message("m"))
    with company.database.begin() as connection:
        (taken,) = claim(connection, NOW, 60, 9)
        assert claim(connection, NOW + 60, 60, 9) == []
        assert [again.seq for again in claim(connection, NOW + 61, 60, 9)] == [taken.seq]
        hold(connection, [taken.seq], NOW)
        assert [again.seq for again in claim(connection, NOW + 1, 60, 9)] == [taken.seq]


def test_a_claim_is_bounded_by_characters(company: Company) -> None:
    sizes = [70_000, 30_000, 30_000, 30_000]
    company.take(*[message(f"m{n}", text="x" * size) for n, size in enumerate(sizes)])
    with company.database.begin() as connection:
        taken = [claim(connection, NOW, 60, 9) for _ in range(4)]
    assert [[len(item.text) for item in some] for some in taken] == [
        [70_000],
        [30_000, 30_000],
        [30_000],
        [],
    ]


def test_what_was_claimed_twice_is_claimed_alone(company: Company) -> None:
    company.take(*[message(f"m{n}") for n in range(3)])
    with company.database.begin() as connection:
        found = [len(claim(connection, NOW + 100 * n, 60, 9)) for n in range(3)]
    assert found == [3, 3, 1]


def test_a_message_that_was_scored_keeps_its_first_verdict(company: Company) -> None:
    company.take(message("m", text="a insult"))
    company.work()
    before = company.rows(verdicts)
    row = company.rows(verdicts)[0]._asdict() | {"model": "another"}
    with company.database.begin() as connection:
        scored = [Waiting(row["seq"], "a insult")]
        finish(company.database, connection, scored, [row], True)
    assert company.rows(verdicts) == before


def test_a_verdict_is_written_to_the_text_that_was_scored(company: Company) -> None:
    company.take(message("m", text="a calm"))
    (seq,) = company.rows(select(messages.c.seq))[0]
    row = verdict_row(seq, "a insult", spoken("a insult"), {})
    with company.database.begin() as connection:
        finish(company.database, connection, [Waiting(seq, "a insult")], [row], True)
    assert company.count(verdicts) == 0
    assert company.rows(messages, messages.c.scored) == []


def test_several_scorers_share_the_work(store: Database) -> None:
    models = [FakeScorer(spoken) for _ in range(3)]
    workers = [Company(store, model) for model in models]
    workers[0].take(*[message(f"m{n}", NOW - n, f"a text {n}") for n in range(700)])
    at_once(*[company.work for company in workers])
    scored = [text for model in models for call in model.calls for text in call]
    assert len(scored) == len(set(scored)) == 700
    workers[0].work()
    assert workers[0].is_consistent()
    assert workers[0].count(verdicts) == 700


# --- at once ---


def test_what_several_send_at_once_is_stored_once_and_told_once(store: Database) -> None:
    companies = [Company(store) for _ in range(4)]
    batch = [
        message(f"m{n}", NOW - n, customer_id=f"c{n % 7}", ticket_id=f"t{n % 5}") for n in range(60)
    ]
    told: list[int] = []

    def send(company: Company, seed: int) -> None:
        chosen = random.Random(seed)
        for _ in range(8):
            some = chosen.sample(batch, 30)
            accepted = company.take(*some)
            assert not accepted.conflicts
            assert len(accepted.new) + len(accepted.duplicates) == 30
            told.append(len(accepted.new))

    at_once(*[lambda c=c, n=n: send(c, n) for n, c in enumerate(companies)])
    assert sum(told) == companies[0].count(messages)
    companies[0].take(*batch)
    companies[0].work()
    assert companies[0].count(messages) == companies[0].count(verdicts) == 60
    for n in range(7):
        assert companies[0].is_consistent(f"c{n}")


def test_feeds_scorers_and_deletions_at_once_end_in_what_the_events_make(store: Database) -> None:
    """Nobody waits for another for ever, and no event is forgotten."""
    sender, feeder, owner, *scorers = (Company(store) for _ in range(5))
    names = [f"c{n}" for n in range(4)]

    def send() -> None:
        for n in range(60):
            some = [(names * 2)[n % 4 + k] for k in (0, 1, 3)]
            sender.take(
                *[
                    message(
                        f"m{n}{k}", NOW - n, "a insult", customer_id=name, ticket_id=f"t{n % 9}"
                    )
                    for k, name in enumerate(some)
                ],
                reply(f"r{n}", NOW - n, customer_id=some[0], agent_id="a" if n > 30 else None),
            )

    def feed() -> None:
        for n in range(60):
            ticket = f"t{n % 9}"
            feeder.ticket_event(ticket, f"e{n}", "reopened", NOW - n)
            feeder.put_ticket(ticket, customer_id=names[n % 4], opened_at=NOW - 99)
            feeder.put_customer(names[-n % 4], plan=f"p{n % 3}")
            feeder.rate(3, NOW - n, names[n % 4])

    def delete() -> None:
        for _ in range(15):
            with store.begin() as connection:
                delete_customer(connection, "c3")
            owner.states.refresh(NOW + 9, NOW + 9, 9)

    def score(company: Company) -> None:
        for _ in range(15):
            company.worker.turn()

    at_once(send, feed, delete, *[lambda c=c: score(c) for c in scorers])
    sender.work()
    for row in sender.rows(customers):
        assert sender.is_consistent(row.id), row.id
    assert sender.count(ticket_events) > 0


# --- what goes wrong ---


def test_messages_of_a_scorer_that_died_are_scored_after_its_lease(company: Company) -> None:
    company.take(message("m"))
    with company.database.begin() as connection:
        claim(connection, NOW, 120, 9)
    company.work()
    assert company.count(verdicts) == 0
    company.clock.now += 121
    company.work()
    assert company.count(verdicts) == 1


def test_a_customer_who_is_deleted_while_being_scored_holds_up_nobody(store: Database) -> None:
    model = HeldScorer()
    company = Company(store, model)
    company.take(message("m"), message("n", customer_id="c2"))
    scoring = threading.Thread(target=company.worker.score_waiting)
    scoring.start()
    assert model._called.wait(60)
    with store.begin() as connection:
        assert delete_customer(connection, "c1")
    model.release()
    scoring.join()
    assert [row.customer_id for row in company.rows(messages, messages.c.scored)] == ["c2"]
    company.work()
    assert company.is_consistent("c2")


def test_a_model_that_is_broken_for_a_while_loses_no_message(store: Database) -> None:
    broken = True

    def score(text: str) -> Verdict:
        if broken:
            raise MemoryError
        return verdict(text)

    company = Company(store, FakeScorer(score))
    company.take(message("m"), message("n"))
    company.work()
    assert company.rows(messages, messages.c.scored) == []
    broken = False
    company.clock.now += 60
    company.work()
    assert company.count(verdicts) == 2
    assert company.is_consistent()


def test_a_single_text_that_cannot_be_read_is_not_tried_for_ever(store: Database) -> None:
    def score(text: str) -> Verdict:
        if "poison" in text:
            raise ValueError
        return verdict(text)

    model = FakeScorer(score)
    company = Company(store, model, keep_text=False)
    company.take(message("m", text="poison"))
    for _ in range(MOST_ATTEMPTS):
        assert company.rows(messages, messages.c.scored) == []
        company.work()
        company.clock.now += 11
    assert [call for call in model.calls if call != ["ok"]] == [["poison"]] * MOST_ATTEMPTS
    assert company.count(verdicts) == 0
    assert company.is_consistent()
    assert company.rows(messages)[0].text == "poison"


def test_what_kills_the_scorer_each_time_is_given_up_and_takes_nobody_with_it(
    store: Database,
) -> None:
    model = FakeScorer(spoken)
    company = Company(store, model)
    company.take(message("deadly", text="deadly"), message("other", customer_id="c2"))
    for _ in range(20):
        with store.begin() as connection:  # a scorer that dies of one text
            claimed = claim(connection, company.clock(), 60, 256)
        company.clock.now += 61
        if all(item.text != "deadly" or item.attempts > MOST_ATTEMPTS for item in claimed):
            break
    company.work()
    assert all("deadly" not in call for call in model.calls)
    assert [row.text for row in company.rows(messages, messages.c.scored)] == ["deadly", "calm"]
    assert company.count(verdicts) == 1


def test_a_model_that_breaks_in_between_is_no_texts_fault(store: Database) -> None:
    def score(text: str) -> Verdict:
        if text != "fine":
            raise MemoryError
        return verdict(text)

    company = Company(store, FakeScorer(score))
    company.take(message("m", text="fine"), message("n", text="also fine"))
    for _ in range(2 * MOST_ATTEMPTS):
        company.work()
        company.clock.now += 60
    assert company.count(verdicts) == 1
    assert [(row.scored, row.attempts) for row in company.rows(messages)] == [(True, 1), (False, 0)]


def test_a_verdict_that_cannot_be_kept_holds_up_no_other(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_of_one(seq: int, text: str, *given: Any) -> Any:
        if text == "odd":
            raise OverflowError
        return verdict_row(seq, text, *given)

    monkeypatch.setattr(worker, "verdict_row", fail_of_one)
    company.take(message("m", text="odd"), message("n"), message("o"))
    for _ in range(MOST_ATTEMPTS + 2):
        company.work()
        company.clock.now += 121
    assert [row.id for row in company.rows(messages, messages.c.scored)] == ["m", "n", "o"]
    assert company.count(verdicts) == 2


def test_a_store_that_fails_for_a_while_loses_no_message(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError("write", None, OSError("disk full"))

    company.take(message("m"))
    with monkeypatch.context() as broken:
        broken.setattr(worker, "finish", fail)
        for _ in range(2 * MOST_ATTEMPTS):
            company.work()
            company.clock.now += 11
    company.work()
    assert company.count(verdicts) == 1


# --- one part does not stop another ---


def test_a_customer_who_cannot_be_folded_stops_nobody_and_is_left_alone_for_a_while(
    company: Company, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fold = States.bring_up_to_date
    tried: list[str] = []

    def fail_of_one(self: States, customer: str, now: float) -> Any:
        tried.append(customer)
        if customer == "c1":
            raise KeyError("a word of a message")
        return fold(self, customer, now)

    monkeypatch.setattr(States, "bring_up_to_date", fail_of_one)
    company.take(message("m", NOW - 9), message("n", NOW - 9, customer_id="c2"))
    company.work()
    company.work()
    assert company.is_consistent("c2")
    assert tried.count("c1") == 1
    assert "c1 cannot be brought up to date: KeyError" in caplog.text
    assert "a word of a message" not in caplog.text
    monkeypatch.undo()
    company.clock.now += 301
    company.work()
    assert company.is_consistent("c1")


@pytest.mark.parametrize("part", ["score_waiting", "bring_up_to_date", "_refresh", "_forget"])
def test_a_part_that_fails_stops_no_other(
    store: Database, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    company = Company(store, retention_days=30)
    company.take(message("m"), message("old", days_ago(90), customer_id="c2"))
    company.worker.score_waiting()
    company.take(message("n"))
    done: list[str] = []
    names = ("score_waiting", "bring_up_to_date", "_refresh", "_forget")

    def does(name: str) -> Callable[[], int]:
        def work() -> int:
            if name == part:
                raise KeyError
            done.append(name)
            return 0

        return work

    for name in names:
        monkeypatch.setattr(company.worker, name, does(name))
    company.worker.turn()
    assert done == [name for name in names if name != part]


def test_an_idle_turn_does_not_ask_to_write(
    store: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    company = Company(store, retention_days=30)
    company.take(message("m"))
    company.work()
    monkeypatch.setattr(store, "begin", None)
    assert not company.worker.turn()
    assert caplog.text == ""


def test_an_error_is_told_and_the_next_turn_is_tried(
    company: Company, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    turns: list[int] = []

    def turn() -> bool:
        turns.append(1)
        if len(turns) == 1:
            raise KeyError("broken")
        company.worker.stop()
        return False

    monkeypatch.setattr(company.worker, "turn", turn)
    company.worker.wake()
    company.worker.run()
    assert len(turns) == 2
    assert "the scorer failed and tries again" in caplog.text


def test_a_scorer_whose_model_gives_too_few_verdicts_writes_none(store: Database) -> None:
    class Forgetful(FakeScorer):
        def score(self, texts: Sequence[str]) -> list[Verdict]:
            return super().score(texts)[:-1]

    company = Company(store, Forgetful())
    company.take(message("m"), message("n"))
    with suppress(ValueError):
        company.work()
    assert company.count(verdicts) == 0
    assert company.rows(messages, messages.c.scored) == []


def test_without_keep_text_the_text_goes_with_the_verdict(store: Database) -> None:
    company = Company(store, keep_text=False)
    company.take(message("m", text="a insult"))
    assert company.rows(messages)[0].text == "a insult"
    company.work()
    assert company.rows(messages)[0].text is None
    assert company.is_consistent()


# --- retention ---


def test_messages_are_forgotten_however_busy_the_store_is(store: Database) -> None:
    company = Company(store, retention_days=30)
    company.take(message("old", days_ago(90)), message("new"))
    assert company.worker.turn()
    assert [row.id for row in company.rows(messages)] == ["new"]


def test_a_customer_is_forgotten_in_one_pass(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_FORGET_BATCH", 2)
    monkeypatch.setattr(worker, "_FORGET_TURN_SECONDS", 0.0)
    company = Company(store, retention_days=30, clock=Clock(NOW - 20 * 86_400))
    company.take(
        *[message(f"m{n}", days_ago(40) + n, customer_id=f"c{n % 3}") for n in range(15)],
        *[message(f"new{n}", days_ago(21), customer_id=f"c{n}") for n in range(3)],
    )
    company.work()
    company.clock.now = NOW
    left = []
    while company.worker.turn():
        left.append(sorted(row.customer_id for row in company.rows(messages)))
    assert [len(names) for names in left[:3]] == [13, 8, 3]
    assert left[-1] == ["c0", "c1", "c2"]
    for customer in left[-1]:
        assert company.is_consistent(customer)


def test_old_messages_are_forgotten_once_a_day_and_leave_the_index(store: Database) -> None:
    company = Company(store, retention_days=30)
    company.take(
        message("old", days_ago(29.5), "a grave"), message("new", days_ago(1), "ok thanks")
    )
    company.take(message("waiting", days_ago(200), customer_id="c2"))
    company.put_customer("c1", plan="pro")
    company.ticket_event("t", "e", "work", days_ago(400))
    company.work()
    assert [row.id for row in company.rows(messages)] == ["old", "new"]
    before = company.alerts()
    assert ("grave", "") in before

    company.clock.now += 12 * HOUR + 1
    company.work()
    assert company.count(messages) == 2, "once a day"
    company.clock.now += 12 * HOUR
    company.work()
    assert [row.id for row in company.rows(messages)] == ["new"]
    assert company.count(verdicts) == 1
    assert company.is_consistent()
    assert company.kept().language.peak.amount == 0
    assert company.count(ticket_events) == 1
    assert [alert for alert in company.alerts() if alert not in before] == [("quadrant", "calm")]


def test_without_retention_nothing_is_forgotten(company: Company) -> None:
    company.take(message("old", days_ago(9999)))
    company.work()
    company.clock.now += 1e9
    company.work()
    assert company.count(messages) == 1


def test_what_is_forgotten_alerts_nobody_again(store: Database) -> None:
    company = Company(store, clock=Clock(NOW - 20 * 86_400), retention_days=30)
    company.take(
        message("ancient", days_ago(45), "ok thanks"), message("b", days_ago(21), "a grave")
    )
    company.work()
    before = company.alerts()
    company.clock.now = NOW
    company.work()
    assert [row.id for row in company.rows(messages)] == ["b"]
    assert company.is_consistent()
    assert company.alerts() == before


def test_a_waiting_message_is_not_forgotten_before_it_was_read(company: Company) -> None:
    company.take(message("m", days_ago(100)))
    with company.database.begin() as connection:
        connection.execute(update(messages).values(claimed_until=NOW + 60))
    strict = Company(company.database, retention_days=1)
    strict.work()
    assert company.count(messages) == 1
    assert company.rows(states) == []


# --- how much is read ---


def test_what_is_sent_scored_and_folded_is_found_through_indexes(company: Company) -> None:
    """A store may hold ten million messages."""
    if not company.database.is_sqlite:
        pytest.skip("its plan depends on the data")
    asked: list[tuple[str, Any]] = []

    def keep(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            asked.append((statement, parameters))

    event.listen(company.database.engine, "before_cursor_execute", keep)
    company.take(message("m", ticket_id="t"), reply("r", agent_id="mona"))
    told = company.take(message("m", ticket_id="t"), message("m2", source="mail"))
    company.ticket_event("t", "e", "replied", NOW - 9)
    company.put_ticket("t", opened_at=NOW - 99)
    company.put_customer(plan="pro")
    company.rate(3, NOW)
    company.outcome("renewal", NOW)
    with company.database.read() as connection:
        find_verdicts(connection, [told.new[0].key])
    assert company.worker.score_waiting()
    assert company.states.bring_up_to_date("c1", NOW)
    event.remove(company.database.engine, "before_cursor_execute", keep)
    with company.database.read() as connection:
        for statement, parameters in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            for step in (row.detail for row in plan):
                few = any(name in step for name in ("unscored", "sources", "CONSTANT"))
                assert few or not step.startswith("SCAN"), (step, statement)
