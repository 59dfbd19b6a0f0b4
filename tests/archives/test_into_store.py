"""`--into-store`: an archive's messages in the service's store, scored already, on both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from serving.archives.row import Judged, Message
from serving.archives.store import IN_FUTURE, NO_CUSTOMER, NO_TIME, StoreLoader
from serving.store.database import Database
from serving.store.feeds import put_customer
from serving.store.tables import customers, messages, sources, verdicts
from tests.helpers import NOW, Clock, FakeScorer, Json
from tests.stores import HOUR, Company, days_ago, message, spoken

TEXTS = ["a calm", "b insult", "c thanks", "d push", "e grave", "f blame"]


def judged(row: int, text: str = "a calm", **fields: Any) -> Judged:
    given: Json = {"id": f"m{row}", "customer": "c1", "at": NOW - HOUR, "channel": "whatsapp"}
    found = Message(text, **given | fields)
    return Judged(
        row, "/data/exports/chat.csv.gz", found, spoken(text) if found.direction == "in" else None
    )


def loader(database: Database, **options: Any) -> StoreLoader:
    return StoreLoader(database, {}, clock=Clock(), **options)


def archive() -> list[Judged]:
    """Three weeks of messages, every third one an answer."""
    return [
        judged(
            row,
            "on it" if row % 3 == 0 else TEXTS[row % len(TEXTS)],
            at=days_ago(21) + row * 12 * HOUR,
            direction="out" if row % 3 == 0 else "in",
            customer=f"c{row % 4}",
            agent="a1" if row % 6 == 0 else None,
            ticket=f"t{row % 4}" if row % 2 else None,
        )
        for row in range(1, 41)
    ]


def test_messages_are_there_as_if_the_service_had_taken_and_scored_them(store: Database) -> None:
    service = Company(store)
    service.take(
        *(
            message(
                one.message.id or "",
                one.message.at or 0,
                one.message.text,
                source="service",
                customer_id=f"s{one.message.customer}",
                direction=one.message.direction,
                ticket_id=one.message.ticket and f"s{one.message.ticket}",
                agent_id=one.message.agent,
            )
            for one in archive()
        )
    )
    service.work()
    loading = loader(store)
    loading.load(archive()[:15])
    loading.load(archive()[15:])
    assert loading.loaded.new == 40
    scorer = FakeScorer(spoken)
    company = Company(store, scorer)
    company.work()
    assert scorer.calls == []
    for customer in ("c0", "c1", "c2", "c3"):
        assert company.is_consistent(customer)
        mine, its = company.kept(customer), company.kept(f"s{customer}")
        assert mine.language == its.language
        assert mine.service.answered == its.service.answered
        assert mine.behaviour.contacts == its.behaviour.contacts


def test_again_it_changes_nothing(store: Database) -> None:
    loader(store).load(archive())
    company = Company(store)
    company.work()
    before = company.rows(messages), company.rows(verdicts), company.rows(customers)
    again = loader(store)
    again.load(archive())
    assert (again.loaded.new, again.loaded.duplicates) == (0, 40)
    assert (company.rows(messages), company.rows(verdicts), company.rows(customers)) == before


def test_the_source_is_named_after_the_file_or_told(store: Database) -> None:
    loader(store).load([judged(1)])
    loader(store, source="crm").load([judged(1)])
    assert [row.name for row in Company(store).rows(sources)] == ["archive:exports/chat.csv", "crm"]


def test_another_text_under_a_known_id_is_told_and_the_first_stays(store: Database) -> None:
    loading = loader(store)
    loading.load([judged(1), judged(1, "b insult"), judged(1)])
    loading.load([judged(1, "b insult")])
    assert (loading.loaded.new, loading.loaded.duplicates, loading.loaded.conflicts) == (1, 1, 2)
    (row,) = Company(store).rows(messages)
    assert (row.text, row.scored) == ("a calm", True)


def test_the_verdict_is_that_of_the_text_that_is_stored(store: Database) -> None:
    company = Company(store)
    company.take(message("m1", text="a calm", source="archive:exports/chat.csv"))
    loader(store).load([judged(1, "b insult"), judged(1, "a calm")])
    (row,) = company.rows(verdicts)
    assert '"labels": []' in row.verdict


def test_a_message_that_waits_for_the_scorer_gets_the_verdict(store: Database) -> None:
    scorer = FakeScorer(spoken)
    company = Company(store, scorer)
    company.take(message("m1", text="a insult", source="archive:exports/chat.csv"))
    loading = loader(store)
    loading.load([judged(1, "a insult")])
    assert (loading.loaded.new, loading.loaded.duplicates) == (0, 1)
    company.work()
    assert scorer.calls == []
    assert company.count(verdicts) == 1


def test_a_message_without_a_verdict_waits_for_the_scorer(store: Database) -> None:
    loader(store).load([replace(judged(1), verdict=None)])
    company = Company(store)
    company.work()
    assert company.count(verdicts) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"customer": None}, NO_CUSTOMER),
        ({"at": None}, NO_TIME),
        ({"at": NOW + HOUR}, IN_FUTURE),
        ({"customer": "a/b"}, '"customer_id": Value error, an id has no "/"'),
        ({"ticket": "t" * 201}, '"ticket_id": String should have at most 200 characters'),
    ],
)
def test_what_cannot_be_stored_is_counted_with_its_reason(
    store: Database, fields: Json, reason: str
) -> None:
    loading = loader(store)
    loading.load([judged(1), judged(2, **fields)])
    assert loading.loaded.new == 1
    ((told, count),) = loading.loaded.refused.items()
    assert told.startswith(reason)
    assert count == 1


def test_a_clock_that_is_a_little_ahead_is_now(store: Database) -> None:
    loader(store).load([judged(1, at=NOW + 60)])
    (row,) = Company(store).rows(messages)
    assert row.sent_at == NOW


def test_a_message_without_an_id_is_the_same_in_every_export(store: Database) -> None:
    loading = loader(store, source="whatsapp")
    loading.load([judged(1, id=None), judged(2, "b insult", id=None)])
    loading.load([judged(7, id=None), judged(8, id=None, at=NOW)])
    assert (loading.loaded.new, loading.loaded.duplicates) == (3, 1)


def test_customers_get_their_last_name_and_one_that_people_gave_stays(store: Database) -> None:
    with store.begin() as connection:
        put_customer(store, connection, "c2", {"name": "Mr. Adel"}, NOW)
    archive = [
        judged(1, name="Salma Adel", at=NOW - HOUR),
        judged(2, name="Salma", at=NOW - 2 * HOUR),
        judged(3, name="Omar", customer="c2"),
        judged(4, customer="c3"),
    ]
    for _ in range(2):
        loader(store).load(archive)
        named = {row.id: row.name for row in Company(store).rows(customers)}
        assert named == {"c1": "Salma Adel", "c2": "Mr. Adel", "c3": None}
    loader(store).load([judged(5, name="Huda", customer="c3"), judged(6, name="Nour")])
    named = {row.id: row.name for row in Company(store).rows(customers)}
    assert named == {"c1": "Salma Adel", "c2": "Mr. Adel", "c3": "Huda"}


def test_texts_are_not_kept_where_the_service_keeps_none(store: Database) -> None:
    loader(store, keep_text=False).load([judged(1), judged(2, "on it", direction="out")])
    company = Company(store)
    assert [row.text for row in company.rows(messages)] == [None, None]
    assert all(row.scored for row in company.rows(messages))


def test_characters_that_no_database_keeps(store: Database) -> None:
    loading = loader(store)
    loading.load([judged(1, "a calm\x00 one")])
    (row,) = Company(store).rows(messages)
    assert (row.text, row.scored) == ("a calm\ufffd one", True)


def test_customers_wait_for_their_index_and_no_channel_is_no_error(store: Database) -> None:
    loader(store).load([judged(1, channel="")])
    company = Company(store)
    assert company.dirty_from() == NOW - HOUR
    company.work()
    assert company.dirty_from() is None
    assert company.kept().events == 1
