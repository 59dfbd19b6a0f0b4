"""GET /portfolio and GET /lost, on both databases."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import event, func, select

from serving.kept import Kept
from serving.store import portfolio
from serving.store.database import Database
from serving.store.tables import audit, customers
from tests.conftest import OpenClient
from tests.helpers import NOW, Clock, FakeScorer, Json, eventually
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


async def settled(store: Database) -> None:
    """Returns when no customer waits for the scorer."""

    def none_waits() -> bool:
        with store.read() as connection:
            waiting = select(func.count()).where(customers.c.dirty_from.is_not(None))
            return connection.scalar(waiting) == 0

    await eventually(none_waits)


async def worked(api: httpx.AsyncClient, customer: str, minutes: float, **event: Any) -> None:
    """A ticket of the customer with so many minutes of work yesterday."""
    ticket = f"t-{customer}-{minutes}"
    await tell(api, "PUT", f"/tickets/{ticket}", customer_id=customer, opened_at=ago(50))
    body = {"id": "e", "type": "work", "at": ago(1), "minutes": minutes} | event
    await tell(api, "POST", f"/tickets/{ticket}/events", events=[body])


async def test_an_empty_portfolio_invents_nothing(api: httpx.AsyncClient) -> None:
    body = await get(api, "/portfolio")
    assert body == {
        "as_of": ago(0),
        "refreshed_at": None,
        "customers": 0,
        "distribution": {
            "index": [{"from": low, "to": low + 10, "customers": 0} for low in range(0, 100, 10)],
            "quadrants": {"calm": 0, "hurt": 0, "draining": 0, "inflamed": 0},
        },
        "support_as_of": ago(0),
        "support_minutes_per_customer_month": None,
        "heavy_customers": None,
        "drainage": [],
        "team_turnover": None,
        "internal_toxicity": None,
        "separations": {
            "separations": 0,
            "customers": 0,
            "share": None,
            "alarm_above": 0.01,
            "alarm": False,
            "message": None,
        },
    }


async def test_the_distribution(api: httpx.AsyncClient) -> None:
    await send(api, calm("a"), calm("b"), draining("c"), hurt("d"))
    listed = (await get(api, "/customers"))["customers"]
    body = await get(api, "/portfolio")
    assert body["customers"] == 4
    assert body["refreshed_at"] == ago(0)
    assert body["distribution"]["quadrants"] == {"calm": 2, "hurt": 1, "draining": 1, "inflamed": 0}
    for tenth in body["distribution"]["index"]:
        within = [one for one in listed if tenth["from"] <= one["index"] < tenth["to"]]
        assert tenth["customers"] == len(within)


async def test_support_time_and_the_heavy_customers(api: httpx.AsyncClient) -> None:
    """Of 200 minutes on 5 customers, two take 120: 60 %."""
    for name, value in (("a", 10), ("b", 20), ("c", 30), ("d", 40), ("e", None)):
        await tell(api, "PUT", f"/customers/{name}", monthly_value=value, currency="EGP")
    for name, minutes in (("a", 70), ("b", 30), ("b", 20), ("c", 45), ("d", 35)):
        await worked(api, name, minutes)
    await worked(api, "e", 500, at=ago(31))
    body = await get(api, "/portfolio")
    assert body["support_minutes_per_customer_month"] == 40
    assert body["heavy_customers"] == {
        "share_of_minutes": 0.6,
        "customers": 2,
        "share_of_customers": 0.4,
        "share_of_revenue": 0.3,
    }


async def test_minutes_of_bare_records_count(api: httpx.AsyncClient) -> None:
    """Dated at the last change; not beside the events of the same ticket."""
    for ticket, opened, resolved in (("t1", 40, 5), ("t2", 45, 40)):
        await tell(
            api,
            "PUT",
            f"/tickets/{ticket}",
            customer_id="a",
            opened_at=ago(opened),
            resolved_at=ago(resolved),
            minutes_of_work=30,
        )
    assert (await get(api, "/portfolio"))["support_minutes_per_customer_month"] == 30
    events = [{"id": "e", "type": "work", "at": ago(5), "minutes": 12}]
    await tell(api, "POST", "/tickets/t1/events", events=events)
    assert (await get(api, "/portfolio"))["support_minutes_per_customer_month"] == 12


async def test_customers_who_left_before_take_no_part(api: httpx.AsyncClient) -> None:
    for name, ended in (("a", None), ("b", ago(31)), ("c", ago(10)), ("d", ago(-10))):
        await tell(api, "PUT", f"/customers/{name}", monthly_value=10, ended_at=ended)
        await worked(api, name, 10)
    body = await get(api, "/portfolio")
    assert body["customers"] == 2
    assert body["support_minutes_per_customer_month"] == 10
    assert body["heavy_customers"]["share_of_customers"] == pytest.approx(2 / 3)
    assert body["heavy_customers"]["share_of_revenue"] == pytest.approx(2 / 3)


async def test_values_in_several_currencies_are_not_added(api: httpx.AsyncClient) -> None:
    for name, currency in (("a", "EGP"), ("b", "SAR")):
        await tell(api, "PUT", f"/customers/{name}", monthly_value=10, currency=currency)
        await worked(api, name, 10)
    assert (await get(api, "/portfolio"))["heavy_customers"]["share_of_revenue"] is None


@pytest.mark.parametrize(
    ("minutes", "count"),
    [([100], 1), ([1] * 10, 6), ([60, 40], 1), ([59, 41], 2), ([0.1] * 30, 18), ([], 0)],
)
def test_the_fewest_with_sixty_per_cent(minutes: list[float], count: int) -> None:
    assert len(portfolio.heaviest({f"c{i}": m for i, m in enumerate(minutes)})) == count


async def test_turnover_of_the_team(api: httpx.AsyncClient) -> None:
    """Of three who were there all year, one left at its middle; a fourth left two years ago."""
    for agent in ("a", "b"):
        await tell(api, "PUT", f"/agents/{agent}", joined_at=ago(1000))
    await tell(api, "PUT", "/agents/c", joined_at=ago(1000), left_at=ago(365 / 2))
    await tell(api, "PUT", "/agents/d", left_at=ago(730))
    turnover = (await get(api, "/portfolio"))["team_turnover"]
    assert turnover["left"] == 1
    assert turnover["average_headcount"] == pytest.approx(2.5)
    assert turnover["rate"] == pytest.approx(0.4)


async def test_internal_toxicity(api: httpx.AsyncClient) -> None:
    for rating, days in ((5, 1), (2, 89), (1, 91)):
        await tell(api, "POST", "/customers/a/ratings", rating=rating, at=ago(days))
    assert (await get(api, "/portfolio"))["internal_toxicity"] == {"mean": 3.5, "ratings": 2}


async def test_drainage_by_agent(api: httpx.AsyncClient) -> None:
    await send(
        api,
        draining("toxic"),
        [answered("toxic", 2, "omar"), answered("toxic", 31, "omar")],
        [answered("fair", days, "mona") for days in range(1, 31)],
        [said("fair", 1, direction="out")],
    )
    await tell(api, "PUT", "/agents/omar", name="Omar")
    await worked(api, "toxic", 30, agent_id="omar")
    await worked(api, "fair", 10, agent_id="omar")
    await worked(api, "fair", 20, agent_id="sara")
    assert (await get(api, "/portfolio"))["drainage"] == [
        {
            "agent_id": "mona",
            "name": None,
            "messages": 39,
            "messages_on_draining": 10,
            "share_of_messages": pytest.approx(10 / 39),
            "minutes": 0,
            "minutes_on_draining": 0,
            "share_of_minutes": None,
        },
        {
            "agent_id": "omar",
            "name": "Omar",
            "messages": 1,
            "messages_on_draining": 1,
            "share_of_messages": 1,
            "minutes": 40,
            "minutes_on_draining": 30,
            "share_of_minutes": 0.75,
        },
        {
            "agent_id": "sara",
            "name": None,
            "messages": 0,
            "messages_on_draining": 0,
            "share_of_messages": None,
            "minutes": 20,
            "minutes_on_draining": 0,
            "share_of_minutes": 0,
        },
    ]


async def separate(api: httpx.AsyncClient, customer: str, at: str) -> None:
    await tell(
        api,
        "POST",
        f"/customers/{customer}/decisions",
        step="separation",
        decided_by="Mona",
        reason="threats",
        at=at,
    )


async def test_separations_raise_an_alarm(open_client: OpenClient) -> None:
    async with open_client(FakeScorer(judge), clock=Clock(), separation_alarm=0.3) as api:
        for name in "abcd":
            await tell(api, "PUT", f"/customers/{name}")
        await separate(api, "a", ago(366))
        await separate(api, "b", ago(1))
        await separate(api, "b", ago(2))
        few = (await get(api, "/portfolio"))["separations"]
        assert few == {
            "separations": 1,
            "customers": 4,
            "share": 0.25,
            "alarm_above": 0.3,
            "alarm": False,
            "message": None,
        }
        await separate(api, "c", ago(100))
        many = (await get(api, "/portfolio"))["separations"]
        assert many["share"] == 0.5
        assert many["alarm"] is True
        assert "at fault" in many["message"]
        arabic = (await get(api, "/portfolio", lang="ar"))["separations"]["message"]
        assert "المنتج" in arabic


async def test_messages_are_never_scanned(api: httpx.AsyncClient, store: Database) -> None:
    if not store.is_sqlite:
        pytest.skip("its plan depends on the data")
    await send(api, calm("c1"))
    await settled(store)
    asked: list[tuple[str, Any]] = []

    @event.listens_for(store.engine, "before_cursor_execute")
    def keep(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    with store.read() as connection:
        work = portfolio.month_of_work(connection, NOW)
        portfolio.support_time(connection, work, NOW)
        portfolio.drainage(connection, work, NOW)
        portfolio.distribution(connection)
        portfolio.internal_toxicity(connection, NOW)
        steps = []
        for statement, parameters in [a for a in asked if a[0].startswith("SELECT")]:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps += [row.detail for row in plan]
    big = ("messages", "tickets", "ticket_events", "ratings")
    assert not [s for s in steps if s.startswith("SCAN") and s.split()[1] in big], steps
    assert any("messages USING COVERING INDEX ix_messages_agents" in s for s in steps), steps
    assert any("ticket_events USING COVERING INDEX ix_ticket_events_work" in s for s in steps)


def test_dear_figures_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes a second is computed every hundred; what takes none, every time."""
    clock, kept = Clock(0.0), Kept()
    monkeypatch.setattr("serving.kept.time.monotonic", clock)
    monkeypatch.setattr("serving.kept._DEAR_SECONDS", 0.25)
    number = 0

    def compute(seconds: float) -> dict[str, Any]:
        nonlocal number
        number += 1
        clock.now += seconds
        return {"number": number}

    assert kept.get(lambda: compute(0.0)) == {"number": 1}
    assert kept.get(lambda: compute(1.0)) == {"number": 2}
    clock.now = 99.0
    assert kept.get(lambda: compute(1.0)) == {"number": 2}
    clock.now = 101.0
    assert kept.get(lambda: compute(0.0)) == {"number": 3}
    assert kept.get(lambda: compute(0.0)) == {"number": 4}


def test_the_previous_figures_are_told_while_one_thread_computes_them_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, kept = Clock(0.0), Kept()
    monkeypatch.setattr("serving.kept.time.monotonic", clock)
    monkeypatch.setattr("serving.kept._DEAR_SECONDS", 0.25)
    began, ends = threading.Event(), threading.Event()

    def dear() -> dict[str, Any]:
        clock.now += 1.0
        return {"number": 1}

    def slow() -> dict[str, Any]:
        began.set()
        assert ends.wait(60)
        return {"number": 2}

    assert kept.get(dear) == {"number": 1}
    clock.now = 200.0
    with ThreadPoolExecutor() as pool:
        anew = pool.submit(kept.get, slow)
        assert began.wait(60)
        try:
            assert pool.submit(kept.get, dear).result(10) == {"number": 1}
        finally:
            ends.set()
        assert anew.result() == {"number": 2}


async def test_nobody_holds_a_transaction_while_figures_are_computed(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await get(api, "/portfolio")
    services = api._transport.app.state.services  # type: ignore[attr-defined]
    held: list[int] = []
    get_kept = Kept.get

    def spy(self: Kept, compute: Any) -> Any:
        end = time.monotonic() + 10
        while (count := services.database.engine.pool.checkedout()) and time.monotonic() < end:
            time.sleep(0.01)  # the scorer's own, for a moment
        held.append(count)
        return get_kept(self, compute)

    monkeypatch.setattr(Kept, "get", spy)
    await get(api, "/portfolio")
    assert held == [0]


async def leave(
    api: httpx.AsyncClient, customer: str, at: str, reason: str | None = None, **fields: Any
) -> None:
    await tell(api, "PUT", f"/customers/{customer}", ended_at=at, end_reason=reason, **fields)


def ids(candidates: list[Json]) -> list[str]:
    return [candidate["customer_id"] for candidate in candidates]


async def test_nobody_is_lost(api: httpx.AsyncClient) -> None:
    await send(api, calm("a"))
    await leave(api, "b", ago(-5))
    assert await get(api, "/lost", campaign_cost=100) == {
        "lost": 0,
        "examined": 0,
        "groups": [],
        "won_back": 0,
        "cost_per_customer_won_back": None,
        "win_back": [],
    }


async def test_why_customers_left(api: httpx.AsyncClient) -> None:
    await send(
        api,
        [*hurt("h1", last=6), said("h1", 5.5, "where is it N, I go L", channel="email")],
        hurt("h2", last=6),
        calm("c1", last=10),
        draining("d1", last=4),
    )
    await leave(api, "h1", ago(5), "slow", name="Nile", monthly_value=10, currency="EGP")
    await leave(api, "h2", ago(4), "slow", monthly_value=90)
    await tell(api, "POST", "/customers/c1/outcomes", type="cancellation", at=ago(3))
    await leave(api, "d1", ago(2))
    body = await get(api, "/lost")
    assert (body["lost"], body["examined"]) == (4, 4)
    assert body["groups"][0] == {
        "quadrant": "hurt",
        "main_pain": "unanswered",
        "customers": 2,
        "said_they_leave": 1,
        "with_unanswered_messages": 2,
        "mean_negative": pytest.approx(0.9),
        "end_reasons": [{"reason": "slow", "customers": 2}],
        "customer_ids": ["h2", "h1"],
    }
    others = {group["quadrant"]: group for group in body["groups"][1:]}
    assert others["calm"]["customer_ids"] == ["c1"]
    assert others["calm"]["main_pain"] is None
    assert others["draining"]["customer_ids"] == ["d1"]
    assert ids(body["win_back"]) == ["h2", "h1", "c1"]
    first = body["win_back"][1]
    assert first["evidence"].pop("message_ids")[0].startswith("m")
    assert first["evidence"] == {
        "said_they_leave": True,
        "negative": pytest.approx(0.9),
        "unanswered_messages": 5,
    }
    assert first["name"] == "Nile"
    assert first["left_at"] == ago(5)
    assert first["end_reason"] == "slow"
    assert first["quadrant"] == "hurt"
    assert first["cause_to_fix_first"] == "unanswered"
    assert (first["monthly_value"], first["currency"]) == (10, "EGP")
    assert first["last_channel"] == "email"
    assert first["offer_idea"] is None


async def test_the_end_is_read_as_of_then(api: httpx.AsyncClient) -> None:
    """What comes after the day of leaving changes nothing."""
    await send(api, hurt("h", last=60))
    await leave(api, "h", ago(60))
    before = await get(api, "/lost")
    await send(api, draining("h", last=1))
    assert await get(api, "/lost") == before


async def test_who_is_not_asked_back(api: httpx.AsyncClient) -> None:
    """The separated, the back, and the inflamed after a grave event."""
    await send(api, calm("separated"), calm("back"), calm("asked"))
    threat = [said("grave", 3 + day, "I G will q you") for day in range(4)]
    await send(api, hurt("grave", last=7), threat)
    for name in ("separated", "back", "asked", "grave"):
        await leave(api, name, ago(1))
    await separate(api, "separated", ago(2))
    await tell(api, "POST", "/customers/back/outcomes", type="renewal", at=ago(0.5))
    body = await get(api, "/lost")
    quadrants = {group["quadrant"]: group["customer_ids"] for group in body["groups"]}
    assert quadrants["inflamed"] == ["grave"]
    assert ids(body["win_back"]) == ["asked"]


async def test_what_it_cost_to_win_one_back(api: httpx.AsyncClient) -> None:
    """A purchase counts after the last departure only."""
    for name, left, bought in (("a", 10, 5), ("b", 10, 2), ("c", 10, 12)):
        await leave(api, name, ago(left))
        path = f"/customers/{name}/outcomes"
        await tell(api, "POST", path, type="purchase", at=ago(bought), amount=5)
    await tell(api, "POST", "/customers/b/outcomes", type="cancellation", at=ago(1))
    await tell(api, "POST", "/customers/c/outcomes", type="upgrade", at=ago(1))
    assert (await get(api, "/lost"))["cost_per_customer_won_back"] is None
    body = await get(api, "/lost", campaign_cost=650)
    assert (body["lost"], body["won_back"]) == (3, 1)
    assert body["cost_per_customer_won_back"] == 650


async def test_the_window_and_the_bound_of_lost(api: httpx.AsyncClient, store: Database) -> None:
    for number in range(5):
        await leave(api, f"c{number}", ago(1 + 100 * number))
    body = await get(api, "/lost", limit=2)
    assert (body["lost"], body["examined"]) == (4, 2)
    assert ids(body["win_back"]) == ["c0", "c1"]
    assert (await get(api, "/lost", days=150))["lost"] == 2
    assert (await get(api, "/lost", days=3650))["lost"] == 5
    with store.read() as connection:
        actions = connection.scalars(select(audit.c.action).order_by(audit.c.seq)).all()
    assert actions == ["read_lost"] * 3


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/portfolio", {"lang": "fr"}),
        ("/lost", {"days": 0}),
        ("/lost", {"days": 3651}),
        ("/lost", {"limit": 1001}),
        ("/lost", {"campaign_cost": -1}),
        ("/lost", {"campaign_cost": "inf"}),
        ("/lost", {"campaign_cost": "much"}),
    ],
)
async def test_a_bad_query_is_refused(
    api: httpx.AsyncClient, path: str, query: dict[str, Any]
) -> None:
    assert await refused(api, path, **query) == "invalid_request"
