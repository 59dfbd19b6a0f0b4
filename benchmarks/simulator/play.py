"""Plays histories into a running service by the wire contract, and reads the customers weekly.

Day by day: tickets opened that day, then the day's messages in batches, ticket events, outcomes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from benchmarks.simulator.story import AGENTS, START, WEEKS, History

_BATCH = 1_000
_START_SECONDS = 60
_SCORING_SECONDS = 3_600
_BRANDTOX = Path(sys.executable).with_name("brandtox")
_NOT_FOUND = 404
_TOO_MANY = 429

Json = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """What the service says of a customer at the end of a week (1 is the first)."""

    week: int
    index: float
    pain: float
    quadrant: str
    prepare_separation: bool
    signs: tuple[str, ...]

    @property
    def at(self) -> datetime:
        return START + timedelta(weeks=self.week)


Played = Sequence[tuple[History, Sequence[Reading]]]
"""Each history with its readings, in order."""


class Service:
    """The routes that the simulator needs; waits where it is told to."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=120)

    def call(self, method: str, path: str, body: Json | None = None, **query: str) -> Json | None:
        """The answer; None for 404."""
        while True:
            answer = self._client.request(method, path, json=body, params=query or None)
            if answer.status_code != _TOO_MANY:
                break
            time.sleep(float(answer.headers.get("Retry-After", 1)))
        if answer.status_code == _NOT_FOUND:
            return None
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        parsed: Json = answer.json() if answer.content else {}
        return parsed

    def put(self, path: str, body: Json) -> None:
        self.call("PUT", path, body)

    def post(self, path: str, body: Json) -> Json:
        answer = self.call("POST", path, body) or {}
        if answer.get("errors"):
            raise RuntimeError(f"POST {path}: {answer['errors'][:3]}")
        return answer


@contextmanager
def own_service() -> Iterator[str]:
    """`brandtox serve` on a free port with a database of its own; its log is shown if it stops."""
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w+b") as log:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        environment = os.environ | {
            "BRANDTOX_DATABASE_URL": f"sqlite:///{folder}/simulator.db",
            "BRANDTOX_REQUESTS_PER_MINUTE": "1000000",
        }
        command = [str(_BRANDTOX), "serve", "--port", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process, Path(folder, "log"))
            yield url
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + _START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            if httpx.get(url + "/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"brandtox serve did not come up: {log.read_text(errors='replace')[-2000:]}")


def play(service: Service, histories: Sequence[History]) -> int:
    """Sends all of it; returns how many messages were accepted."""
    for agent in AGENTS:
        service.put(f"/agents/{agent}", {"name": agent, "joined_at": "2024-01-01T09:00:00+00:00"})
    for history in histories:
        service.put(f"/customers/{history.customer_id}", history.profile)
    days = _by_day(histories)
    accepted = sum(_play_day(service, days[day]) for day in sorted(days))
    for history in histories:
        if history.ended_at:
            leaving = {"ended_at": history.ended_at, "end_reason": "cancelled"}
            service.put(f"/customers/{history.customer_id}", leaving)
    return accepted


@dataclass
class _Day:
    tickets: list[tuple[str, Json]]
    messages: list[Json]
    events: defaultdict[str, list[Json]]
    outcomes: list[tuple[str, Json]]


def _by_day(histories: Sequence[History]) -> dict[int, _Day]:
    days: defaultdict[int, _Day] = defaultdict(lambda: _Day([], [], defaultdict(list), []))
    for history in histories:
        for ticket, row in history.tickets.items():
            days[_day(row["opened_at"])].tickets.append((ticket, row))
        for row in history.messages:
            days[_day(row["sent_at"])].messages.append(row)
        for ticket, row in history.ticket_events:
            days[_day(row["at"])].events[ticket].append(row)
        for row in history.outcomes:
            days[_day(row["at"])].outcomes.append((history.customer_id, row))
    for day in days.values():
        day.messages.sort(key=lambda row: datetime.fromisoformat(row["sent_at"]))
    return days


def _day(stamp: str) -> int:
    return (datetime.fromisoformat(stamp) - START).days


def _play_day(service: Service, day: _Day) -> int:
    for ticket, row in day.tickets:
        service.put(f"/tickets/{ticket}", row)
    accepted = 0
    for i in range(0, len(day.messages), _BATCH):
        answer = service.post("/messages", {"messages": day.messages[i : i + _BATCH]})
        accepted += answer["accepted"]
    for ticket, events in day.events.items():
        service.post(f"/tickets/{ticket}/events", {"events": events})
    for customer_id, row in day.outcomes:
        service.post(f"/customers/{customer_id}/outcomes", row)
    return accepted


def wait_until_scored(service: Service, histories: Sequence[History]) -> None:
    """Returns when no customer has a message that is yet to be scored."""
    ends = time.monotonic() + _SCORING_SECONDS
    for history in histories:
        while (service.call("GET", f"/customers/{history.customer_id}") or {}).get("pending", 0):
            if time.monotonic() > ends:
                raise RuntimeError("messages are still unscored after an hour")
            time.sleep(0.5)


def read_weekly(service: Service, history: History) -> list[Reading]:
    """The customer as of the end of each week; weeks before anything is known are left out."""
    readings = []
    for week in range(1, WEEKS + 1):
        at = (START + timedelta(weeks=week)).isoformat()
        answer = service.call("GET", f"/customers/{history.customer_id}", as_of=at)
        if answer is not None:
            readings.append(_reading(week, answer))
    return readings


def _reading(week: int, answer: Json) -> Reading:
    return Reading(
        week=week,
        index=answer["index"]["value"],
        pain=answer["pain"]["value"],
        quadrant=answer["quadrant"],
        prepare_separation=answer["suggestion"]["prepare_separation"],
        signs=tuple(sign["sign"] for sign in answer["signs"] if sign["active"]),
    )
