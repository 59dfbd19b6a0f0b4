"""What Prometheus reads from GET /metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse
from sqlalchemy.exc import OperationalError

from model import Verdict
from serving import metrics
from serving.store.database import Database
from tests.conftest import OpenClient
from tests.helpers import NOW, Clock, FakeScorer, HeldScorer, Json

Figures = Callable[..., float]
"""The value of a sample by its name and labels; 0 where there is none."""


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is asked at every scrape."""
    monkeypatch.setattr(metrics, "_STORE_SECONDS", 0)


async def scrape(client: httpx.AsyncClient) -> Figures:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(answer.text)
        for sample in family.samples
    }
    return lambda name, **labels: found.get((f"brandtox_{name}", frozenset(labels.items())), 0.0)


async def once(client: httpx.AsyncClient, holds: Callable[[Figures], bool]) -> Figures:
    """The figures when they are as they should become."""
    async with asyncio.timeout(60):
        while not holds(figures := await scrape(client)):
            await asyncio.sleep(0.01)
        return figures


def message(number: int, text: str = "hello") -> Json:
    return {
        "source": "chat",
        "id": f"m{number}",
        "customer_id": f"c{number}",
        "direction": "in",
        "channel": "chat",
        "sent_at": "2026-07-01T12:00:00Z",
        "text": text,
    }


# --- requests ---


async def test_requests_are_counted_by_route_template_method_and_status(
    open_client: OpenClient,
) -> None:
    async with open_client(FakeScorer()) as client:
        for number in range(3):
            await client.post("/classify", json={"text": "a"})
            await client.put(f"/customers/secret-{number}", json={})
        await client.get("/customers/secret-9")
        await client.get("/classify")
        figures = await scrape(client)
        again = await scrape(client)
    requests = "http_requests_total"
    assert figures(requests, route="/classify", method="POST", status="200") == 3
    assert figures(requests, route="/customers/{customer_id}", method="PUT", status="200") == 3
    assert figures(requests, route="/customers/{customer_id}", method="GET", status="404") == 1
    assert figures(requests, route="/classify", method="GET", status="405") == 1
    assert figures("http_request_seconds_count", route="/classify", method="POST") == 3
    assert figures("http_request_seconds_sum", route="/classify", method="POST") > 0
    assert again(requests, route="/metrics", method="GET", status="200") == 1


async def test_what_a_caller_invents_makes_no_new_series(open_client: OpenClient) -> None:
    async def invent(client: httpx.AsyncClient, name: str) -> None:
        assert (await client.request(name, f"/{name}")).status_code == 404
        assert (await client.get(f"/customers/{name}?{name}")).status_code == 404
        assert (await client.get("/alerts", headers={"Host": f"{name}.x"})).status_code == 403

    async with open_client(FakeScorer()) as client:
        await invent(client, "SECRET")
        await scrape(client)
        before = (await client.get("/metrics")).text
        for number in range(20):
            await invent(client, f"SECRET{number}")
        after = (await client.get("/metrics")).text
        figures = await scrape(client)
    assert len(after.splitlines()) == len(before.splitlines())
    assert "secret" not in after.lower()
    unknown = {"route": "other", "method": "other", "status": "404"}
    assert figures("http_requests_total", **unknown) == 21
    refused = {"route": "other", "method": "GET", "status": "403"}
    assert figures("http_requests_total", **refused) == 21


async def test_error_answers_are_counted_by_their_code(open_client: OpenClient) -> None:
    def fail(_: str) -> Verdict:
        raise RuntimeError("broken")

    async with open_client(FakeScorer(fail)) as client:
        for body in (b"{", b"[", b"{}"):
            await client.post("/classify", content=body)
        await client.get("/customers/nobody")
        assert (await client.post("/classify", json={"text": "a"})).status_code == 500
        figures = await scrape(client)
    assert figures("http_errors_total", code="invalid_json") == 2
    assert figures("http_errors_total", code="invalid_request") == 1
    assert figures("http_errors_total", code="not_found") == 1
    assert figures("http_errors_total", code="internal_error") == 1
    failed = {"route": "/classify", "method": "POST", "status": "500"}
    assert figures("http_requests_total", **failed) == 1
    assert figures("model_failures_total") == 1
    assert figures("messages_scored_total") == 0


async def test_each_application_counts_for_itself(open_client: OpenClient) -> None:
    async with open_client(FakeScorer()) as one, open_client(FakeScorer()) as other:
        await one.post("/classify", json={"text": "a"})
        assert (await scrape(one))("messages_scored_total") == 1
        assert (await scrape(other))("messages_scored_total") == 0


# --- the model ---


async def test_what_the_model_reads_is_counted(open_client: OpenClient) -> None:
    async with open_client(FakeScorer()) as client:
        texts = ["one", "two", "three"]
        await client.post("/classify", json={"messages": [{"text": text} for text in texts]})
        await client.post("/messages?wait=true", json={"messages": [message(1, "four")]})
        figures = await scrape(client)
    assert figures("messages_scored_total") == 4
    assert figures("characters_scored_total") == len("onetwothreefour")
    assert figures("model_batch_messages_count") == figures("model_seconds_count") == 2
    assert figures("model_batch_messages_bucket", le="1.0") == 1
    assert figures("model_batch_messages_bucket", le="4.0") == 2
    assert figures("queue_seconds_count") == 4
    assert figures("model_info", version="fake") == 1


async def test_a_text_that_waits_for_the_model_is_seen_to_wait(open_client: OpenClient) -> None:
    model = HeldScorer()
    async with open_client(model) as client:
        first = asyncio.create_task(client.post("/classify", json={"text": "a"}))
        await model.is_called()
        second = asyncio.create_task(client.post("/classify", json={"text": "b"}))
        await asyncio.sleep(0.3)
        model.release()
        await asyncio.gather(first, second)
        figures = await scrape(client)
    assert figures("queue_seconds_count") == 2
    assert figures("queue_seconds_sum") > 0.1
    assert figures("model_seconds_sum") > 0.1


# --- the store ---


@pytest.mark.usefixtures("both_stores")
async def test_how_far_the_store_is_behind(open_client: OpenClient) -> None:
    model, clock = HeldScorer(), Clock()
    async with open_client(model, clock) as client:
        assert (await scrape(client))("figures_oldest_seconds") == 0
        await client.post("/messages", json={"messages": [message(1), message(2)]})
        clock.now += 60
        figures = await scrape(client)
        assert figures("messages_waiting") == 2
        assert figures("messages_waiting_oldest_seconds") == 60
        assert figures("customers_waiting") == 2
        model.release()
        figures = await once(client, lambda figures: not figures("customers_waiting"))
        assert figures("messages_waiting") == figures("messages_waiting_oldest_seconds") == 0
        clock.now += 600
        assert (await scrape(client))("figures_oldest_seconds") == 600


async def test_the_store_is_asked_once_in_a_few_seconds(
    open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_STORE_SECONDS", 3_600)
    model = HeldScorer()
    async with open_client(model) as client:
        assert (await scrape(client))("messages_waiting") == 0
        await client.post("/messages", json={"messages": [message(1)]})
        assert (await scrape(client))("messages_waiting") == 0
        model.release()


async def test_without_the_database_the_other_figures_are_still_told(
    open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def gone(_: Database) -> Iterator[None]:
        raise OperationalError("SELECT", {}, Exception("gone"))
        yield

    async with open_client(FakeScorer()) as client:
        await client.post("/classify", json={"text": "a"})
        with monkeypatch.context() as patched:
            patched.setattr(Database, "read", gone)
            lines = (await client.get("/metrics")).text
        assert "brandtox_messages_scored_total 1.0" in lines
        assert "brandtox_messages_waiting" not in lines
        assert "brandtox_messages_waiting 0.0" in (await client.get("/metrics")).text


async def test_figures_of_the_process_are_told(open_client: OpenClient) -> None:
    async with open_client(FakeScorer(), lambda: NOW) as client:
        lines = (await client.get("/metrics")).text
    assert "process_resident_memory_bytes" in lines
    assert "_created" not in lines
