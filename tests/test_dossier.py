"""The dossier: what is in it, in both forms and languages, and that what customers wrote runs nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import httpx
import numpy as np
import pytest

from model import Verdict
from serving.index.settings import DAY
from serving.times import wire_time
from tests.conftest import OpenClient
from tests.helpers import FakeScorer, Json, verdict

NOW = 20_576.5 * DAY  # 3 May 2026, noon
ATTACK = '<script>alert(1)</script><img src=x onerror="alert(2)"> refund my money'
ABOUT = {"delivery": 0, "invoice": 1, "refund": 2}


def judge(text: str) -> Verdict:
    """The words of a text say what the model finds in it, and what it is about."""
    base = verdict()
    labels = tuple(label for label in ("abuse", "threat", "accusation") if label in text)
    vector = np.zeros(256, np.float32)
    vector[next((place for word, place in ABOUT.items() if word in text), 3)] = 1
    negative = 0.1 if "thanks" in text else 0.9
    return replace(
        base,
        scores=base.scores | dict.fromkeys(labels, 0.9),
        labels=labels,
        sentiment={"negative": negative, "neutral": 0.05, "positive": 0.95 - negative},
        signs=base.signs | {"refund_demand": 0.9 if "refund" in text else 0.0},
        vector=vector,
    )


def ago(days: float) -> str:
    return wire_time(NOW - days * DAY)


def said(number: int, days: float, text: str, **fields: Any) -> Json:
    return {
        "source": "crm",
        "id": f"m{number}",
        "customer_id": "c1",
        "direction": "in",
        "channel": "whatsapp",
        "sent_at": ago(days),
        "text": text,
    } | fields


def answered(number: int, days: float, **fields: Any) -> Json:
    return said(number, days, "we look into it", direction="out", agent_id="mona") | fields


STORY = [
    said(1, 70, "the delivery is late", ticket_id="t1"),
    answered(2, 69.5),
    said(3, 50, "where is the invoice", channel="email"),
    answered(4, 49),
    said(5, 40, "the delivery is late again", channel="email"),
    answered(6, 39.75),
    said(7, 20, "abuse threat delivery"),
    said(8, 19, "accusation delivery"),
    said(9, 18, "accusation delivery"),
    said(10, 5, ATTACK),
    said(11, 4, "many thanks"),
]
TICKET = [
    {"id": "1", "type": "opened", "at": ago(70)},
    {"id": "2", "type": "handed_over", "at": ago(69.8)},
    {"id": "3", "type": "work", "at": ago(69), "minutes": 45},
    {"id": "4", "type": "resolved", "at": ago(60)},
]
DECISION = {"step": "boundary", "decided_by": "Sara", "reason": "<b>calls</b>", "at": ago(10)}


async def sent(client: httpx.AsyncClient, method: str, path: str, body: Any) -> None:
    response = await client.request(method, path, json=body)
    assert response.status_code < 300, response.text


async def all_is_read(client: httpx.AsyncClient) -> None:
    """Returns when no message waits for the model."""
    async with asyncio.timeout(60):
        while (await client.get("/customers/c1")).json()["pending"]:
            await asyncio.sleep(0.1)


async def tell(client: httpx.AsyncClient) -> None:
    """Send the story, and wait until the model has read it."""
    profile = {"name": "Nile & Sons", "plan": "Basic", "monthly_value": 500, "currency": "SAR"}
    await sent(client, "PUT", "/customers/c1", profile | {"started_at": ago(300)})
    await sent(client, "POST", "/messages", {"messages": STORY})
    await sent(client, "POST", "/tickets/t1/events", {"events": TICKET})
    await sent(client, "POST", "/customers/c1/outcomes", {"type": "renewal", "at": ago(30)})
    note = {"rating": 4, "note": "daily <calls>", "agent_id": "mona", "at": ago(9)}
    await sent(client, "POST", "/customers/c1/ratings", note)
    await sent(client, "POST", "/customers/c1/decisions", DECISION)
    await all_is_read(client)


@pytest.fixture
async def client(open_client: OpenClient) -> AsyncIterator[httpx.AsyncClient]:
    """Of a company whose customer c1 has a story."""
    scorer = FakeScorer(judge)
    async with open_client(scorer, clock=lambda: NOW, support_minute_cost=2.0) as opened:
        await tell(opened)
        yield opened


async def dossier(client: httpx.AsyncClient, query: str = "") -> Json:
    response = await client.get(f"/customers/c1/dossier{query}")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    found: Json = response.json()
    return found


async def page(client: httpx.AsyncClient, query: str = "?format=html") -> str:
    response = await client.get(f"/customers/c1/dossier{query}")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return response.text


async def test_it_can_be_asked_as_of_an_instant(client: httpx.AsyncClient) -> None:
    then = await dossier(client, f"?as_of={ago(45)}")
    reading = (await client.get(f"/customers/c1?as_of={ago(45)}")).json()
    assert (then["as_of"], then["index"]) == (ago(45), reading["index"])
    assert [one["first_at"] for one in then["complaints"]] == [ago(70), ago(50)]
    assert then["complaints"] != (await dossier(client))["complaints"]
    assert then["decisions"] == []
    for wrong in ("yesterday", ago(-1)):
        response = await client.get(f"/customers/c1/dossier?as_of={wrong}")
        assert response.status_code == 422


@pytest.mark.usefixtures("both_stores")
async def test_it_holds_the_reading_and_the_record(client: httpx.AsyncClient) -> None:
    found = await dossier(client)
    reading = (await client.get("/customers/c1")).json()
    kept = set(reading) - {"support"}
    assert {name: found[name] for name in kept} == {name: reading[name] for name in kept}
    assert set(found) - kept == {
        "covers_after",
        "complaints",
        "escalation",
        "team",
        "tickets",
        "money",
        "decisions",
        "ratings",
    }
    assert found["covers_after"] is None
    assert found["decisions"] == [DECISION]
    assert found["ratings"] == [
        {"at": ago(9), "rating": 4, "note": "daily <calls>", "agent_id": "mona"}
    ]


@pytest.mark.usefixtures("both_stores")
async def test_complaints_are_told_by_matter_over_all_channels(client: httpx.AsyncClient) -> None:
    delivery, invoice, refund = (await dossier(client))["complaints"]
    assert delivery == {
        "first_at": ago(70),
        "last_at": ago(18),
        "tickets": ["t1"],
        "channels": ["whatsapp", "email"],
        "messages": 5,
        "hostile_messages": 1,  # the others came while an answer was overdue
        "came_back": 1,
        "outcome": "open",
        "resolved_at": None,
        "opening": {
            "message_id": "m1",
            "sent_at": ago(70),
            "channel": "whatsapp",
            "text": "the delivery is late",
        },
    }
    assert (invoice["outcome"], invoice["messages"]) == ("answered", 1)
    assert (refund["outcome"], refund["opening"]["message_id"]) == ("open", "m10")


async def test_a_ticket_resolves_the_complaint_until_the_customer_writes_again(
    client: httpx.AsyncClient,
) -> None:
    async def last_complaint() -> Json:
        await all_is_read(client)
        found: Json = (await dossier(client))["complaints"][-1]
        return found

    fourth = said(12, 3, "the printer is broken", ticket_id="t2")
    await sent(client, "POST", "/messages", {"messages": [fourth]})
    resolved = [{"id": "1", "type": "resolved", "at": ago(2)}]
    await sent(client, "POST", "/tickets/t2/events", {"events": resolved})
    found = await last_complaint()
    assert (found["outcome"], found["resolved_at"]) == ("resolved", ago(2))

    again = said(13, 1, "the printer is broken", ticket_id="t2")
    await sent(client, "POST", "/messages", {"messages": [again]})
    found = await last_complaint()
    assert (found["outcome"], found["resolved_at"], found["came_back"]) == ("open", None, 1)


async def test_the_language_is_told_month_by_month(client: httpx.AsyncClient) -> None:
    months = (await dossier(client))["escalation"]
    counts = [(m["month"], m["messages"], m["hostile_messages"]) for m in months]
    assert counts == [("2026-02", 1, 0), ("2026-03", 2, 0), ("2026-04", 5, 1)]
    worst = months[-1]["worst"]
    assert [m["message_id"] for m in worst] == ["m7"]
    assert worst[0]["labels"] == ["abuse", "threat"]
    assert 0 < worst[0]["severity"] <= 1
    assert worst[0]["text"] == "abuse threat delivery"


async def test_what_the_team_did(client: httpx.AsyncClient) -> None:
    found = await dossier(client)
    assert found["team"] == {
        "agents": [{"agent_id": "mona", "name": None, "messages": 3}],
        "answers": 3,
        "median_hours_to_answer": 12.0,
        "waiting_messages": 4,
        "tickets_opened": 1,
        "tickets_resolved": 1,
        "tickets_reopened": 0,
        "tickets_handed_over": 1,
        "minutes_of_work": 45.0,
    }
    assert found["tickets"] == [
        {
            "ticket_id": "t1",
            "opened_at": ago(70),
            "first_reply_at": None,
            "resolved_at": ago(60),
            "reopened": 0,
            "handoffs": 1,
        }
    ]


async def test_the_money(client: httpx.AsyncClient) -> None:
    money = (await dossier(client))["money"]
    assert (money["monthly_value"], money["currency"]) == (500.0, "SAR")
    assert money["minutes_per_month"] == pytest.approx(15.0)
    assert money["cost_per_month"] == pytest.approx(30.0)
    assert [demand["text"] for demand in money["refund_demands"]] == [ATTACK]
    assert money["outcomes"] == [{"at": ago(30), "type": "renewal", "amount": None}]


class Elements(HTMLParser):
    """Names and attributes of a page's elements, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: dict[str, list[str | None]] = {}
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value)

    def handle_data(self, data: str) -> None:
        self.said += data


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_what_the_customer_wrote_is_shown_and_never_run(
    client: httpx.AsyncClient, language: str
) -> None:
    await sent(client, "PUT", "/customers/c1", {"name": "<script>n</script>", "plan": '"><svg>'})
    text = await page(client, f"?format=html&lang={language}")
    found = Elements(text)
    assert not {"script", "img", "svg", "link", "iframe"} & set(found.names)
    assert not {name for name in found.attributes if name.startswith("on")}
    assert not {"src", "href"} & set(found.attributes)
    assert "url(" not in text
    assert "@import" not in text
    for written in (ATTACK, "<script>n</script>", '"><svg>', "<b>calls</b>", "daily <calls>"):
        assert written in found.said


async def test_the_browser_is_told_to_run_nothing_and_to_keep_nothing(
    client: httpx.AsyncClient,
) -> None:
    headers = (await client.get("/customers/c1/dossier?format=html")).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script-src" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


async def test_arabic_runs_from_right_to_left(client: httpx.AsyncClient) -> None:
    arabic = await page(client, "?format=html&lang=ar")
    assert '<html lang="ar" dir="rtl">' in arabic
    assert "الشكاوى" in arabic
    assert "Complaints" not in arabic
    english = await page(client, "?format=html&lang=en")
    assert '<html lang="en" dir="ltr">' in english
    assert not any("\u0600" <= letter <= "\u06ff" for letter in english)


async def test_the_reasons_are_in_the_language_asked_for(client: httpx.AsyncClient) -> None:
    english = (await dossier(client))["suggestion"]
    arabic = (await dossier(client, "?lang=ar"))["suggestion"]
    assert english["step"] == arabic["step"]
    assert english["reasons_for"] != arabic["reasons_for"]


async def test_a_browser_gets_the_page(client: httpx.AsyncClient) -> None:
    path = "/customers/c1/dossier"
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert (await client.get(path, headers=browser)).text.startswith("<!DOCTYPE html>")
    assert (await client.get(f"{path}?format=json", headers=browser)).json()["customer_id"] == "c1"


async def test_texts_that_are_not_kept_are_null(open_client: OpenClient) -> None:
    scorer = FakeScorer(judge)
    async with open_client(scorer, clock=lambda: NOW, store_text=False) as client:
        await tell(client)
        assert (await dossier(client))["escalation"][-1]["worst"][0]["text"] is None
        assert "The text is not kept." in await page(client)


async def test_a_long_text_is_cut(client: httpx.AsyncClient) -> None:
    await sent(client, "POST", "/messages", {"messages": [said(12, 1, "refund " * 2_000)]})
    await all_is_read(client)
    text = (await dossier(client))["money"]["refund_demands"][-1]["text"]
    assert len(text) < 700
    assert text.endswith("…")


@pytest.mark.usefixtures("both_stores")
async def test_of_very_many_messages_the_newest_are_covered(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.dossier.MOST_MESSAGES", 5)
    found = await dossier(client)
    assert found["covers_after"] == ago(39.75)
    assert [month["messages"] for month in found["escalation"]] == [5]
    assert found["escalation"][0]["hostile_messages"] == 1
    assert found["complaints"][0]["opening"]["message_id"] == "m7"
    assert "Only the newest messages are covered" in await page(client)


async def test_a_customer_of_whom_nothing_is_known_has_an_empty_one(
    client: httpx.AsyncClient,
) -> None:
    await sent(client, "PUT", "/customers/c2", {})
    for language in ("en", "ar"):
        response = await client.get(f"/customers/c2/dossier?format=html&lang={language}")
        assert response.status_code == 200
    found = (await client.get("/customers/c2/dossier")).json()
    assert found["complaints"] == found["escalation"] == found["decisions"] == []
    assert found["team"]["median_hours_to_answer"] is None


@pytest.mark.parametrize("query", ["", "?format=html", "?lang=ar"])
async def test_an_unknown_customer_is_not_found(client: httpx.AsyncClient, query: str) -> None:
    response = await client.get(f"/customers/nobody/dossier{query}")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("query", ["?lang=fr", "?format=pdf"])
async def test_an_unknown_language_or_format_is_refused(
    client: httpx.AsyncClient, query: str
) -> None:
    assert (await client.get(f"/customers/c1/dossier{query}")).status_code == 422


async def test_every_read_leaves_a_trace(client: httpx.AsyncClient) -> None:
    await dossier(client)
    await page(client)
    await client.get("/customers/nobody/dossier")
    trail = (await client.get("/customers/c1/export")).json()["audit"]
    assert [row["action"] for row in trail].count("read_dossier") == 2
