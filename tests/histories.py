"""Histories played in over HTTP: a stand-in for the model, messages by day, four kinds of customer."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import httpx
import numpy as np

from model import Verdict
from serving.index.settings import DAY
from serving.times import wire_time
from tests.helpers import LOUD, NOW, Json, verdict

HOUR = 3_600.0
GRAVE, LEAVING, OFF_CHANNEL, NEGATIVE = "GLON"
"""One of these capitals anywhere in a text makes the stand-in see it."""


def judge(text: str) -> Verdict:
    """Labels by the loud letters, and what the capitals stand for; about the matter of the first letter."""
    plain = verdict()
    labels = tuple(name for name, letter in LOUD.items() if letter in text)
    negative = 0.9 if NEGATIVE in text else 0.1
    signs = {"leaving": LEAVING in text, "off_channel": OFF_CHANNEL in text}
    vector = np.zeros(256, np.float32)
    vector[ord(text[0]) % 256] = 1.0
    return replace(
        plain,
        scores=dict.fromkeys(plain.scores, 0.01) | dict.fromkeys(labels, 0.95),
        labels=labels,
        threat_kind=plain.threat_kind | {"physical": 0.9 if GRAVE in text else 0.0},
        sentiment={"negative": negative, "neutral": 0.9 - negative, "positive": 0.1},
        signs=plain.signs | {name: 0.9 * found for name, found in signs.items()},
        vector=vector,
    )


def ago(days: float) -> str:
    return wire_time(NOW - days * DAY)


_numbers = itertools.count()


def said(customer: str, days: float, text: str = "hello there", **fields: Any) -> Json:
    """A message of the customer so many days ago."""
    return {
        "source": "crm",
        "id": f"m{next(_numbers)}",
        "customer_id": customer,
        "direction": "in",
        "channel": "whatsapp",
        "sent_at": ago(days),
        "text": text,
    } | fields


def answered(customer: str, days: float, agent: str = "mona", **fields: Any) -> Json:
    """A message to the customer by a person."""
    return said(customer, days, "we see to it", direction="out", agent_id=agent) | fields


def calm(customer: str, last: float = 1.0) -> list[Json]:
    """Four fair messages, each answered within the hour; the last one `last` days ago."""
    days = [last + 7 * week for week in range(4)]
    return [m for day in days for m in (said(customer, day), answered(customer, day - 0.03))]


def draining(customer: str, last: float = 1.0) -> list[Json]:
    """Ten insults on ten days, each answered within the hour."""
    days = [last + day for day in range(10)]
    return [
        m
        for day in days
        for m in (said(customer, day, "you z fool"), answered(customer, day - 0.03))
    ]


def hurt(customer: str, last: float = 3.0) -> list[Json]:
    """Four fair messages on four days that nobody answered."""
    return [said(customer, last + day, "where is it N") for day in range(4)]


async def send(client: httpx.AsyncClient, *batches: list[Json]) -> None:
    """Store and score messages."""
    answer = await client.post(
        "/messages?wait=true", json={"messages": [*itertools.chain(*batches)]}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["errors"] == []


async def tell(client: httpx.AsyncClient, method: str, path: str, **body: Any) -> None:
    """Send one of the other feeds."""
    answer = await client.request(method, path, json=body)
    assert answer.is_success, answer.text


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Json:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


async def refused(client: httpx.AsyncClient, path: str, status: int = 422, **query: Any) -> str:
    """The code of the one error that a request gets."""
    answer = await client.get(path, params=query)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    code: str = answer.json()["error"]["code"]
    return code
