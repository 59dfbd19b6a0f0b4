"""What belongs to a customer, on both databases: all of it goes out, all of it goes away."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import String, Text, select

from serving.index.alerts import Alert
from serving.store import audit
from serving.store.alerts import add_alerts
from serving.store.database import Database
from serving.store.feedback import Correction, keep
from serving.store.feeds import add_decision
from serving.store.privacy import delete_customer, export_customer
from serving.store.tables import metadata, states
from tests.helpers import NOW, Json
from tests.stores import HOUR, Company, days_ago, message, reply

DERIVED = {"states", "checkpoints", "verdicts"}
"""What follows from the rest, or is exported with its message."""


@pytest.fixture
def company(store: Database) -> Company:
    """With two customers who have rows in every table that can hold any of theirs."""
    company = Company(store)
    for name in ("cust-1", "cust-2"):
        company.put_customer(name, name=f"name of {name}", plan="pro")
        company.take(
            *[
                message(f"{name}-{n}", days_ago(9) + n, "a insult", customer_id=name)
                for n in range(140)
            ],
            reply(f"{name}-out", NOW - HOUR, customer_id=name, ticket_id=f"{name}-t"),
        )
        company.ticket_event(f"{name}-t", "e", "opened", days_ago(3))
        company.put_ticket(f"{name}-u", customer_id=name, opened_at=days_ago(2))
        company.rate(4, days_ago(1), name)
        company.outcome("renewal", days_ago(1), name)
        with store.begin() as connection:
            decision = {"step": "warning", "decided_by": "Mona", "reason": "insults", "at": NOW}
            add_decision(connection, name, decision, NOW)
            audit.record(connection, NOW, None, "decision", name, {"step": "warning"})
            word: Json = {"labels": {"abuse": True}, "reviewer": "Mona", "source": "wa"}
            keep(connection, Correction(id=f"{name}-0", **word), "{}", NOW)
            keep(connection, Correction(text=f"said by {name}", group=name, **word), "{}", NOW)
    company.work()
    return company


def rows_about(company: Company, customer: str) -> dict[str, int]:
    """In how many rows of each table the customer's name stands."""
    found = {}
    for table in metadata.tables.values():
        columns = [column for column in table.c if isinstance(column.type, (String, Text))]
        rows = company.rows(select(*columns)) if columns else []
        found[table.name] = sum(any(customer in str(cell) for cell in row) for row in rows)
    return found


def test_every_table_that_can_hold_a_customers_rows_does(company: Company) -> None:
    holders = {name for name, table in metadata.tables.items() if "customer_id" in table.c}
    present = {name for name, number in rows_about(company, "cust-1").items() if number}
    assert holders <= present
    assert company.count(metadata.tables["verdicts"]) == 280


def test_a_deleted_customer_leaves_nothing_but_the_audit(company: Company) -> None:
    before = rows_about(company, "cust-2")
    with company.database.begin() as connection:
        assert delete_customer(connection, "cust-1")
        audit.record(connection, NOW, None, "delete", "cust-1")
    left = {name: number for name, number in rows_about(company, "cust-1").items() if number}
    assert left == {"audit": 4}
    assert rows_about(company, "cust-2") == before
    assert company.count(metadata.tables["verdicts"]) == 140
    assert company.is_consistent("cust-2")


def test_a_number_is_never_another_customers(company: Company) -> None:
    with company.database.begin() as connection:
        delete_customer(connection, "cust-2")
    tables = [metadata.tables[name] for name in ("messages", "alerts")]
    before = [max(row.seq for row in company.rows(table)) for table in tables]
    with company.database.begin() as connection:
        delete_customer(connection, "cust-1")
    company.take(message("m", text="a grave", customer_id="cust-3"))
    company.work()
    for table, last in zip(tables, before, strict=True):
        assert min(row.seq for row in company.rows(table)) > last


def test_a_customer_is_deleted_once(company: Company) -> None:
    with company.database.begin() as connection:
        assert delete_customer(connection, "cust-1")
        assert not delete_customer(connection, "cust-1")
        assert not delete_customer(connection, "nobody")


def test_a_deleted_customer_may_come_back_as_a_stranger(company: Company) -> None:
    with company.database.begin() as connection:
        delete_customer(connection, "cust-1")
    company.take(message("cust-1-0", NOW - 9, "another text", customer_id="cust-1"))
    company.work()
    assert company.kept("cust-1").events == 1


def test_an_export_has_every_row_of_every_table(company: Company) -> None:
    with company.database.read() as connection:
        found = export_customer(connection, "cust-1")
    assert found is not None
    holders = {name for name, table in metadata.tables.items() if "customer_id" in table.c}
    assert set(found) == (holders - DERIVED) | {"customer", "ticket_events"}
    for name in set(found) - {"customer", "messages", "ticket_events"}:
        table = metadata.tables[name]
        stored = company.rows(select(table).where(table.c.customer_id == "cust-1"))
        assert found[name] == [dict(row._mapping) for row in stored], name
        assert found[name], name
    assert found["customer"]["name"] == "name of cust-1"
    assert [event["id"] for event in found["ticket_events"]] == ["e"]
    sent = found["messages"]
    assert len(sent) == 141
    assert [m["text"] for m in sent[:2]] == ["a insult"] * 2
    assert sent[0]["verdict"]["labels"] == ["abuse"]
    assert sent[-1]["verdict"] is None
    assert "cust-2" not in json.dumps(found)


def test_nobody_has_no_export(company: Company) -> None:
    with company.database.read() as connection:
        assert export_customer(connection, "nobody") is None


def test_an_export_is_json_whatever_is_stored(store: Database) -> None:
    company = Company(store)
    company.put_customer("cust-1", name="\u200fليلى", monthly_value=1e300, started_at=-6e10)
    reading: Any = company.states.bring_up_to_date("cust-1", NOW)
    with store.begin() as connection:
        if reading:
            add_alerts(connection, "cust-1", NOW, reading, [Alert("sign", {"sign": "volume"})])
        json.dumps(export_customer(connection, "cust-1"), allow_nan=False)
    assert company.count(states) == 1
