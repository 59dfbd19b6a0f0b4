"""POST /messages and the feeds, on both databases: what is taken, kept, refused, and said."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from model import Verdict
from serving.store.customers import BEGINNING
from serving.store.database import Database
from serving.store.tables import (
    agents,
    audit,
    customers,
    decisions,
    messages,
    outcomes,
    profiles,
    ratings,
    states,
    ticket_events,
    tickets,
    verdicts,
)
from serving.times import TimeError, read_time, wire_time
from tests.conftest import OpenClient
from tests.helpers import NOW, Clock, FakeScorer, HeldScorer, Json, eventually, verdict

pytestmark = pytest.mark.usefixtures("both_stores")


def wire(identity: Any = "m1", **fields: Any) -> Json:
    """A message of an hour ago, with other fields as given."""
    return {
        "source": "wa",
        "id": identity,
        "customer_id": "c1",
        "direction": "in",
        "channel": "whatsapp",
        "sent_at": wire_time(NOW - 3600),
        "text": f"text of {identity}",
    } | fields


def error_of(response: httpx.Response, status: int) -> Json:
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    error: Json = response.json()["error"]
    return error


async def post(client: httpx.AsyncClient, *items: Any, wait: bool = False) -> Json:
    body = json.dumps({"messages": items})  # in ASCII, lone surrogates included
    response = await client.post(f"/messages?wait={wait}", content=body)
    assert response.status_code == (200 if wait else 202), response.text
    answer: Json = response.json()
    return answer


async def refused(client: httpx.AsyncClient, item: Any) -> str:
    """The code of the error of a message that is sent beside a good one."""
    good = wire("good")
    answer = await post(client, good, item)
    (error,) = answer["errors"]
    assert error["index"] == 1
    code: str = error["code"]
    return code


def rows(store: Database, table: Any, *where: Any) -> list[Any]:
    with store.read() as connection:
        query = select(table).where(*where).order_by(*table.primary_key)
        return list(connection.execute(query))


def count(store: Database, table: Any) -> int:
    with store.read() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


async def all_scored(store: Database) -> None:
    """Returns when nothing waits for the model, and every state is up to date."""

    def done() -> bool:
        return not rows(store, messages, ~messages.c.scored) and not rows(
            store, customers, customers.c.dirty_from.is_not(None)
        )

    await eventually(done)


@asynccontextmanager
async def opened(
    open_client: OpenClient, model: Any = None, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(model or FakeScorer(), clock or Clock(), **settings) as client:
        yield client


@pytest.fixture
async def api(open_client: OpenClient) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(open_client) as client:
        yield client


# --- once each ---


async def test_a_message_is_answered_202_stored_and_scored(
    api: httpx.AsyncClient, store: Database
) -> None:
    answer = await post(api, wire(ticket_id="t1", agent_id="a1", channel=" WhatsApp "))
    assert answer == {"accepted": 1, "duplicates": 0, "errors": []}
    (row,) = rows(store, messages)
    assert (row.source, row.id, row.customer_id, row.direction) == ("wa", "m1", "c1", "in")
    assert (row.channel, row.ticket_id, row.agent_id) == ("whatsapp", "t1", "a1")
    assert (row.sent_at, row.received_at, row.text) == (NOW - 3600, NOW, "text of m1")
    await all_scored(store)
    assert [v.seq for v in rows(store, verdicts)] == [row.seq]
    assert [s.customer_id for s in rows(store, states)] == ["c1"]


async def test_a_single_message_needs_no_list(api: httpx.AsyncClient, store: Database) -> None:
    response = await api.post("/messages", json=wire())
    assert (response.status_code, response.json()["accepted"]) == (202, 1)
    assert count(store, messages) == 1


async def test_the_same_message_again_is_a_duplicate(
    api: httpx.AsyncClient, store: Database
) -> None:
    await post(api, wire(), wire("m2"))
    answer = await post(api, wire("m3"), wire(), wire("m2", customer_id="other"))
    assert answer == {"accepted": 1, "duplicates": 2, "errors": []}
    assert [row.customer_id for row in rows(store, messages)] == ["c1"] * 3


async def test_an_id_belongs_to_its_source(api: httpx.AsyncClient, store: Database) -> None:
    await post(api, wire(), wire(source="mail", text="another"))
    assert count(store, messages) == 2


async def test_another_text_is_a_conflict_and_the_first_wins(
    api: httpx.AsyncClient, store: Database
) -> None:
    await post(api, wire(text="first"))
    answer = await post(api, wire("m2"), wire(text="second"))
    assert (answer["accepted"], answer["duplicates"]) == (1, 0)
    assert [(e["index"], e["code"]) for e in answer["errors"]] == [(1, "conflict")]
    assert rows(store, messages)[0].text == "first"


async def test_within_one_request_the_first_wins(api: httpx.AsyncClient, store: Database) -> None:
    answer = await post(api, wire(text="a"), wire(text="a"), wire(text="b"), wire(text="a"))
    assert (answer["accepted"], answer["duplicates"]) == (1, 2)
    assert [(e["index"], e["code"]) for e in answer["errors"]] == [(2, "conflict")]
    assert [row.text for row in rows(store, messages)] == ["a"]


async def test_numbers_are_ids_too(api: httpx.AsyncClient, store: Database) -> None:
    await post(api, wire(7, customer_id=8, ticket_id=9))
    answer = await post(api, wire("7", customer_id="8", text="text of 7"))
    assert answer["duplicates"] == 1
    (row,) = rows(store, messages)
    assert (row.id, row.customer_id, row.ticket_id) == ("7", "8", "9")


async def test_an_unknown_customer_and_ticket_are_created(
    api: httpx.AsyncClient, store: Database
) -> None:
    await post(api, wire(ticket_id="t1"), wire("m2", customer_id="c2", ticket_id="t1"))
    assert [row.id for row in rows(store, customers)] == ["c1", "c2"]
    assert [(row.id, row.customer_id) for row in rows(store, tickets)] == [("t1", "c1")]


# --- times ---


async def test_late_and_unordered_messages_are_kept_at_their_own_times(
    api: httpx.AsyncClient, store: Database
) -> None:
    ages = {"a": 50, "b": 400_000, "c": 3, "d": 40_000_000, "e": 2_500_000_000}
    for name, age in ages.items():
        await post(api, wire(name, sent_at=wire_time(NOW - age)))
    assert {row.id: NOW - row.sent_at for row in rows(store, messages)} == ages
    await all_scored(store)
    assert rows(store, states)[0].at == NOW - 3


async def test_a_little_ahead_of_our_clock_is_taken_as_now(
    api: httpx.AsyncClient, store: Database
) -> None:
    await post(api, wire(sent_at=wire_time(NOW + 300)))
    assert rows(store, messages)[0].sent_at == NOW


async def test_further_ahead_is_refused(open_client: OpenClient) -> None:
    async with opened(open_client, future_seconds=10) as client:
        await post(client, wire(sent_at=wire_time(NOW + 10)))
        assert await refused(client, wire("f", sent_at=wire_time(NOW + 11))) == "time_in_future"


async def test_a_time_without_a_zone_is_refused(api: httpx.AsyncClient) -> None:
    assert await refused(api, wire(sent_at="2026-06-01T10:00:00")) == "time_zone_missing"


async def test_a_time_without_a_zone_is_in_the_default_one(
    open_client: OpenClient, store: Database
) -> None:
    async with opened(open_client, default_timezone="Africa/Cairo") as client:
        await post(client, wire(sent_at="2026-06-01T10:00:00"))
        await post(client, wire("m2", sent_at="2026-01-01T10:00:00"))
        await post(client, wire("m3", sent_at="2026-06-01T10:00:00Z"))
    told = [wire_time(row.sent_at) for row in rows(store, messages)]
    assert told == ["2026-06-01T07:00:00Z", "2026-01-01T08:00:00Z", "2026-06-01T10:00:00Z"]


async def test_what_is_no_time_is_refused(api: httpx.AsyncClient) -> None:
    times: list[Any] = ["", "yesterday", "2026-13-01T00:00:00Z", 1_780_000_000, None, True, {}, "x"]
    for time in times:
        assert await refused(api, wire(sent_at=time)) == "invalid_time", time


async def test_a_time_that_could_not_be_shown_is_refused(api: httpx.AsyncClient) -> None:
    assert await refused(api, wire(sent_at="0001-01-01T00:00:00+05:00")) == "invalid_time"
    put = await api.put("/customers/c", json={"ended_at": "9999-12-31T23:59:59-05:00"})
    assert error_of(put, 422)["code"] == "invalid_time"


def test_a_time_survives_to_the_microsecond() -> None:
    for written in ("2026-01-31T09:30:00.123457Z", "1969-12-31T23:59:59.999999Z"):
        assert wire_time(read_time(written, "at")) == written
    assert read_time("2026-01-31T12:30:00+03:00", "at") == read_time("2026-01-31T09:30:00Z", "at")


TIMES = {
    "2026-01-31t09:30:00z": "2026-01-31T09:30:00Z",
    "2026-01-31 09:30:00Z": "2026-01-31T09:30:00Z",
    "2026-01-31T09:30:00.5-00:00": "2026-01-31T09:30:00.500000Z",
    "2016-12-31T23:59:60Z": "2017-01-01T00:00:00Z",
    "2017-01-01T05:29:60.25+05:30": "2017-01-01T00:00:00.250000Z",
}
"""Each form of RFC 3339, and how we write it."""

NO_TIMES = [
    "2026-01-31",
    "2026-W05-6",
    "2026-W05-6T09:30:00Z",
    "20260131T093000Z",
    "2026-01-31T0930Z",
    "2026-01-31T09Z",
    "2026-01-31T09:30Z",
    "2026-01-31T09:30:00,5Z",
    "2026-01-31T09:30:00+03",
    "2026-01-31T09:30:00+0300",
    "2026-01-31T09:30:00+03:60",
    "2026-01-31T24:00:00Z",
    "2026-01-31T09:30:60Z",
    "2026-02-30T09:30:00Z",
    "9999-12-31T23:59:60Z",
    "٢٠٢٦-01-31T09:30:00Z",
]


def test_every_form_of_rfc_3339_is_read_and_no_other() -> None:
    for written, plain in TIMES.items():
        assert wire_time(read_time(written, "at")) == plain
    for written in NO_TIMES:
        with pytest.raises(TimeError) as caught:
            read_time(written, "at", "Africa/Cairo")
        assert caught.value.code == "invalid_time", written


async def test_feeds_a_little_ahead_of_our_clock_are_taken_as_now_and_plans_as_they_are(
    api: httpx.AsyncClient, store: Database
) -> None:
    soon = wire_time(NOW + 200)
    await api.put("/customers/c1", json={"started_at": soon, "ended_at": soon})
    await api.put("/agents/a", json={"joined_at": soon, "left_at": soon})
    await api.post("/customers/c1/ratings", json={"rating": 3, "at": soon})
    (customer,), (agent,) = rows(store, customers), rows(store, agents)
    assert (customer.started_at, customer.ended_at) == (NOW, NOW + 200)
    assert (agent.joined_at, agent.left_at) == (NOW, NOW + 200)
    assert rows(store, ratings)[0].at == NOW


# --- what is refused ---


BAD: list[tuple[Json, str]] = [
    ({"text": ...}, "text_missing"),
    ({"text": None}, "text_not_string"),
    ({"text": 5}, "text_not_string"),
    ({"text": "x" * 11}, "text_too_long"),
    ({"source": ...}, "invalid_request"),
    ({"source": ""}, "invalid_request"),
    ({"id": None}, "invalid_request"),
    ({"id": "x" * 201}, "invalid_request"),
    ({"id": ["x"]}, "invalid_request"),
    ({"customer_id": ...}, "invalid_request"),
    ({"customer_id": "a/b"}, "invalid_request"),
    ({"customer_id": "x" * 201}, "invalid_request"),
    ({"ticket_id": "."}, "invalid_request"),
    ({"agent_id": ".."}, "invalid_request"),
    ({"direction": "inbound"}, "invalid_request"),
    ({"direction": ...}, "invalid_request"),
    ({"channel": ""}, "invalid_request"),
    ({"ticket_id": ""}, "invalid_request"),
    ({"sent_at": ...}, "invalid_time"),
]
"""What is changed in a good message, and the code of its error; `...` is left out."""


async def test_a_bad_message_is_told_and_the_others_are_kept(
    open_client: OpenClient, store: Database
) -> None:
    async with opened(open_client, max_text_characters=10) as client:
        for place, (changes, code) in enumerate(BAD):
            item = wire("bad", text="short") | changes
            item = {name: value for name, value in item.items() if value is not ...}
            good = [wire(f"{place}a", text="a"), wire(f"{place}b", text="b")]
            answer = await post(client, good[0], item, good[1])
            assert (answer["accepted"], answer["duplicates"]) == (2, 0), changes
            (error,) = answer["errors"]
            assert (error["index"], error["code"]) == (1, code), changes
    stored = {row.id for row in rows(store, messages)}
    assert stored == {f"{place}{letter}" for place in range(len(BAD)) for letter in "ab"}


async def test_an_id_that_no_url_can_name_is_refused_in_every_path(
    api: httpx.AsyncClient, store: Database
) -> None:
    for method, path in (
        ("PUT", "/customers/{}"),
        ("GET", "/customers/{}"),
        ("DELETE", "/customers/{}"),
        ("PUT", "/tickets/{}"),
        ("PUT", "/agents/{}"),
        ("GET", "/alerts?customer_id={}"),
    ):
        answer = await api.request(method, path.format("x" * 201), json={})
        assert error_of(answer, 422)["code"] == "invalid_request", path
    dots = await api.put("/agents/%2e%2e", json={})
    assert 'neither "." nor ".."' in error_of(dots, 422)["message"]
    for table in (customers, tickets, agents):
        assert count(store, table) == 0


async def test_message_ids_and_sources_may_hold_anything(api: httpx.AsyncClient) -> None:
    answer = await post(api, wire("a/../b", source=".", customer_id="...", ticket_id="a.b c?#"))
    assert answer["accepted"] == 1
    assert (await api.get("/customers/...")).status_code == 200


async def test_what_is_no_object_is_told(api: httpx.AsyncClient) -> None:
    for item in (None, 1, "text", [], [wire()]):
        assert await refused(api, item) == "invalid_request", item


async def test_all_invalid_is_422_with_each_error(api: httpx.AsyncClient, store: Database) -> None:
    items = [wire(sent_at="2026-06-01T10:00:00"), {}, wire("m3", direction="up")]
    for suffix in ("", "?wait=true"):
        response = await api.post(f"/messages{suffix}", json={"messages": items})
        error = error_of(response, 422)
        assert error["code"] == "time_zone_missing"
        found = [(e["index"], e["code"]) for e in error["details"]["errors"]]
        assert found == [(0, "time_zone_missing"), (1, "text_missing"), (2, "invalid_request")]
    assert count(store, messages) == count(store, customers) == 0


async def test_no_list_of_messages_is_422(api: httpx.AsyncClient) -> None:
    for body in (b"[]", b"3", b'{"messages": []}', b'{"messages": {}}', b"null"):
        error = error_of(await api.post("/messages", content=body), 422)
        assert error["code"] == "invalid_request", body


async def test_no_json_is_400(api: httpx.AsyncClient) -> None:
    for body in (b"", b"{", b'{"text": NaN}', b"\xff"):
        assert error_of(await api.post("/messages", content=body), 400)["code"] == "invalid_json"


async def test_a_thousand_messages_are_taken_and_one_more_is_refused(
    api: httpx.AsyncClient, store: Database
) -> None:
    batch = [wire(n, customer_id=f"c{n % 7}") for n in range(1000)]
    error = error_of(await api.post("/messages", json={"messages": [*batch, wire(1000)]}), 422)
    assert error["code"] == "too_many_messages"
    assert count(store, messages) == 0
    assert (await post(api, *batch))["accepted"] == 1000
    assert (await post(api, *batch))["duplicates"] == 1000
    assert count(store, messages) == 1000


async def test_a_body_too_large_is_413(open_client: OpenClient, store: Database) -> None:
    async with opened(open_client, max_body_bytes=1000) as client:
        response = await client.post("/messages", json=wire(text="x" * 1000))
        assert error_of(response, 413)["code"] == "body_too_large"
    assert count(store, messages) == 0


async def test_every_text_is_kept(api: httpx.AsyncClient, store: Database) -> None:
    texts = ["a\x00b", "a\ud800b", "\x00", "", "🙂", "\ufeff", "لا\u202e"]
    batch = [wire(n, text=text) for n, text in enumerate(texts)]
    assert (await post(api, *batch, wait=True))["accepted"] == len(texts)
    shown = [text.replace("\x00", "\ufffd").replace("\ud800", "\ufffd") for text in texts]
    assert [row.text for row in rows(store, messages)] == shown
    assert (await post(api, *batch))["duplicates"] == len(texts)


async def test_names_with_characters_that_no_database_keeps_are_replaced(
    api: httpx.AsyncClient, store: Database
) -> None:
    await post(api, wire("a\x00", customer_id="b\x00", channel="x\x00", ticket_id="t\x00"))
    (row,) = rows(store, messages)
    assert (row.id, row.customer_id, row.channel) == ("a\ufffd", "b\ufffd", "x\ufffd")
    assert (await api.put("/customers/b%00", json={"name": "n\x00"})).status_code == 200
    assert [row.name for row in rows(store, customers)] == ["n\ufffd"]
    assert (await api.get("/customers/b%00/export")).json()["customer"]["name"] == "n\ufffd"
    assert (await api.get("/alerts?customer_id=b%00")).status_code == 200
    assert (await api.delete("/customers/b%00")).status_code == 204
    assert (await api.delete("/customers/b%00")).status_code == 404


# --- wait=true ---


async def test_the_verdicts_come_in_order_with_duplicates_and_errors_in_their_places(
    api: httpx.AsyncClient,
) -> None:
    await post(api, wire("old", text="x" * 9), wait=True)
    answer = await post(
        api,
        wire("b", text="bb"),
        wire("old", text="x" * 9),
        wire("out", direction="out"),
        wire("a", text="a"),
        wire("old", text="other"),
        {"id": "bad"},
        wire("b", text="bb"),
        wait=True,
    )
    assert (answer["accepted"], answer["duplicates"]) == (3, 2)
    assert [(e["index"], e["code"]) for e in answer["errors"]] == [
        (4, "conflict"),
        (5, "text_missing"),
    ]
    found = [(v["id"], v.get("scores", v.get("error", {}))) for v in answer["verdicts"]]
    assert [identity for identity, _ in found] == ["b", "old", "a", "old", "bad", "b"]
    assert [what.get("abuse", what.get("code")) for _, what in found] == [
        0.02,
        0.09,
        0.01,
        "conflict",
        "text_missing",
        0.02,
    ]


async def test_a_verdict_is_the_one_of_classify(open_client: OpenClient) -> None:
    async with opened(open_client) as client:
        (waited,) = (await post(client, wire(text="same"), wait=True))["verdicts"]
        classified = await client.post("/classify", json={"id": "m1", "text": "same"})
        assert waited == classified.json()["verdicts"][0]


async def test_the_state_knows_what_was_waited_for(api: httpx.AsyncClient, store: Database) -> None:
    await post(api, wire(), wait=True)
    assert rows(store, states)[0].at == NOW - 3600
    assert rows(store, customers)[0].dirty_from is None


async def test_a_message_that_was_only_stored_is_scored_for_who_waits(
    open_client: OpenClient,
) -> None:
    model = HeldScorer()
    async with opened(open_client, model) as client:
        await post(client, wire())
        await model.is_called()  # by the scorer, which has taken it
        asyncio.get_running_loop().call_later(0.1, model.release)
        answer = await post(client, wire(), wait=True)
        assert answer["duplicates"] == 1
        assert [v["scores"]["abuse"] for v in answer["verdicts"]] == [0.1]


async def test_202_when_the_model_is_overloaded_and_scored_later(
    open_client: OpenClient, store: Database
) -> None:
    model = HeldScorer()
    async with opened(open_client, model, max_waiting_characters=10) as client:
        busy = asyncio.create_task(client.post("/classify", json={"text": "x" * 10}))
        await model.is_called()
        response = await client.post("/messages?wait=true", json=wire())
        assert response.status_code == 202
        assert response.json() == {"accepted": 1, "duplicates": 0, "errors": []}
        assert count(store, verdicts) == 0
        model.release()
        await busy
        await all_scored(store)
        assert count(store, verdicts) == 1


async def test_429_before_anything_is_stored_when_too_many_requests_wait(
    open_client: OpenClient, store: Database
) -> None:
    model = HeldScorer()
    async with opened(open_client, model, max_concurrent_requests=1) as client:
        busy = asyncio.create_task(client.post("/classify", json={"text": "x"}))
        await model.is_called()
        response = await client.post("/messages", json=wire())
        assert error_of(response, 429)["code"] == "overloaded"
        assert int(response.headers["Retry-After"]) >= 1
        model.release()
        await busy
    assert count(store, messages) == 0


async def test_503_while_another_holds_the_database(
    open_client: OpenClient, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.store.database._BUSY_MILLISECONDS", 50)
    if not store.is_sqlite:
        with store.begin() as connection:
            sql = f"ALTER DATABASE \"{store.engine.url.database}\" SET lock_timeout = '50ms'"
            connection.exec_driver_sql(sql)
    async with opened(open_client) as client:
        with store.begin() as connection:
            if not store.is_sqlite:
                connection.exec_driver_sql("LOCK TABLE customers")
            response = await client.put("/customers/c1", json={})
        assert error_of(response, 503)["code"] == "overloaded"
        assert int(response.headers["Retry-After"]) >= 1
        assert (await client.put("/customers/c1", json={})).status_code == 200


async def test_503_when_no_connection_is_free_and_500_when_a_table_is_gone(
    open_client: OpenClient, store: Database
) -> None:
    async with opened(open_client) as client:
        database = client._transport.app.state.services.database  # type: ignore[attr-defined]
        pool = database.engine.pool
        with ExitStack() as all_of_them:
            for _ in range(pool.size() + pool._max_overflow):  # the scorer may still hold one
                all_of_them.enter_context(database.engine.connect())
            patient, pool._timeout = pool._timeout, 0.01
            response = await client.put("/customers/c1", json={})
            pool._timeout = patient
        assert error_of(response, 503)["code"] == "overloaded"
        with store.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE agents RENAME TO gone")
        response = await client.put("/agents/a", json={"name": "Mona"})
        assert error_of(response, 500)["code"] == "internal_error"


async def test_the_model_reads_while_all_other_threads_are_taken(open_client: OpenClient) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    ends = threading.Event()
    async with opened(open_client) as client:
        busy = asyncio.create_task(asyncio.to_thread(ends.wait, 60))
        try:
            response = await asyncio.wait_for(client.post("/classify", json={"text": "a"}), 20)
        finally:
            ends.set()
            await busy
    assert response.status_code == 200


# --- a model that fails ---


class FastClock(Clock):
    """Goes so fast that what is tried again later is tried again now."""

    def __call__(self) -> float:
        self.now += 5
        return self.now


def poisoned(text: str) -> Verdict:
    if "poison" in text:
        raise ValueError(f"cannot read {text!r}")
    return verdict(text)


async def test_a_text_that_the_model_cannot_read_holds_up_no_other(
    open_client: OpenClient, store: Database
) -> None:
    async with opened(open_client, FakeScorer(poisoned), FastClock()) as client:
        await post(client, *[wire(n, text="poison" if n == 3 else "fine") for n in range(9)])
        await all_scored(store)
        assert count(store, verdicts) == 8
        answer = await post(client, wire(3, text="poison"), wire(4, text="fine"), wait=True)
        unread, read = answer["verdicts"]
        assert (unread["id"], unread["error"]["code"]) == ("3", "internal_error")
        assert read["scores"]["abuse"] == 0.04


async def test_who_waits_for_a_failing_model_is_told_that_it_is_stored(
    open_client: OpenClient, store: Database
) -> None:
    async with opened(open_client, FakeScorer(poisoned), FastClock()) as client:
        response = await client.post("/messages?wait=true", json=wire(text="poison"))
        assert response.status_code == 202
        assert response.json()["accepted"] == 1
        await all_scored(store)
    assert count(store, messages) == 1


async def test_no_text_is_ever_in_the_log(
    open_client: OpenClient, store: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "my card is poison 4929"
    model, clock = FakeScorer(poisoned), FastClock()
    async with opened(open_client, model, clock, max_text_characters=100) as client:
        for wait in (False, True):
            for identity in ("a", "b"):
                await client.post(
                    f"/messages?wait={wait}", json=wire(f"{identity}{wait}", text=secret)
                )
        await client.post("/messages", json=wire("out", direction="out", text=secret))
        await client.post("/messages", json=wire("aTrue", text=secret + "!"))  # a conflict
        await client.post("/messages", json=wire("long", text=secret * 9))
        await client.post("/messages", json=wire("bad", text=[secret]))
        await client.post("/messages", json=wire("time", sent_at=secret, text=secret))
        await client.post("/messages", content=f'{{"text": "{secret}"'.encode())
        await all_scored(store)
        await client.get("/customers/c1/export")
        await client.delete("/customers/c1")
    assert "ValueError" in caplog.text
    assert "4929" not in caplog.text


# --- text that is not kept ---


async def test_without_store_text_only_scores_and_a_hash_are_left(
    open_client: OpenClient, store: Database
) -> None:
    async with opened(open_client, store_text=False) as client:
        sent = [wire("in"), wire("out", direction="out"), wire("waited", text="waited for")]
        await post(client, *sent[:2])
        answer = await post(client, sent[2], wait=True)
        assert answer["verdicts"][0]["scores"]["abuse"] == 0.1
        await all_scored(store)
        found = rows(store, messages)
        assert [row.text for row in found] == [None] * 3
        assert len({row.text_hash for row in found}) == 3
        assert count(store, verdicts) == 2
        assert (await post(client, *sent))["duplicates"] == 3
        again = await post(client, wire("in", text="another"), wire("new"), wait=True)
        assert [e["code"] for e in again["errors"]] == ["conflict"]


# --- the feeds ---


async def test_a_customers_fields_are_set_one_by_one(
    api: httpx.AsyncClient, store: Database
) -> None:
    first = {
        "name": "Nile",
        "plan": "pro",
        "monthly_value": 100,
        "started_at": "2024-01-01T00:00:00Z",
    }
    assert (await api.put("/customers/c1", json=first)).json() == {"customer_id": "c1"}
    await api.put("/customers/c1", json={"usage_volume": 12.5, "name": None, "currency": "EGP"})
    await api.put("/customers/c1", json={"ended_at": wire_time(NOW + 9e6), "end_reason": "price"})
    (row,) = rows(store, customers)
    assert (row.name, row.plan, row.monthly_value, row.usage_volume) == (None, "pro", 100, 12.5)
    assert (row.currency, row.end_reason, row.ended_at) == ("EGP", "price", NOW + 9e6)
    told = [(p.at, p.plan, p.monthly_value, p.usage_volume) for p in rows(store, profiles)]
    assert told == [(BEGINNING, "pro", 100, None), (NOW, "pro", 100, 12.5)]


async def test_the_same_profile_again_is_no_change(api: httpx.AsyncClient, store: Database) -> None:
    for _ in range(3):
        await api.put("/customers/c1", json={"plan": "pro", "monthly_value": 5})
    assert count(store, profiles) == 1


WRONG: list[tuple[str, str, Any]] = [
    ("PUT", "/customers/c", {"monthly_value": -1}),
    ("PUT", "/customers/c", {"monthly_value": "much"}),
    ("PUT", "/customers/c", {"monthly_value": 1.1e12}),
    ("PUT", "/customers/c", {"usage_volume": 1.1e12}),
    (
        "PUT",
        "/tickets/t",
        {"customer_id": "c", "opened_at": wire_time(NOW), "minutes_of_work": 1.1e12},
    ),
    (
        "POST",
        "/tickets/t/events",
        {"events": [{"id": 1, "type": "work", "at": wire_time(NOW), "minutes": 1.1e12}]},
    ),
    (
        "POST",
        "/customers/c/outcomes",
        {"type": "purchase", "at": wire_time(NOW), "amount": 1.1e12},
    ),
    (
        "POST",
        "/customers/c/outcomes",
        {"type": "purchase", "at": wire_time(NOW), "amount": -1.1e12},
    ),
    ("PUT", "/customers/c", {"started_at": wire_time(NOW + 9e6)}),
    ("PUT", "/customers/c", {"started_at": 5}),
    ("PUT", "/customers/c", []),
    ("PUT", "/tickets/t", {"customer_id": "c"}),
    ("PUT", "/tickets/t", {"customer_id": "c", "opened_at": None}),
    ("PUT", "/tickets/t", {"opened_at": wire_time(NOW)}),
    ("PUT", "/tickets/t", {"customer_id": "c", "opened_at": wire_time(NOW), "reopened": -1}),
    ("PUT", "/tickets/t", {"customer_id": "c", "opened_at": wire_time(NOW), "reopened": 1e12}),
    (
        "PUT",
        "/tickets/t",
        {"customer_id": "c", "opened_at": wire_time(NOW), "handoffs": 10**30},
    ),
    ("POST", "/tickets/t/events", {}),
    ("POST", "/tickets/t/events", {"events": []}),
    ("POST", "/tickets/t/events", {"events": [{"id": 1, "type": "opened", "at": None}]}),
    ("POST", "/tickets/t/events", {"events": [{"id": 1, "type": "x", "at": wire_time(NOW)}]}),
    ("PUT", "/agents/a", {"joined_at": "soon"}),
    ("POST", "/customers/c/outcomes", {"type": "purchase"}),
    ("POST", "/customers/c/outcomes", {"type": "purchase", "at": None}),
    ("POST", "/customers/c/outcomes", {"type": "gift", "at": wire_time(NOW)}),
    ("POST", "/customers/c/ratings", {"rating": 6}),
    ("POST", "/customers/c/ratings", {"rating": 0}),
    ("POST", "/customers/c/ratings", {"rating": 2.5}),
    ("POST", "/customers/c/decisions", {"step": "fire", "decided_by": "x", "reason": "y"}),
    ("POST", "/customers/c/decisions", {"step": "warning", "decided_by": "", "reason": "y"}),
    ("GET", "/alerts?after=99999999999999999999", None),
    ("GET", "/alerts?limit=0", None),
]


async def test_a_wrong_field_is_422_and_nothing_is_stored(
    api: httpx.AsyncClient, store: Database
) -> None:
    for method, path, body in WRONG:
        error_of(await api.request(method, path, json=body), 422)
    for table in (customers, tickets, ticket_events, agents, outcomes, ratings):
        assert count(store, table) == 0, table.name


async def test_the_first_day_of_1970_is_a_time(api: httpx.AsyncClient, store: Database) -> None:
    epoch = "1970-01-01T00:00:00Z"
    await api.post("/customers/c1/ratings", json={"rating": 3, "at": epoch})
    await api.put("/tickets/t", json={"customer_id": "c1", "opened_at": epoch, "reopened": 1})
    assert rows(store, ratings)[0].at == 0
    assert rows(store, tickets)[0].opened_at == 0


async def test_a_rating_is_dated_now_unless_it_says_so(
    api: httpx.AsyncClient, store: Database
) -> None:
    assert (await api.post("/customers/c1/ratings", json={"rating": 4})).status_code == 201
    body = {"rating": 5, "at": wire_time(NOW - 9), "note": "x\x00", "agent_id": "a"}
    await api.post("/customers/c1/ratings", json=body)
    assert [(r.rating, r.at, r.note) for r in rows(store, ratings)] == [
        (4, NOW, None),
        (5, NOW - 9, "x\ufffd"),
    ]


async def test_a_rating_that_is_sent_again_counts_once(
    api: httpx.AsyncClient, store: Database
) -> None:
    async def rated(**body: Any) -> bool:
        answer = await api.post("/customers/c1/ratings", json={"rating": 4} | body)
        assert answer.status_code == 201
        duplicate: bool = answer.json()["duplicate"]
        return duplicate

    at = wire_time(NOW - 9)
    assert [await rated(id=7), await rated(id="7", rating=5, at=at)] == [False, True]
    assert [await rated(at=at), await rated(at=at)] == [False, True]
    assert [await rated(at=at, note="x"), await rated(at=at, note="x")] == [False, True]
    assert not await rated(at=at, rating=5)
    assert not await rated(at=at, agent_id="a")
    assert not await rated(at=at, id="8")
    assert [await rated(), await rated()] == [False, False]
    assert count(store, ratings) == 8
    other = await api.post("/customers/c2/ratings", json={"rating": 4, "id": 7})
    assert other.json()["duplicate"] is False


async def test_a_decision_that_is_sent_again_is_on_record_once(
    api: httpx.AsyncClient, store: Database
) -> None:
    await api.put("/customers/c1", json={})

    async def decided(**body: Any) -> bool:
        body = {"step": "warning", "decided_by": "Mona", "reason": "third insult"} | body
        duplicate: bool = (await api.post("/customers/c1/decisions", json=body)).json()["duplicate"]
        return duplicate

    at = wire_time(NOW - 9)
    assert [await decided(at=at), await decided(at=at, reason="told again")] == [False, True]
    assert [await decided(id="d"), await decided(id="d")] == [False, True]
    assert not await decided(at=at, decided_by="Ali")
    assert [await decided(), await decided()] == [False, False]
    assert count(store, decisions) == 5
    assert len(rows(store, audit, audit.c.action == "decision")) == 5


async def test_the_same_outcome_counts_once(api: httpx.AsyncClient, store: Database) -> None:
    body = {"type": "renewal", "at": wire_time(NOW - 9), "amount": 10}
    answers = [(await api.post("/customers/c1/outcomes", json=body)).json() for _ in range(2)]
    assert [answer["duplicate"] for answer in answers] == [False, True]
    await api.post("/customers/c1/outcomes", json=body | {"type": "upgrade"})
    assert count(store, outcomes) == 2


async def test_an_agents_fields_are_set_one_by_one(api: httpx.AsyncClient, store: Database) -> None:
    await api.put("/agents/a", json={"name": "Mona", "joined_at": wire_time(NOW - 9)})
    await api.put("/agents/a", json={"left_at": wire_time(NOW + 9e6)})
    (row,) = rows(store, agents)
    assert (row.name, row.joined_at, row.left_at) == ("Mona", NOW - 9, NOW + 9e6)


async def test_a_bare_ticket_record_is_dated_at_its_last_change_and_says_so(
    api: httpx.AsyncClient,
) -> None:
    times = {"opened_at": NOW - 900, "resolved_at": NOW - 600, "first_reply_at": NOW - 500}
    record: Json = {"customer_id": "c1"} | {k: wire_time(v) for k, v in times.items()}
    answer = await api.put("/tickets/t", json=record | {"handoffs": 2})
    assert answer.json() == {"ticket_id": "t", "counts_dated_at": wire_time(NOW - 500)}
    answer = await api.put("/tickets/t", json=record)
    assert answer.json() == {"ticket_id": "t", "counts_dated_at": None}


async def test_a_ticket_record_is_replaced_whole(api: httpx.AsyncClient, store: Database) -> None:
    opened_at = wire_time(NOW - 900)
    await api.put("/tickets/t", json={"customer_id": "c1", "opened_at": opened_at, "handoffs": 2})
    await api.put("/tickets/t", json={"customer_id": "c2", "opened_at": opened_at, "reopened": 1})
    (row,) = rows(store, tickets)
    assert (row.customer_id, row.handoffs, row.reopened) == ("c2", None, 1)
    await all_scored(store)


async def test_ticket_events_are_stored_once_each_and_broken_ones_told(
    api: httpx.AsyncClient, store: Database
) -> None:
    at = wire_time(NOW - 9)
    events: list[Json] = [
        {"id": "e1", "type": "opened", "at": at},
        {"id": "e2", "type": "closed", "at": at},
        {"id": 3, "type": "work", "at": at, "minutes": 12.5, "agent_id": "a"},
        {"id": "e1", "type": "resolved", "at": at},
        {"id": "e4", "type": "work", "at": "2026-06-01T10:00:00"},
    ]
    answer = (await api.post("/tickets/t/events", json={"events": events})).json()
    assert (answer["accepted"], answer["duplicates"]) == (2, 1)
    found = [(e["index"], e["code"]) for e in answer["errors"]]
    assert found == [(1, "invalid_request"), (4, "time_zone_missing")]
    answer = (await api.post("/tickets/t/events", json={"events": events[:1]})).json()
    assert answer == {"accepted": 0, "duplicates": 1, "errors": []}
    assert {(e.id, e.type, e.minutes) for e in rows(store, ticket_events)} == {
        ("e1", "opened", None),
        ("3", "work", 12.5),
    }


async def test_a_decision_needs_a_known_customer(api: httpx.AsyncClient, store: Database) -> None:
    body = {"step": "warning", "decided_by": "Mona", "reason": "third insult"}
    error = error_of(await api.post("/customers/nobody/decisions", json=body), 404)
    assert error["code"] == "not_found"
    await api.put("/customers/c1", json={})
    answer = await api.post("/customers/c1/decisions", json=body)
    assert (answer.status_code, answer.json()["step"]) == (201, "warning")


# --- at once ---


async def test_two_that_send_the_same_at_once_store_it_once(
    api: httpx.AsyncClient, store: Database
) -> None:
    batch = [wire(n, customer_id=f"c{n % 5}", ticket_id=f"t{n % 3}") for n in range(100)]
    answers = await asyncio.gather(
        post(api, *batch), post(api, *reversed(batch)), post(api, *batch[50:], *batch[:50])
    )
    assert sum(answer["accepted"] for answer in answers) == 100
    assert sum(answer["duplicates"] for answer in answers) == 200
    assert not any(answer["errors"] for answer in answers)
    assert count(store, messages) == 100
    await all_scored(store)
    assert count(store, verdicts) == 100
