"""POST /feedback as a support lead uses it: what is corrected, what the index then believes, undo."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from serving.corrections import correct, read_labels, settled
from serving.store.database import Database
from serving.store.feedback import Correction, FeedbackError, forget_texts, keep, undo
from serving.store.tables import audit, feedback, messages
from tests.conftest import OpenClient
from tests.helpers import NOW, Clock, FakeScorer, Json
from tests.histories import draining, get, judge, said, send
from tests.stores import Company, days_ago, message

pytestmark = pytest.mark.usefixtures("both_stores")


async def give(client: httpx.AsyncClient, status: int = 201, **body: Any) -> Json:
    answer = await client.post("/feedback", json={"reviewer": "Mona"} | body)
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


async def code_of(client: httpx.AsyncClient, status: int, **body: Any) -> str:
    found = await give(client, status, **body)
    assert set(found) == {"error"}
    assert len(found["error"]["message"]) > 20
    code: str = found["error"]["code"]
    return code


async def index_of(client: httpx.AsyncClient, customer: str) -> float:
    value: float = (await get(client, f"/customers/{customer}"))["index"]["value"]
    return value


async def test_a_correction_answers_with_what_the_model_said(api: httpx.AsyncClient) -> None:
    await send(api, [said("c1", 1, "you z fool", id="m1")])
    labels = {"abuse": False, "accusation": True, "threat": None, "sentiment": "neutral"}
    found = await give(api, source="crm", id="m1", labels=labels, reason="a joke among friends")
    assert found["state"] == "new"
    assert found["labels"] == {"abuse": False, "accusation": True, "sentiment": "neutral"}
    assert found["changed"] == ["abuse", "accusation"]
    assert found["verdict"]["labels"] == ["abuse"]
    assert found["verdict"]["id"] == "m1"
    assert found["verdict"]["model"] == "fake"
    assert found["in_index"]


async def test_a_text_is_judged_where_no_message_is_stored(api: httpx.AsyncClient) -> None:
    found = await give(api, text="you z fool", labels={"abuse": False})
    assert (found["changed"], found["in_index"]) == (["abuse"], False)
    found = await give(api, source="old", id="m9", text="hello", labels={"abuse": False})
    assert (found["changed"], found["in_index"]) == ([], False)


async def test_what_is_wrong_is_told(api: httpx.AsyncClient) -> None:
    await send(api, [said("c1", 1, "hello", id="m1")])
    await send(api, [said("c1", 1, "hello", id="m2", direction="out")])
    yes = {"abuse": True}
    wrong: list[tuple[int, str, Json]] = [
        (422, "invalid_request", {"text": "x", "labels": {}}),
        (422, "invalid_request", {"text": "x", "labels": {"abuse": None}}),
        (422, "invalid_request", {"text": "x", "labels": {"rude": True}}),
        (422, "invalid_request", {"text": "x", "labels": {"abuse": 1}}),
        (422, "invalid_request", {"text": "x", "labels": {"sentiment": "bad"}}),
        (422, "invalid_request", {"text": "x", "labels": {"threat_kind": "physical"}}),
        (
            422,
            "invalid_request",
            {"text": "x", "labels": {"threat": False, "threat_kind": ["job"]}},
        ),
        (422, "invalid_request", {"text": "x", "labels": yes, "reviewer": ""}),
        (422, "invalid_request", {"text": "x", "labels": yes, "reviewer": "  "}),
        (422, "invalid_request", {"id": "m1", "labels": yes}),
        (422, "invalid_request", {"source": "crm", "id": "m2", "labels": yes}),
        (422, "text_missing", {"labels": yes}),
        (422, "text_missing", {"text": "", "labels": yes}),
        (422, "text_missing", {"text": " \n", "labels": yes}),
        (422, "text_too_long", {"text": "x" * 100_001, "labels": yes}),
        (404, "not_found", {"source": "crm", "id": "m3", "labels": yes}),
        (409, "conflict", {"source": "crm", "id": "m1", "text": "another", "labels": yes}),
    ]
    for status, code, body in wrong:
        assert await code_of(api, status, **body) == code, body
    assert (await api.get("/feedback")).text == ""


async def test_a_reviewer_has_one_word_on_a_message(
    api: httpx.AsyncClient, store: Database
) -> None:
    await send(api, [said("c1", 1, "hello", id="m1")])
    where: Json = {"source": "crm", "id": "m1"}
    first = await give(api, **where, labels={"abuse": True})
    again = await give(api, **where, labels={"abuse": True})
    assert (again["id"], again["state"]) == (first["id"], "duplicate")
    blanks = await give(api, **where, labels={"abuse": True}, reviewer=" Mona\t")
    assert (blanks["id"], blanks["state"]) == (first["id"], "duplicate")
    second = await give(api, **where, labels={"threat": True})
    assert (second["state"], second["replaced"]) == ("replaced", first["id"])
    other = await give(api, **where, labels={"abuse": True}, reviewer="Omar")
    assert other["state"] == "new"
    with store.read() as connection:
        rows = connection.execute(select(feedback).order_by(feedback.c.seq)).all()
    assert [(row.reviewer, row.ended) for row in rows] == [
        ("Mona", "replaced"),
        ("Mona", None),
        ("Omar", None),
    ]


async def test_undo_is_once_and_stays_on_record(api: httpx.AsyncClient, store: Database) -> None:
    found = await give(api, text="hello", labels={"abuse": True})
    assert (await api.delete(f"/feedback/{found['id']}")).status_code == 204
    again = await api.delete(f"/feedback/{found['id']}")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
    assert (await api.delete("/feedback/999")).status_code == 404
    assert (await api.get("/feedback")).text == ""
    with store.read() as connection:
        (row,) = connection.execute(select(feedback)).all()
        actions = list(connection.scalars(select(audit.c.action).order_by(audit.c.seq)))
    assert row.ended == "undone"
    assert actions == ["feedback", "undo_feedback", "export_feedback"]


async def test_the_index_believes_a_person_until_it_is_undone(api: httpx.AsyncClient) -> None:
    history = draining("c1")
    await send(api, history)
    before = await index_of(api, "c1")
    incoming = [m for m in history if m["direction"] == "in"]
    given = [await give(api, source="crm", id=m["id"], labels={"abuse": False}) for m in incoming]
    shown = (await get(api, "/customers/c1/messages"))["messages"]
    shown = [m for m in shown if m["direction"] == "in"]
    assert all(m["verdict"]["labels"] == ["abuse"] for m in shown)
    assert all(m["corrected"] == {"abuse": False} for m in shown)
    events = (await get(api, "/customers/c1/timeline"))["events"]
    assert {str(e["labels"]) for e in events if e.get("direction") == "in"} == {"[]"}
    calm = await index_of(api, "c1")
    assert calm < before / 3
    for one in given:
        await api.delete(f"/feedback/{one['id']}")
    assert await index_of(api, "c1") == before


async def test_a_missed_threat_that_a_person_sees_moves_the_index(api: httpx.AsyncClient) -> None:
    await send(api, [said("c1", 1, "I know when you close", id="m1")])
    before = await index_of(api, "c1")
    await give(api, source="crm", id="m1", labels={"threat_kind": ["physical"]})
    assert await index_of(api, "c1") > before + 20
    await give(api, source="crm", id="m1", labels={"threat": False}, reviewer="Omar")
    assert await index_of(api, "c1") == before  # two readers are even: the model decides


async def test_without_texts_the_sender_is_asked_for_it(
    open_client: OpenClient, store: Database, caplog: pytest.LogCaptureFixture
) -> None:
    text = "you z fool, said in confidence"
    async with open_client(FakeScorer(judge), clock=Clock(), store_text=False) as client:
        await send(client, [said("c1", 1, text, id="m1")])
        where: Json = {"source": "crm", "id": "m1", "labels": {"abuse": False}}
        with caplog.at_level(logging.DEBUG):
            assert await code_of(client, 422, **where) == "text_missing"
            await give(client, **where, text=text)
        exported = (await client.get("/feedback")).text
    assert text in exported
    assert text not in caplog.text
    with store.read() as connection:
        assert connection.scalar(select(messages.c.text)) is None


async def test_feedback_is_deleted_and_exported_with_the_customer(api: httpx.AsyncClient) -> None:
    await send(api, [said("c1", 1, "hello", id="m1")])
    await give(api, source="crm", id="m1", labels={"abuse": True})
    await give(api, text="hello again", labels={"abuse": True}, customer_id="c1")
    await give(api, text="of nobody", labels={"abuse": True})
    await give(api, text="of one who comes later", labels={"abuse": True}, customer_id="c2")
    await give(api, source="crm", id="m2", text="of a later message", labels={"abuse": True})
    await send(api, [said("c2", 1, "of a later message", id="m2")])
    assert len((await get(api, "/customers/c2/export"))["feedback"]) == 2
    await api.delete("/customers/c2")
    assert len((await get(api, "/customers/c1/export"))["feedback"]) == 2
    await api.delete("/customers/c1")
    assert (await api.get("/feedback")).text.count("\n") == 1


# --- below HTTP ---


def corrected(company: Company, identity: str, at: float | None = None, **labels: Any) -> int:
    with company.database.begin() as connection:
        word = Correction(labels, "Mona", "wa", identity, at=at)
        return keep(connection, word, None, company.clock()).id


def test_a_correction_and_its_undo_equal_a_recomputation(company: Company) -> None:
    company.take(*[message(f"m{n}", days_ago(9 - n), "a insult") for n in range(5)])
    company.work()
    model = company.kept()
    word = corrected(company, "m1", abuse=False, off_channel=True)
    assert company.dirty_from() == days_ago(8)
    company.work()
    assert company.is_consistent()
    assert company.kept() != model
    with company.database.begin() as connection:
        assert undo(connection, word, company.clock())
    company.work()
    assert company.is_consistent()
    assert company.kept() == model


def test_a_forgotten_message_takes_its_feedback_along(store: Database) -> None:
    company = Company(store, retention_days=30)
    company.take(message("old", days_ago(40)), message("new", days_ago(1)))
    company.worker.score_waiting()
    corrected(company, "old", abuse=True)
    corrected(company, "new", abuse=True)
    with store.begin() as connection:
        for days in (40, 1):
            word = Correction({"abuse": True}, "Mona", text=f"{days}", at=days_ago(days))
            keep(connection, word, None, NOW)
    company.work()
    assert [(row.id, row.text) for row in company.rows(feedback)] == [("new", None), (None, "1")]
    with store.begin() as connection:
        assert forget_texts(connection, NOW) == 1


def test_an_earlier_word_does_not_replace_a_later_one(company: Company) -> None:
    company.take(message("m"))
    later = corrected(company, "m", NOW - 5, abuse=True)
    with company.database.begin() as connection:
        word = Correction({"abuse": False}, "Mona", "wa", "m", at=NOW - 9)
        kept = keep(connection, word, None, NOW)
    assert (kept.id, kept.state) == (later, "older")


def test_a_word_about_nothing_is_refused(company: Company) -> None:
    with pytest.raises(FeedbackError), company.database.begin() as connection:
        keep(connection, Correction({"abuse": True}, "Mona"), None, NOW)


# --- labels ---


def test_readers_settle_each_label_by_most_voices() -> None:
    yes, no = {"abuse": True}, {"abuse": False}
    assert settled([yes]) == yes
    assert settled([yes, no]) == {}
    assert settled([yes, no, no]) == no
    assert settled([yes, {"threat": True}]) == {"abuse": True, "threat": True}
    kinds = {"threat": True, "threat_kind": ["job"]}
    assert settled([kinds, {"threat": False}]) == {}


def test_a_corrected_verdict_is_sure_and_the_original_stays() -> None:
    verdict = judge("you q fool G").as_dict()
    before = str(verdict)
    found = correct(verdict, read_labels({"threat": False, "leaving": True}))
    assert found["labels"] == []
    assert found["scores"]["threat"] == 0
    assert set(found["threat_kind"].values()) == {0.0}
    assert found["signs"]["leaving"] == 1
    assert found["scores"]["abuse"] == verdict["scores"]["abuse"]
    assert str(verdict) == before
