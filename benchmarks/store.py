"""The store at size: how long the reading routes and one customer's update take.

    python -m benchmarks.store [--messages 10000000] [--customers 100000]

Builds a SQLite store of its own in a temporary folder (about 1 kB a message), with synthetic scores and
a ticket for every tenth message, and writes docs/store.json and docs/store.md. Requests go through the
whole application, without a network. It does not measure the model, nor many clients at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from pydantic import SecretStr

from model import Verdict
from serving.app import create_app
from serving.index.settings import DAY
from serving.settings import Settings
from serving.store.database import Database
from serving.store.messages import Message, add_messages
from serving.store.queue import Waiting
from serving.store.states import States
from serving.worker import Worker

_DOCS = Path("docs")
_SPAN_DAYS = 365
_SHAPES = 200
"""Distinct customers' histories; every other customer has a copy of one of their states."""

_CHUNK = 20_000
_REQUESTS = 200
_LONG = (10, 1_000, 10_000, 100_000)
_TARGETS = {"customers": 50.0, "customer": 50.0, "portfolio": 1_000.0}
_VECTORS = [
    np.rint(np.random.default_rng(i).normal(0, 8, 256)).astype(np.int8).tobytes() for i in range(32)
]


class NoModel:
    """Stands in for the model: every score here is made up."""

    version = "synthetic"

    def score(self, texts: Sequence[str]) -> list[Verdict]:
        return [_verdict(0.01) for _ in texts]


def _verdict(abuse: float) -> Verdict:
    return Verdict(
        language="en",
        script="Latn",
        scores={"abuse": abuse, "threat": 0.01, "accusation": 0.05},
        labels=("abuse",) if abuse > 0.7 else (),
        threat_kind=dict.fromkeys(("physical", "private_data", "job", "reputation"), 0.0),
        sentiment={"negative": 0.4, "neutral": 0.4, "positive": 0.2},
        signs=dict.fromkeys(
            ("off_channel", "out_of_scope", "refund_demand", "escalation", "leaving", "distress"),
            0.02,
        ),
        needs_review=False,
        truncated=False,
        model="synthetic",
        vector=np.zeros(256, np.float32),
    )


_MESSAGE = (
    "INSERT INTO messages (seq, source, id, customer_id, direction, channel, sent_at, received_at,"
    " ticket_id, agent_id, text, text_hash, refuses, scored, attempts)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,0,1,0)"
)
_SCORED = (
    "INSERT INTO verdicts (seq, model, verdict, takes_back, off_channel, out_of_scope, thanks, asks,"
    " vector) VALUES (?,'synthetic',?,0,0,0,0,1,?)"
)


def build(path: Path, messages: int, customers: int, now: float) -> float:
    """Fill the store; seconds that it took."""
    began = time.perf_counter()
    file = sqlite3.connect(path)
    file.execute("PRAGMA synchronous=OFF")
    file.executemany(
        "INSERT INTO customers (id, created_at, plan, monthly_value) VALUES (?,?,'pro',?)",
        ((f"c{i}", now, 50.0 + i % 200) for i in range(customers)),
    )
    file.executemany(
        "INSERT INTO tickets"
        " (id, customer_id, opened_at, first_reply_at, resolved_at, minutes_of_work, updated_at,"
        " last_at) VALUES (?,?,?,?,?,?,?,?)",
        _tickets(messages // 10, customers, now),
    )
    verdicts = [json.dumps(_verdict(p).as_dict()) for p in (0.01, 0.02, 0.1, 0.9)]
    chance = random.Random(0)
    for start in range(0, messages, _CHUNK):
        rows = list(_messages(start, min(start + _CHUNK, messages), messages, customers, now))
        file.executemany(_MESSAGE, rows)
        file.executemany(
            _SCORED,
            (
                (row[0], verdicts[min(3, int(chance.expovariate(1)))], chance.choice(_VECTORS))
                for row in rows
                if row[4] == "in"
            ),
        )
        file.commit()
    file.close()
    return time.perf_counter() - began


def _tickets(count: int, customers: int, now: float) -> Iterator[tuple[Any, ...]]:
    for i in range(count):
        opened = now - _SPAN_DAYS * DAY * (1 - i / count)
        yield (
            f"t{i}",
            f"c{i % customers}",
            opened,
            opened + 1_800,
            opened + 7_200,
            12.0,
            opened + 7_200,
            opened + 7_200,
        )


def _messages(
    start: int, stop: int, total: int, customers: int, now: float
) -> Iterator[tuple[Any, ...]]:
    """Over a year, the customers in turn: each writes, and is answered an hour later."""
    for i in range(start, stop):
        incoming = (i // customers) % 2 == 0
        at = now - _SPAN_DAYS * DAY * (1 - i / total)
        yield (
            i + 1,
            "crm",
            f"m{i}",
            f"c{i % customers}",
            "in" if incoming else "out",
            "whatsapp",
            at,
            at,
            None,
            None if incoming else f"a{i % 50}",
            "a message of some forty characters or so",
            "0" * 64,
        )


def fold_some(path: Path, states: States, customers: int, now: float) -> None:
    """Fold `_SHAPES` customers in earnest, and give every other one a copy of one of their states."""
    file = sqlite3.connect(path)
    for i in range(_SHAPES):
        file.execute("UPDATE customers SET dirty_from = 0 WHERE id = ?", (f"c{i}",))
    file.commit()
    for i in range(_SHAPES):
        states.bring_up_to_date(f"c{i}", now)
    names = [row[1] for row in file.execute("PRAGMA table_info(states)")][1:]
    shapes = file.execute(f"SELECT {', '.join(names)} FROM states").fetchall()
    place = names.index("index_value")
    chance = random.Random(1)

    def copies() -> Iterator[tuple[Any, ...]]:
        for i in range(_SHAPES, customers):
            row = list(shapes[i % _SHAPES])
            row[place] = round(chance.random() * 60, 2)
            yield f"c{i}", *row

    marks = ", ".join("?" * (len(names) + 1))
    file.executemany(
        f"INSERT INTO states (customer_id, {', '.join(names)}) VALUES ({marks})", copies()
    )
    file.commit()
    file.execute("ANALYZE")
    file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.close()


async def time_requests(settings: Settings, customers: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each reading route: median, 95th percentile, and the first request."""
    app = create_app(settings, NoModel())
    chance = random.Random(2)
    paths: dict[str, Callable[[], str]] = {
        "customers": lambda: "/customers?sort=-index&limit=50",
        "customer": lambda: f"/customers/c{chance.randrange(customers)}",
        "portfolio": lambda: "/portfolio",
    }
    found = {}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost", timeout=300
        ) as client,
    ):
        for name, path in paths.items():
            spent = []
            for _ in range(20 if name == "portfolio" else _REQUESTS):
                began = time.perf_counter()
                (await client.get(path())).raise_for_status()
                spent.append(1_000 * (time.perf_counter() - began))
            found[name] = {
                "median": statistics.median(spent),
                "p95": statistics.quantiles(spent, n=20)[-1],
                "first": spent[0],
            }
    return found


def time_updates(database: Database, states: States, now: float) -> dict[int, float]:
    """Milliseconds to score, store and fold one more message of a customer with so many messages."""
    worker = Worker(database, states, NoModel(), lambda _: {}, clock=lambda: now)
    found = {}
    for count in _LONG:
        customer = f"long{count}"
        _send(database, worker, customer, count, now)
        worker.bring_up_to_date([customer])
        spent = []
        for i in range(20):
            _send(database, worker, customer, 1, now, count + i)
            began = time.perf_counter()
            worker.bring_up_to_date([customer])
            spent.append(1_000 * (time.perf_counter() - began))
        found[count] = statistics.median(spent)
    return found


def _send(
    database: Database, worker: Worker, customer: str, count: int, now: float, first: int = 0
) -> None:
    """Messages of one customer, a minute apart, the last ones a moment ago; stored and scored."""
    for start in range(first, first + count, 1_000):
        batch = [
            Message(
                source="crm",
                id=f"{customer}-{i}",
                customer_id=customer,
                direction="in",
                channel="whatsapp",
                sent_at=now - 60 * (200_000 - i),
                text="a message",
            )
            for i in range(start, min(start + 1_000, first + count))
        ]
        with database.begin() as connection:
            stored = add_messages(database, connection, batch, now)
        waiting = [Waiting(stored.unscored[message.key], message.text) for message in batch]
        worker.keep(waiting, NoModel().score([item.text for item in waiting]))


def report(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        "# The store at size",
        "",
        "Written by `python -m benchmarks.store`.",
        "",
        f"{found['messages']:,} messages of {found['customers']:,} customers in SQLite"
        f" ({found['gigabytes']:.1f} GB, built in {found['build_seconds']:.0f} s), synthetic scores.",
        "",
        "| request | median ms | p95 ms | first ms | target ms (p95) |",
        "|---|---|---|---|---|",
    ]
    for name, path in (
        ("customers", "`GET /customers?sort=-index&limit=50`"),
        ("customer", "`GET /customers/{id}`"),
        ("portfolio", "`GET /portfolio`"),
    ):
        row = found["requests"][name]
        lines.append(
            f"| {path} | {row['median']:.0f} | {row['p95']:.0f} | {row['first']:.0f}"
            f" | {_TARGETS[name]:.0f} |"
        )
    lines += [
        "",
        "Bringing one customer up to date after one more message, by how many there were before:",
        "",
        "| messages before | ms | ratio |",
        "|---|---|---|",
    ]
    updates = found["updates"]
    least = updates[str(_LONG[0])]
    lines += [
        f"| {int(count):,} | {spent:.1f} | {spent / least:.2f} |"
        for count, spent in updates.items()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--customers", type=int, default=100_000)
    arguments = parser.parse_args()
    now = time.time()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        settings = Settings(
            database_url=SecretStr(f"sqlite:///{path}"), requests_per_minute=1_000_000
        )
        database = Database(f"sqlite:///{path}")
        database.migrate()
        states = States(database, settings)
        states.check_settings()
        seconds = build(path, arguments.messages, arguments.customers, now)
        fold_some(path, states, arguments.customers, now)
        updates = time_updates(database, states, now)
        requests = asyncio.run(time_requests(settings, arguments.customers))
        found = {
            "messages": arguments.messages,
            "customers": arguments.customers,
            "build_seconds": seconds,
            "gigabytes": path.stat().st_size / 1e9,
            "requests": requests,
            "updates": {str(count): spent for count, spent in updates.items()},
        }
        database.close()
    (_DOCS / "store.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (_DOCS / "store.md").write_text(report(found), encoding="utf-8")
    print(report(found))


if __name__ == "__main__":
    main()
