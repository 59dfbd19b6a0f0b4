"""A service that is killed again and again loses nothing that it accepted, and counts nothing twice."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from sqlalchemy import func, select

from serving.index.settings import DAY
from serving.store.database import Database
from serving.store.tables import customers, messages, ticket_events, verdicts
from serving.times import wire_time
from tests.helpers import NOW, Json
from tests.stores import Company, spoken

_PATIENCE = 60.0
_WORDS = ["a calm", "a insult", "b threat", "b blame", "c grave", "c thanks", "a push", "ok"]

Batch = tuple[str, Json]
"""A path and a body."""


class Traffic:
    """Invents what a company sends, and remembers what was acknowledged."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._made = 0
        self.sent: dict[str, Json] = {}
        self.acknowledged: set[str] = set()
        self.events: set[tuple[str, str]] = set()
        self.open: list[Batch] = []
        self.unanswered = 0

    def next(self) -> Batch:
        """Something that was not acknowledged, or something new, with some of the old again."""
        if self.open:
            return self.open[0]
        batch = self._ticket_events() if self._random.random() < 0.2 else self._messages()
        self.open.append(batch)
        return batch

    def _messages(self) -> Batch:
        items = [self._message() for _ in range(self._random.randint(1, 12))]
        old = self._random.sample(
            sorted(self.sent), min(len(self.sent), self._random.randint(0, 3))
        )
        items += [self.sent[identity] for identity in old]
        self.sent |= {item["id"]: item for item in items}
        wait = self._random.choice(["", "?wait=true"])
        return f"/messages{wait}", {"messages": items}

    def _message(self) -> Json:
        self._made += 1
        outgoing = self._random.random() < 0.25
        return {
            "source": "wa",
            "id": f"m{self._made}",
            "customer_id": f"c{self._random.randint(1, 4)}",
            "direction": "out" if outgoing else "in",
            "channel": "whatsapp",
            "sent_at": wire_time(NOW - self._random.randint(0, 60) * DAY / 4),
            "text": self._random.choice(_WORDS),
            "ticket_id": self._random.choice([None, None, "t1", "t2"]),
        }

    def _ticket_events(self) -> Batch:
        self._made += 1
        kind = self._random.choice(["opened", "handed_over", "resolved", "reopened"])
        at = wire_time(NOW - self._random.randint(0, 60) * DAY / 4)
        ticket = self._random.choice(["t1", "t2", "t3"])
        return f"/tickets/{ticket}/events", {"events": [{"id": self._made, "type": kind, "at": at}]}

    def answered(self, batch: Batch, answer: Json) -> None:
        path, body = batch
        self.open.remove(batch)
        assert answer["errors"] == []
        self.acknowledged |= {item["id"] for item in body.get("messages", [])}
        self.events |= {(path.split("/")[2], str(e["id"])) for e in body.get("events", [])}


class Services:
    """Starts one service after the other over the same store."""

    def __init__(self, url: str) -> None:
        self._port = free_port()
        command = [sys.executable, "-m", "tests.killed", url, str(self._port), str(time.time())]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )
        self.number = 0

    def start(self) -> httpx.Client:
        """A client of a new service."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("start\n")
        self.number = int(self._process.stdout.readline())
        return httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=_PATIENCE)

    def kill(self) -> None:
        """SIGKILL; returns when the service is gone."""
        with suppress(ProcessLookupError):
            os.kill(self.number, signal.SIGKILL)
            while True:
                os.kill(self.number, 0)
                time.sleep(0.001)

    def end(self) -> None:
        if self.number:
            self.kill()
        with self._process:
            self._process.kill()


@contextmanager
def services(url: str) -> Iterator[Services]:
    running = Services(url)
    try:
        yield running
    finally:
        running.end()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_until_ready(client: httpx.Client) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        with suppress(httpx.TransportError):
            if client.get("/readyz").status_code == 200:
                return
        time.sleep(0.005)
    raise AssertionError("the service never became ready")


def send(client: httpx.Client, traffic: Traffic) -> None:
    """Send the next batch and take its answer."""
    path, body = batch = traffic.next()
    response = client.post(path, json=body)
    assert response.status_code in (200, 202), response.text
    traffic.answered(batch, response.json())


def send_until_killed(running: Services, traffic: Traffic, seconds: float) -> None:
    with running.start() as client:
        killer = threading.Timer(seconds, running.kill)
        try:
            if seconds > 0.01:  # the others die while they start
                wait_until_ready(client)
            killer.start()
            while True:
                send(client, traffic)
        except httpx.TransportError:
            traffic.unanswered += 1
        finally:
            killer.join()


def is_done(database: Database) -> bool:
    with database.read() as connection:
        waiting = connection.scalar(
            select(func.count()).select_from(messages).where(~messages.c.scored)
        )
        dirty = select(func.count()).where(customers.c.dirty_from.is_not(None))
        return not waiting and not connection.scalar(dirty)


def survive(url: str, kills: int, seed: int) -> Traffic:
    """Kill services so often, then look at what is in the store."""
    chosen = random.Random(seed)
    traffic = Traffic(seed)
    with services(url) as running:
        for kill in range(kills):
            seconds = 0.005 if kill % 10 == 3 else chosen.uniform(0.02, 0.25)
            send_until_killed(running, traffic, seconds)
        with running.start() as client:
            wait_until_ready(client)
            while traffic.open:
                send(client, traffic)
            database = Database(url)
            end = time.monotonic() + _PATIENCE
            while not is_done(database):
                assert time.monotonic() < end, "some messages are never scored"
                time.sleep(0.02)
    look_into(database, traffic)
    database.close()
    return traffic


def look_into(database: Database, traffic: Traffic) -> None:
    company = Company(database)
    stored = company.rows(messages)
    assert [row.id for row in stored if row.direction == "in"]
    assert sorted(row.id for row in stored) == sorted(traffic.sent)
    assert traffic.acknowledged == set(traffic.sent)
    assert {(e.ticket_id, e.id) for e in company.rows(ticket_events)} == traffic.events
    by_number = {row.seq: row for row in stored}
    scored = company.rows(verdicts)
    assert {v.seq for v in scored} == {row.seq for row in stored if row.direction == "in"}
    for found in scored:
        assert json.loads(found.verdict) == spoken(by_number[found.seq].text).as_dict()
    for row in company.rows(customers):
        assert company.is_consistent(row.id), row.id


def test_a_service_that_is_killed_five_times_loses_nothing(empty_url: str) -> None:
    traffic = survive(empty_url, 5, seed=5)
    assert len(traffic.acknowledged) > 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_a_service_that_is_killed_fifty_times_loses_nothing(empty_url: str, seed: int) -> None:
    traffic = survive(empty_url, 50, seed)
    assert traffic.unanswered == 50
    assert len(traffic.acknowledged) > 100
