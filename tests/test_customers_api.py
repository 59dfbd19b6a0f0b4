"""GET /customers, /customers/{id}, its messages and timeline, on both databases."""

from __future__ import annotations

import base64
import json
import threading
from datetime import datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest
from sqlalchemy import event, select

from serving.index.settings import DAY
from serving.routes.answers import json_answer
from serving.store.audit import record
from serving.store.database import Database
from serving.store.privacy import export_customer
from serving.store.reads import Listing, list_customers, pending
from serving.store.tables import audit
from tests.conftest import OpenClient
from tests.helpers import NOW, Clock, FakeScorer, HeldScorer, Json
from tests.histories import (
    ago,
    answered,
    calm,
    draining,
    get,
    hurt,
    judge,
    refused,
    said,
    send,
    tell,
)

pytestmark = pytest.mark.usefixtures("both_stores")


async def pages(api: httpx.AsyncClient, path: str, name: str, **query: Any) -> list[list[Json]]:
    """All pages of a list."""
    found = []
    while True:
        body = await get(api, path, **query)
        found.append(body[name])
        if body["next"] is None:
            return found
        query["after"] = body["next"]


async def test_customers_come_by_index(api: httpx.AsyncClient) -> None:
    await send(api, calm("c-calm"), draining("c-draining"), hurt("c-hurt"))
    await tell(api, "PUT", "/customers/c-draining", name="Nile Trading")
    body = await get(api, "/customers")
    assert set(body) == {"customers", "next", "refreshed_at"}
    assert body["next"] is None
    assert body["refreshed_at"] == ago(0)
    first = body["customers"][0]
    assert first["customer_id"] == "c-draining"
    assert set(first) == {"customer_id", "name", "index", "pain", "quadrant", "early_signs"}
    assert first["name"] == "Nile Trading"
    assert first["quadrant"] == "draining"
    assert first["early_signs"] == ["hostile_language"]
    indices = [one["index"] for one in body["customers"]]
    assert indices == sorted(indices, reverse=True)
    by_pain = (await get(api, "/customers", sort="-pain"))["customers"]
    assert by_pain[0]["customer_id"] == "c-hurt"
    assert by_pain[0]["quadrant"] == "hurt"


@pytest.mark.parametrize("sort", ["-index", "index", "-pain", "pain"])
async def test_pages_hold_each_customer_once(api: httpx.AsyncClient, sort: str) -> None:
    """Equal figures are told apart by the id."""
    await send(api, *(calm(f"c{number}") for number in range(5)), draining("d"), hurt("h"))
    whole = (await get(api, "/customers", sort=sort))["customers"]
    assert len(whole) == 7
    for limit in (1, 2, 7):
        some = await pages(api, "/customers", "customers", sort=sort, limit=limit)
        assert [one for page in some for one in page] == whole
        assert len(some) == -(-7 // limit)
    figures = [one[sort.lstrip("-")] for one in whole]
    assert figures == sorted(figures, reverse=sort.startswith("-"))


async def test_customers_are_filtered(api: httpx.AsyncClient) -> None:
    await send(api, calm("a"), draining("b"), draining("c"), hurt("d"))

    async def found(**query: Any) -> set[str]:
        some = await pages(api, "/customers", "customers", limit=1, **query)
        return {one["customer_id"] for page in some for one in page}

    assert await found(quadrant="draining") == {"b", "c"}
    assert await found(quadrant="inflamed") == set()
    assert await found(quadrant="hurt", sort="pain") == {"d"}
    assert await found(sign="hostile_language") == {"b", "c"}
    assert await found(sign="hostile_language", quadrant="calm") == set()
    assert await found(sign="volume") == set()


async def test_an_empty_list(api: httpx.AsyncClient) -> None:
    assert await get(api, "/customers") == {"customers": [], "next": None, "refreshed_at": None}


def cursor_of(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "name"},
        {"sort": "--index"},
        {"quadrant": "angry"},
        {"sign": "rage"},
        {"limit": 0},
        {"limit": 201},
        {"limit": "many"},
        {"after": "!"},
        {"after": ""},
        {"after": "é"},
        {"after": cursor_of("-index", 1.0)},
        {"after": cursor_of("-index", "high", "c1")},
        {"after": cursor_of("-index", 1e999, "c1")},
        {"after": cursor_of("-index", 1.0, "\ud800")},
        {"after": cursor_of("-pain", 1.0, "c1")},
    ],
)
async def test_a_bad_query_is_refused(api: httpx.AsyncClient, query: dict[str, Any]) -> None:
    assert await refused(api, "/customers", **query) == "invalid_request"


async def test_a_cursor_may_name_what_no_database_keeps(api: httpx.AsyncClient) -> None:
    await get(api, "/customers", after=cursor_of("-index", 1.0, "\x00"))


@pytest.mark.parametrize("sort", ["index", "pain"])
@pytest.mark.parametrize("descending", [True, False])
def test_a_page_is_read_from_an_index(store: Database, sort: str, descending: bool) -> None:
    """SQLite tells how it finds rows; PostgreSQL decides by what is in the tables."""
    if not store.is_sqlite:
        pytest.skip("its plan depends on the data")
    asked: list[tuple[str, Any]] = []

    @event.listens_for(store.engine, "before_cursor_execute")
    def keep(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    with store.read() as connection:
        for after in (None, (1.0, "c")):
            for quadrant, sign in ((None, None), (None, "volume"), ("hurt", None)):
                list_customers(connection, Listing(sort, descending, quadrant, sign), 50, after)
        for statement, parameters in [a for a in asked if a[0].startswith("SELECT")]:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row.detail for row in plan]
            assert not any("TEMP B-TREE" in step for step in steps), steps
            assert any("states USING" in step and "INDEX" in step for step in steps), steps


def test_waiting_messages_are_counted_from_an_index(store: Database) -> None:
    """A customer's messages may be a hundred thousand."""
    if not store.is_sqlite:
        pytest.skip("its plan depends on the data")
    asked: list[str] = []

    @event.listens_for(store.engine, "before_cursor_execute")
    def keep(_: Any, __: Any, statement: str, *___: Any) -> None:
        asked.append(statement)

    with store.read() as connection:
        pending(connection, "c")
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[-1]}", ("c",)).all()
    assert "ix_messages_customer_id_unscored" in plan[0].detail


async def test_one_customer(api: httpx.AsyncClient) -> None:
    await send(api, draining("c1"))
    await tell(
        api,
        "PUT",
        "/customers/c1",
        name="Nile Trading",
        plan="pro",
        monthly_value=100,
        currency="EGP",
        started_at=ago(300),
    )
    one = await get(api, "/customers/c1")
    assert set(one) == {
        "customer_id",
        "as_of",
        "profile",
        "index",
        "pain",
        "quadrant",
        "signs",
        "together_since",
        "support",
        "suggestion",
        "pending",
    }
    assert one["customer_id"] == "c1"
    assert one["as_of"] == ago(0)
    assert one["profile"] == {
        "name": "Nile Trading",
        "plan": "pro",
        "monthly_value": 100,
        "currency": "EGP",
        "usage_volume": None,
        "started_at": ago(300),
        "ended_at": None,
        "end_reason": None,
    }
    assert one["quadrant"] == "draining"
    assert one["pending"] == 0
    index = one["index"]
    assert set(index) == {"value", "low", "high", "trend_7d", "trend_30d", "contributions"}
    assert 0 <= index["low"] <= index["value"] <= index["high"] <= 100
    for figure in (index, one["pain"]):
        parts = figure["contributions"]
        assert all(set(part) == {"component", "points", "message_ids"} for part in parts)
        assert round(sum(part["points"] for part in parts), 2) == figure["value"]
    language = next(p for p in index["contributions"] if p["component"] == "language")
    assert language["message_ids"]
    names = [sign["sign"] for sign in one["signs"]]
    assert names == [
        "volume",
        "repetition",
        "hostile_language",
        "informal_channel",
        "scope_creep",
        "unproductive_discussion",
    ]
    hostile = one["signs"][2]
    assert hostile["active"]
    assert hostile["since"] == ago(10)
    assert len(hostile["message_ids"]) == 10
    assert one["signs"][0] == {"sign": "volume", "active": False, "since": None, "message_ids": []}


async def test_the_suggestion(api: httpx.AsyncClient) -> None:
    await send(api, draining("c1"))
    suggestion = (await get(api, "/customers/c1"))["suggestion"]
    assert set(suggestion) == {
        "step",
        "prepare_separation",
        "reasons_for",
        "reasons_against",
        "drafts",
    }
    assert suggestion["step"] == "warning"
    assert suggestion["prepare_separation"] is False
    assert set(suggestion["drafts"]) == {"ar", "en"}
    assert all(suggestion["drafts"].values())
    assert all(isinstance(reason, str) for reason in suggestion["reasons_for"])
    arabic = (await get(api, "/customers/c1", lang="ar"))["suggestion"]
    assert len(arabic["reasons_for"]) == len(suggestion["reasons_for"]) > 0
    assert any("\u0600" <= letter <= "\u06ff" for letter in arabic["reasons_for"][0])
    assert arabic["drafts"] == suggestion["drafts"]
    assert await refused(api, "/customers/c1", lang="fr") == "invalid_request"


async def test_decisions_up_to_the_instant_count(api: httpx.AsyncClient) -> None:
    await send(api, draining("c1"))
    await tell(
        api,
        "POST",
        "/customers/c1/decisions",
        step="step_down",
        decided_by="Mona",
        reason="as agreed",
        at=ago(1),
    )
    assert (await get(api, "/customers/c1"))["suggestion"]["step"] == "step_down"
    before = await get(api, "/customers/c1", as_of=ago(1.01))
    assert before["suggestion"]["step"] != "step_down"


async def test_the_past_stays_as_it_was(api: httpx.AsyncClient) -> None:
    await send(api, calm("c1", last=20))
    then = await get(api, "/customers/c1", as_of=ago(12))
    await send(api, draining("c1"))
    assert await get(api, "/customers/c1", as_of=ago(12)) == then
    now = await get(api, "/customers/c1")
    assert now["index"]["value"] > then["index"]["value"]


async def test_trends_are_differences_to_the_past(api: httpx.AsyncClient) -> None:
    await send(api, calm("c1", last=10), draining("c1"))
    now = (await get(api, "/customers/c1"))["index"]
    for days, name in ((7, "trend_7d"), (30, "trend_30d")):
        before = (await get(api, "/customers/c1", as_of=ago(days)))["index"]["value"]
        assert now[name] == pytest.approx(now["value"] - before, abs=0.005)
    assert now["trend_7d"] > 0


async def test_a_trend_needs_a_past(api: httpx.AsyncClient) -> None:
    await send(api, draining("c1"))
    index = (await get(api, "/customers/c1"))["index"]
    assert index["trend_7d"] is not None
    assert index["trend_30d"] is None


async def test_before_the_first_event_there_is_the_prior(api: httpx.AsyncClient) -> None:
    await send(api, draining("c1"))
    before = await get(api, "/customers/c1", as_of=ago(100))
    assert before["quadrant"] == "calm"
    assert before["pain"]["value"] == 0
    points = {part["component"]: part["points"] for part in before["index"]["contributions"]}
    assert points["prior"] == before["index"]["value"] < 10
    assert before["index"]["trend_7d"] is None
    assert before["suggestion"]["step"] == "none"


@pytest.mark.parametrize(
    ("as_of", "code"),
    [
        (ago(-0.001), "time_in_future"),
        ("2026-06-01T10:00:00", "time_zone_missing"),
        ("yesterday", "invalid_time"),
        ("", "invalid_time"),
        ("1969-12-31T23:59:59Z", "invalid_time"),
        ("0001-01-01T00:00:00+14:00", "invalid_time"),
    ],
)
async def test_an_instant_that_cannot_be(api: httpx.AsyncClient, as_of: str, code: str) -> None:
    await send(api, calm("c1"))
    assert await refused(api, "/customers/c1", as_of=as_of) == code


async def test_an_offset_whose_plus_was_not_escaped(api: httpx.AsyncClient) -> None:
    await send(api, calm("c1"))
    answer = await api.get("/customers/c1?as_of=2026-06-30T10:00:00+03:00")
    assert answer.json()["as_of"] == "2026-06-30T07:00:00Z"


@pytest.mark.parametrize("path", ["", "/messages", "/timeline"])
async def test_an_unknown_customer(api: httpx.AsyncClient, path: str) -> None:
    assert await refused(api, f"/customers/nobody{path}", 404) == "not_found"


async def test_support_time_from_events_and_records(open_client: OpenClient) -> None:
    """90 minutes of events and 30 of a bare record in 90 days; what is older does not count."""
    async with open_client(FakeScorer(judge), clock=Clock(), support_minute_cost=2) as api:
        await send(api, calm("c1"))
        nothing = (await get(api, "/customers/c1"))["support"]
        assert nothing == {"minutes_per_month": None, "cost_per_month": None}
        await tell(api, "PUT", "/tickets/t1", customer_id="c1", opened_at=ago(100))
        events = [
            {"id": "e1", "type": "work", "at": ago(80), "minutes": 60},
            {"id": "e2", "type": "work", "at": ago(2), "minutes": 30},
            {"id": "e3", "type": "work", "at": ago(95), "minutes": 500},
        ]
        await tell(api, "POST", "/tickets/t1/events", events=events)
        for ticket, days in (("t2", 5), ("t3", 95)):
            await tell(
                api,
                "PUT",
                f"/tickets/{ticket}",
                customer_id="c1",
                opened_at=ago(days),
                minutes_of_work=30,
            )
        support = (await get(api, "/customers/c1"))["support"]
        assert support == {"minutes_per_month": 40, "cost_per_month": 80}
        earlier = (await get(api, "/customers/c1", as_of=ago(10)))["support"]
        assert earlier["minutes_per_month"] == pytest.approx((60 + 500 + 30) / 3)


async def test_messages_that_wait_are_counted(open_client: OpenClient) -> None:
    scorer = HeldScorer()
    async with open_client(scorer, clock=Clock()) as api:
        await api.post("/messages", json={"messages": [said("c1", 1), answered("c1", 0.9)]})
        await scorer.is_called()
        one = await get(api, "/customers/c1")
        assert one["pending"] == 1
        (waiting, _) = reversed((await get(api, "/customers/c1/messages"))["messages"])
        assert waiting["verdict"] is None
        scorer.release()


async def test_messages_newest_first(api: httpx.AsyncClient) -> None:
    first = said("c1", 3, "hello", ticket_id="t1", channel="email")
    same_time = [said("c1", 2), said("c1", 2)]
    reply = answered("c1", 1)
    await send(api, [first, *same_time, reply, said("other", 1)])
    found = (await get(api, "/customers/c1/messages"))["messages"]
    ids = [m["id"] for m in found]
    assert ids == [reply["id"], same_time[1]["id"], same_time[0]["id"], first["id"]]
    last = found[-1]
    assert {name: last[name] for name in first if name != "customer_id"} | {
        "customer_id": "c1"
    } == first
    assert last["agent_id"] is None
    assert last["verdict"]["id"] == first["id"]
    assert set(last["verdict"]) == {
        "id",
        "language",
        "script",
        "scores",
        "labels",
        "threat_kind",
        "sentiment",
        "signs",
        "needs_review",
        "truncated",
        "model",
    }
    assert found[0]["verdict"] is None
    assert found[0]["agent_id"] == "mona"
    for limit in (1, 3, 4):
        some = await pages(api, "/customers/c1/messages", "messages", limit=limit)
        assert [m for page in some for m in page] == found


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 201},
        {"after": "x"},
        {"after": cursor_of(1.0, 2**63)},
        {"after": cursor_of(1.0, -1)},
        {"after": cursor_of("-index", 1.0, "c1")},
    ],
)
async def test_a_bad_page_of_messages(api: httpx.AsyncClient, query: dict[str, Any]) -> None:
    await send(api, calm("c1"))
    assert await refused(api, "/customers/c1/messages", **query) == "invalid_request"


async def test_texts_that_are_not_kept(open_client: OpenClient) -> None:
    async with open_client(FakeScorer(judge), clock=Clock(), store_text=False) as api:
        await send(api, [said("c1", 1, "you z fool")])
        (message,) = (await get(api, "/customers/c1/messages"))["messages"]
        assert message["text"] is None
        assert message["verdict"]["labels"] == ["abuse"]


async def test_the_timeline_tells_everything_but_texts(api: httpx.AsyncClient) -> None:
    await send(api, [said("c1", 9, "you z fool"), answered("c1", 8.9)])
    await tell(api, "PUT", "/customers/c1", plan="pro", started_at=ago(9.5))
    await tell(api, "PUT", "/customers/c1", plan="basic")
    await tell(
        api,
        "POST",
        "/tickets/t1/events",
        events=[{"id": "e1", "type": "work", "at": ago(8), "minutes": 5, "agent_id": "mona"}],
    )
    await tell(api, "PUT", "/tickets/t1", customer_id="c1", opened_at=ago(20))
    await tell(api, "PUT", "/tickets/t2", customer_id="c1", opened_at=ago(7), resolved_at=ago(6))
    await tell(api, "POST", "/customers/c1/outcomes", type="renewal", at=ago(5), amount=9)
    await tell(api, "POST", "/customers/c1/ratings", rating=4, at=ago(4), note="loud")
    await tell(
        api,
        "POST",
        "/customers/c1/decisions",
        step="listen",
        decided_by="Mona",
        reason="new",
        at=ago(3),
    )
    body = await get(api, "/customers/c1/timeline", days=10)
    assert set(body) == {"customer_id", "events", "left_out", "line"}
    assert body["left_out"] == 0
    events = body["events"]
    assert [(e["kind"], e["at"]) for e in events] == [
        ("message", ago(9)),
        ("message", ago(8.9)),
        ("ticket", ago(8)),
        ("ticket", ago(7)),
        ("ticket", ago(6)),
        ("outcome", ago(5)),
        ("rating", ago(4)),
        ("decision", ago(3)),
        ("profile", ago(0)),
    ]
    assert not any("text" in e for e in events)
    assert events[0]["labels"] == ["abuse"]
    assert events[1]["labels"] is None
    assert events[2] == {
        "at": ago(8),
        "kind": "ticket",
        "count": 1,
        "ticket_id": "t1",
        "type": "work",
        "agent_id": "mona",
        "minutes": 5,
    }
    assert [e["type"] for e in events[3:5]] == ["opened", "resolved"]
    assert events[5]["amount"] == 9
    assert (events[6]["rating"], events[6]["note"]) == (4, "loud")
    assert (events[7]["step"], events[7]["decided_by"]) == ("listen", "Mona")
    assert events[8]["plan"] == "basic"
    later = await get(api, "/customers/c1/timeline", days=4)
    assert [e["kind"] for e in later["events"]] == ["decision", "profile"]


async def test_the_line_is_that_of_each_day(api: httpx.AsyncClient) -> None:
    """At the end of each day, and now, as /customers/{id} tells it as of then."""
    await send(api, calm("c1", last=12), draining("c1", last=2))
    line = (await get(api, "/customers/c1/timeline", days=20))["line"]
    instants = [datetime.fromisoformat(point["at"]).timestamp() for point in line]
    assert instants[-1] == NOW
    assert len(instants) == 21
    assert all((instant + 1) % DAY == 0 for instant in instants[:-1])
    for point in line:
        then = await get(api, "/customers/c1", as_of=point["at"])
        assert point["index"] == then["index"]["value"]
        assert point["pain"] == then["pain"]["value"]
        assert point["quadrant"] == then["quadrant"]


async def test_the_line_begins_with_the_first_event(api: httpx.AsyncClient) -> None:
    await tell(api, "PUT", "/customers/c1", plan="pro")
    await send(api, calm("c1"))
    line = (await get(api, "/customers/c1/timeline", days=180))["line"]
    assert len(line) == 23  # the first message was 22 days ago, at noon


async def test_a_long_line_has_a_point_a_week(api: httpx.AsyncClient) -> None:
    await send(api, [said("c1", 300)])
    line = (await get(api, "/customers/c1/timeline", days=365))["line"]
    instants = [datetime.fromisoformat(point["at"]).timestamp() for point in line]
    steps = {b - a for a, b in pairwise(instants[:-1])}
    assert steps == {7 * DAY}
    assert instants[-1] == NOW
    assert 43 <= len(line) <= 44
    then = await get(api, "/customers/c1", as_of=line[5]["at"])
    assert line[5]["index"] == then["index"]["value"]


async def test_a_timeline_is_bounded(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.routes.customers._MOST_HAPPENINGS", 3)
    await send(api, calm("c1"))
    await tell(api, "PUT", "/tickets/t1", customer_id="c1", opened_at=ago(9))
    body = await get(api, "/customers/c1/timeline")
    assert [e["kind"] for e in body["events"]] == ["ticket", "message", "message", "message"]
    assert body["left_out"] == 5
    assert body["events"][-1]["at"] == ago(0.97)


@pytest.mark.parametrize("days", [0, 3651, "all"])
async def test_a_bad_number_of_days(api: httpx.AsyncClient, days: Any) -> None:
    assert await refused(api, "/customers/c1/timeline", days=days) == "invalid_request"


async def test_large_answers_are_not_encoded_on_the_event_loop(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(api, draining("c1"), [said("c1", 0.5, 'z "\\\x01\u2028 عربي 🙂 </script>')])
    threads: list[threading.Thread] = []

    def spy(*arguments: Any, **options: Any) -> Any:
        threads.append(threading.current_thread())
        return json_answer(*arguments, **options)

    for route in ("privacy", "customers", "dossier"):
        monkeypatch.setattr(f"serving.routes.{route}.json_answer", spy)
    for path in ("export", "messages", "timeline", "dossier"):
        answer = await api.get(f"/customers/c1/{path}")
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.content.decode() == json.dumps(
            answer.json(), ensure_ascii=False, separators=(",", ":"), allow_nan=False
        )
    assert len(threads) == 4
    assert threading.main_thread() not in threads


async def test_others_write_while_a_customer_is_exported(
    api: httpx.AsyncClient, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(api, calm("c1"))

    def slowly(connection: Any, customer: str) -> Any:
        with store.begin() as other:
            record(other, NOW, None, "meanwhile", "c1")
        return export_customer(connection, customer)

    monkeypatch.setattr("serving.routes.privacy.export_customer", slowly)
    found = await get(api, "/customers/c1/export")
    assert found["audit"][0]["action"] == "export"


async def test_every_read_leaves_a_trace(api: httpx.AsyncClient, store: Database) -> None:
    await send(api, calm("c1"))
    await get(api, "/customers")
    for path in ("", "/messages", "/timeline"):
        await get(api, f"/customers/c1{path}")
    await get(api, "/alerts", customer_id="c1")
    await get(api, "/customers/c1", as_of=ago(1))
    await refused(api, "/customers/nobody", 404)
    with store.read() as connection:
        found = connection.execute(select(audit).order_by(audit.c.seq)).all()
    assert [(row.action, row.customer_id) for row in found] == [
        ("list", None),
        ("read", "c1"),
        ("read_messages", "c1"),
        ("read_timeline", "c1"),
        ("read_alerts", "c1"),
        ("read", "c1"),
    ]
    assert {row.at for row in found} == {NOW}
    assert json.loads(found[0].details) == {"customers": ["c1"]}
    assert json.loads(found[-1].details) == {"as_of": ago(1)}


async def test_the_list_is_as_of_the_last_refresh(open_client: OpenClient, store: Database) -> None:
    clock = Clock()
    async with open_client(FakeScorer(judge), clock=clock) as api:
        await send(api, draining("c1"))
        before = await get(api, "/customers")
        clock.now = NOW + 1800
        half_an_hour_later = await get(api, "/customers")
        assert half_an_hour_later == before
        clock.now = NOW + 30 * DAY

        async def refreshed() -> Json:
            return await get(api, "/customers")

        body = await refreshed()
        while body["refreshed_at"] == before["refreshed_at"]:
            body = await refreshed()
        assert body["customers"][0]["index"] < before["customers"][0]["index"]
