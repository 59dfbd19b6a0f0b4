"""The review queue: what is offered and why, to one person at a time, blind where it must be."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from model import Verdict
from serving.review import CONTRADICTION, MIXED, Reason, mixed, with_second_readings
from serving.settings import Settings
from serving.store.database import Database
from serving.store.feedback import Correction, keep, undo
from serving.store.reviews import Reviews, give_back
from serving.store.tables import leases, messages
from tests.conftest import OpenClient
from tests.helpers import NOW, Clock, FakeScorer, Json
from tests.histories import draining, judge, said, send
from tests.stores import Company, message, spoken


def doubtful(text: str) -> Verdict:
    """As `spoken`; of a text with a number, abuse has that probability in percent."""
    found = spoken(text)
    numbers = [int(word) for word in text.split() if word.isdigit()]
    if numbers:
        scores = found.scores | {"abuse": numbers[0] / 100}
        found = replace(found, scores=scores, needs_review=40 <= numbers[0] <= 60)
    return found


class Desk:
    """A company with a review queue."""

    def __init__(self, database: Database, model: Any = doubtful, **settings: Any) -> None:
        self.company = Company(database, FakeScorer(model))
        self.settings = Settings(**{"review_second_share": 0.0} | settings)
        self.reviews = Reviews(database, self.company.states, self.settings)

    def take(self, *texts: str, customer: str | None = None) -> None:
        """Messages m0, m1, … of the customer, or of one each."""
        base = self.company.count(messages)
        self.company.take(
            *[
                message(f"m{n}", NOW - 9 + n / 1e3, text, customer_id=customer or f"c{n}")
                for n, text in enumerate(texts, base)
            ]
        )
        self.company.work()

    def lend(self, reviewer: str = "Mona", limit: int = 10) -> Sequence[Any]:
        return self.reviews.lease(reviewer, limit, {}, self.company.clock())

    def texts(self, reviewer: str = "Mona", limit: int = 10) -> set[str]:
        return {row.text for row in self.lend(reviewer, limit)}

    def correct(self, identity: str, reviewer: str = "Mona", **labels: Any) -> int:
        with self.company.database.begin() as connection:
            word = Correction(labels, reviewer, "wa", identity)
            return keep(connection, word, None, self.company.clock()).id


@pytest.fixture
def desk(store: Database) -> Desk:
    return Desk(store)


# --- why ---


def test_what_is_sure_and_ordinary_is_not_offered(desk: Desk) -> None:
    desk.take("a 1", "b 2", "c 3")
    assert desk.texts() == set()


def test_the_unsure_come_nearest_to_the_threshold_first(desk: Desk) -> None:
    desk.take("a 40", "b 50", "c 3", "d 45")
    assert desk.texts(limit=1) == {"b 50"}
    assert desk.texts(limit=2) == {"b 50", "d 45"}
    assert desk.texts(limit=9) == {"b 50", "d 45", "a 40"}


def test_what_people_said_otherwise_of_the_same_words_is_offered(desk: Desk) -> None:
    desk.take("a insult one", "a insult two", "b insult", "a calm")
    word = desk.correct("m0", abuse=False)
    (row,) = [row for row in desk.lend("Omar") if CONTRADICTION in row.why]
    assert row.text == "a insult two"
    assert f'"feedback_id": {word}' in row.why
    assert '"labels": ["abuse"]' in row.why


def test_words_unlike_all_others_are_offered(store: Database) -> None:
    def placed(text: str) -> Verdict:
        vector = np.zeros(256, np.float32)
        vector[200 if "new" in text else 1] = 1
        return replace(spoken(text), vector=vector)

    desk = Desk(store, placed)
    desk.take(*[f"calm {n}" for n in range(60)], "a new tongue")
    assert desk.texts() == {"a new tongue"}


def test_what_moves_an_index_is_offered_however_old_it_is(store: Database) -> None:
    desk = Desk(store, review_window=5)
    desk.take(*["x insult"] * 10, "y grave", customer="c")
    desk.company.clock.now += 60
    desk.take(*["calm"] * 9)
    found = desk.lend(limit=30)
    assert {row.text for row in found} == {"x insult", "y grave"}
    assert all('"high_stakes"' in row.why and '"component"' in row.why for row in found)


def test_the_reasons_take_turns(desk: Desk) -> None:
    desk.take("a insult one", *[f"b 5{n}" for n in range(5)])
    desk.take(*["c insult"] * 9, customer="c")
    desk.take("a insult two")
    desk.correct("m0", "Omar", abuse=False)
    first = desk.lend(limit=3)
    assert [row.text[0] for row in first] == ["c", "a", "b"]


@given(st.dictionaries(st.integers(1, 50), st.sets(st.sampled_from(MIXED), min_size=1)))
def test_each_message_is_offered_once(kinds: dict[int, set[str]]) -> None:
    reasons = {seq: [Reason(kind, 0.5) for kind in sorted(those)] for seq, those in kinds.items()}
    assert sorted(mixed(reasons)) == sorted(kinds)


@given(
    st.integers(0, 30), st.integers(0, 30), st.integers(0, 1000), st.floats(0, 1, allow_nan=False)
)
def test_second_readings_have_their_share(first: int, second: int, done: int, share: float) -> None:
    ones, twos = list(range(first)), list(range(100, 100 + second))
    found = list(with_second_readings(ones, twos, done, share))
    assert [seq for seq in found if seq < 100] == ones
    assert [seq for seq in found if seq >= 100] == (twos if share else [])
    start = found[: min(first, second)]
    number = sum(seq >= 100 for seq in start)
    assert abs(number - share * len(start)) <= 1


# --- to whom ---


def test_what_one_person_has_nobody_else_gets(desk: Desk) -> None:
    desk.take(*[f"b {n}" for n in range(40, 60)])
    mona, omar = desk.texts("Mona", 8), desk.texts("Omar", 8)
    assert len(mona) == len(omar) == 8
    assert not mona & omar
    assert desk.texts("Mona", 8) == mona  # asked again: the same
    assert len(desk.texts("Zein", 8)) == 4


def test_a_lease_expires(desk: Desk) -> None:
    desk.take("b 50")
    assert desk.texts("Mona")
    desk.company.clock.now += 15 * 60 - 1
    assert not desk.texts("Omar")
    desk.company.clock.now += 1
    assert desk.texts("Omar")
    assert not desk.texts("Mona")


def test_what_is_given_back_goes_to_others(desk: Desk) -> None:
    desk.take("b 50", "c 45")
    (first,) = desk.lend("Mona", 1)
    with desk.company.database.begin() as connection:
        assert not give_back(connection, first.seq, "Omar", NOW)
        assert give_back(connection, first.seq, "Mona", NOW)
        assert not give_back(connection, first.seq, "Mona", NOW)
    assert desk.texts("Mona", 2) == {"c 45"}
    assert desk.texts("Omar", 2) == {"b 50"}


def test_what_was_judged_is_not_offered_again_until_it_is_undone(desk: Desk) -> None:
    desk.take("b 50", "c 45")
    desk.lend("Mona", 1)
    word = desk.correct("m0", "Mona", abuse=True)
    assert desk.texts("Mona", 1) == {"c 45"}
    assert desk.company.rows(leases)[0].message_seq == 2
    with desk.company.database.begin() as connection:
        undo(connection, word, NOW)
    assert desk.texts("Omar") == {"b 50"}


def test_second_readings_are_of_what_one_other_person_read(store: Database) -> None:
    desk = Desk(store, review_second_share=0.5)
    desk.take("a 1", "b 2", "c 3", *[f"d {n}" for n in range(45, 55)])
    desk.correct("m0", "Omar", abuse=True)
    desk.correct("m1", "Mona", abuse=True)
    desk.correct("m2", "Omar", abuse=True)
    desk.correct("m2", "Zein", abuse=True)
    found = desk.lend("Mona", 4)
    assert len(found) == 4
    assert [row.text for row in found if "second_reading" in row.why] == ["a 1"]


def test_two_at_once_get_different_messages(store: Database) -> None:
    desk = Desk(store)
    desk.take(*[f"b {n}" for n in range(40, 61)] * 3)
    names = [f"reviewer {n}" for n in range(6)]
    start = threading.Barrier(len(names))
    found: dict[str, list[int]] = {}

    def ask(name: str) -> None:
        start.wait()
        found[name] = [row.seq for row in desk.lend(name, 7)]

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lent = Counter(seq for seqs in found.values() for seq in seqs)
    assert set(lent.values()) == {1}
    assert len(lent) == sum(len(seqs) for seqs in found.values()) == 42


def test_no_table_of_messages_is_read_as_a_whole(migrated_sqlite: Path, tmp_path: Path) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "store.db")
    database = Database(f"sqlite:///{tmp_path / 'store.db'}")
    desk = Desk(database, review_second_share=0.5)
    desk.take(*["x insult"] * 10, customer="c")
    desk.correct("m0", "Omar", abuse=True)
    asked: list[tuple[str, Any]] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def note(_: Any, __: Any, statement: str, values: Any, *___: Any) -> None:
        asked.append((statement, values))

    assert desk.lend()
    event.remove(database.engine, "before_cursor_execute", note)
    with database.read() as connection:
        for statement, values in asked:
            if statement.startswith("SELECT"):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                plan = [row.detail for row in rows]
                assert "SCAN messages" not in plan, statement
                if "SCAN verdicts" in plan:  # by number, from the newest on
                    assert plan == ["SCAN verdicts"]
                    assert "LIMIT" in statement
    database.close()


# --- over HTTP ---


async def ask(client: httpx.AsyncClient, reviewer: str, limit: int = 10) -> list[Json]:
    answer = await client.post("/review", json={"reviewer": reviewer, "limit": limit})
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["reviews"]
    return found


@pytest.mark.usefixtures("both_stores")
async def test_a_minute_of_a_support_lead(open_client: OpenClient) -> None:
    share = {"review_second_share": 1.0}
    async with open_client(FakeScorer(judge), clock=Clock(), **share) as client:
        await send(client, draining("c1"), [said("c2", 1, "hello", id="fair")])
        (first,) = await ask(client, "Mona", 1)
        assert first["text"] == "you z fool"
        assert first["verdict"]["labels"] == ["abuse"]
        assert first["why"][0]["reason"] == "high_stakes"
        assert first["until"] == "2026-07-01T12:15:00Z"
        held = (await client.get("/review", params={"reviewer": "Mona"})).json()
        assert held == {"reviews": [first]}
        body = {"source": first["source"], "id": first["id"], "labels": {"abuse": True}}
        assert (await client.post("/feedback", json=body | {"reviewer": "Mona"})).is_success
        assert (await client.get("/review", params={"reviewer": "Mona"})).json()["reviews"] == []
        (blind,) = await ask(client, "Omar", 1)
        assert (blind["id"], blind["verdict"]) == (first["id"], None)
        assert blind["why"] == [{"reason": "second_reading", "worth": 1.0}]
        path, who = f"/review/{blind['review_id']}", {"reviewer": "Omar"}
        assert (await client.delete(path, params=who)).status_code == 204
        again = await client.delete(path, params=who)
        assert (again.status_code, again.json()["error"]["code"]) == (404, "not_found")


async def test_what_is_wrong_is_told(api: httpx.AsyncClient) -> None:
    for body in (
        {},
        {"reviewer": ""},
        {"reviewer": " "},
        {"reviewer": "Mona", "limit": 0},
        {"reviewer": "M", "limit": 101},
    ):
        answer = await api.post("/review", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
    assert (await api.get("/review")).status_code == 422
