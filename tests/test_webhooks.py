"""Delivery of alerts: signed, tried again with growing waits, and never to the own network."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import httpx
import pytest

from serving import webhooks
from serving.services import webhook_of
from serving.settings import Settings
from serving.store.alerts import MOST_ATTEMPTS, list_alerts
from serving.store.database import Database
from serving.store.tables import alerts
from serving.times import wire_time
from serving.webhooks import SIGNATURE, Deliverer, WebhookError, public_address, signature
from tests.conftest import OpenClient
from tests.helpers import NOW, Clock, FakeScorer, Json, eventually
from tests.stores import Company, message, spoken

URL = "https://hooks.example.com/brandtox?team=1"
PUBLIC = "93.184.216.34"
Answer = Callable[[httpx.Request], httpx.Response]


def resolver(*addresses: str) -> webhooks.Resolve:
    return lambda _host, _port: list(addresses)


class Receiver:
    """Another company's server; remembers what it got."""

    def __init__(self, *answers: int | Exception) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if self._answers else 200
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, headers={"Location": "https://127.0.0.1/"})

    def bodies(self) -> list[Json]:
        return [json.loads(request.content) for request in self.requests]


@pytest.fixture
def company(store: Database) -> Company:
    """With three alerts about a grave threat."""
    company = Company(store)
    company.take(message("m", text="a grave"))
    company.work()
    return company


def deliverer(
    company: Company, receiver: Answer, url: str = URL, addresses: tuple[str, ...] = (PUBLIC,)
) -> Deliverer:
    return Deliverer(
        company.database,
        url,
        "s3cret",
        company.clock,
        resolver(*addresses),
        httpx.MockTransport(receiver),
    )


def waits(company: Company) -> list[float | None]:
    """Seconds until each alert that is not delivered is tried again."""
    return [
        row.next_attempt_at and row.next_attempt_at - company.clock.now
        for row in company.rows(alerts)
        if row.delivered_at is None
    ]


# --- what is sent ---


def test_each_alert_is_sent_once_in_order_and_as_the_api_tells_it(company: Company) -> None:
    receiver = Receiver()
    sender = deliverer(company, receiver)
    assert sender.turn()
    assert not sender.turn()
    with company.database.read() as connection:
        told = list_alerts(connection, 0, 100)
    assert receiver.bodies() == told
    assert {alert["kind"] for alert in told} == {"quadrant", "grave", "prepare_separation"}
    assert {alert["customer_id"] for alert in told} == {"c1"}
    assert [row.delivered_at for row in company.rows(alerts)] == [NOW] * 3


def test_no_alert_holds_a_text(company: Company) -> None:
    receiver = Receiver()
    deliverer(company, receiver).turn()
    assert len(receiver.requests) == 3
    assert all(b"a grave" not in request.content for request in receiver.requests)


def test_a_delivery_is_signed_over_its_time_and_body(company: Company) -> None:
    receiver = Receiver()
    deliverer(company, receiver).turn()
    request = receiver.requests[0]
    stamp, _, digest = request.headers[SIGNATURE].removeprefix("t=").partition(",v1=")
    assert stamp == str(int(NOW))
    signed = stamp.encode() + b"." + request.content
    assert digest == hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert request.headers["Content-Type"] == "application/json"


def test_a_signature_depends_on_all_that_it_covers() -> None:
    made = {signature(s, t, b) for s in ("a", "b") for t in (1, 2) for b in (b"", b"x")}
    assert len(made) == 8


def test_the_connection_goes_to_the_address_that_was_checked(company: Company) -> None:
    receiver = Receiver()
    deliverer(company, receiver).turn()
    request = receiver.requests[0]
    assert str(request.url) == f"https://{PUBLIC}/brandtox?team=1"
    assert request.headers["Host"] == "hooks.example.com"
    assert request.extensions["sni_hostname"] == "hooks.example.com"


def test_an_ipv6_address_and_a_port_are_kept(company: Company) -> None:
    receiver = Receiver()
    address = "2606:2800:220:1::1"
    deliverer(company, receiver, "https://hooks.example.com:8443/x", (address,)).turn()
    request = receiver.requests[0]
    assert str(request.url) == f"https://[{address}]:8443/x"
    assert request.headers["Host"] == "hooks.example.com:8443"


# --- what goes wrong ---


@pytest.mark.parametrize(
    "answer",
    [
        500,
        404,
        301,
        302,
        307,
        httpx.ConnectError("no"),
        httpx.ReadTimeout("slow"),
        UnicodeError("label too long"),
        KeyError("a defect"),
    ],
)
def test_what_did_not_arrive_is_tried_again_and_no_redirect_is_followed(
    company: Company, answer: int | Exception
) -> None:
    receiver = Receiver(answer, answer, answer)
    sender = deliverer(company, receiver)
    sender.turn()
    assert len(receiver.requests) == 3
    assert waits(company) == [30] * 3
    assert not sender.turn()
    company.clock.now += 30
    assert sender.turn()
    assert len(receiver.requests) == 6
    assert waits(company) == []


def test_the_waits_grow_to_six_hours_and_end(company: Company) -> None:
    receiver = Receiver(*[503] * 1000)
    sender = deliverer(company, receiver)
    found = []
    while sender.turn():
        wait = waits(company)[0]
        assert wait
        found.append(wait)
        company.clock.now += wait
    assert found[:4] == [30, 60, 120, 240]
    assert all(a <= b for a, b in pairwise(found))
    assert found[-1] == 6 * 3600
    assert len(found) == MOST_ATTEMPTS
    assert len(receiver.requests) == 3 * MOST_ATTEMPTS
    with company.database.read() as connection:
        assert len(list_alerts(connection, 0, 100)) == 3, "they stay in the list"


def test_an_alert_that_arrived_is_not_sent_again_because_another_did_not(company: Company) -> None:
    receiver = Receiver(200, 500, 200)
    sender = deliverer(company, receiver)
    sender.turn()
    company.clock.now += 30
    sender.turn()
    sent = [body["id"] for body in receiver.bodies()]
    assert sent == [1, 2, 3, 2]


def test_two_deliverers_send_each_alert_once(company: Company) -> None:
    held = threading.Event()
    receiver = Receiver()

    def slow(request: httpx.Request) -> httpx.Response:
        held.wait(60)
        return receiver(request)

    first = threading.Thread(target=deliverer(company, slow).turn)
    first.start()
    while not any(row.next_attempt_at for row in company.rows(alerts)):
        time.sleep(0.01)
    assert not deliverer(company, receiver).turn()
    held.set()
    first.join()
    assert len(receiver.requests) == 3


def test_what_a_deliverer_had_when_it_died_is_sent_after_its_lease(company: Company) -> None:
    def die(_: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deliverer(company, die).turn()
    receiver = Receiver()
    assert not deliverer(company, receiver).turn()
    company.clock.now += 60
    assert deliverer(company, receiver).turn()
    assert len(receiver.requests) == 3


def test_a_deliverer_outlives_an_error(
    company: Company, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(webhooks, "_IDLE_SECONDS", 0.0)
    sender = deliverer(company, Receiver())
    turns: list[int] = []

    def turn() -> bool:
        turns.append(1)
        if len(turns) > 1:
            sender.stop()
            return True
        raise KeyError("broken")

    monkeypatch.setattr(sender, "turn", turn)
    sender.run()
    assert len(turns) == 2
    assert "delivering alerts failed" in caplog.text


def test_what_is_older_than_three_days_is_in_the_list_only(company: Company) -> None:
    receiver = Receiver()
    company.clock.now += 3 * 86_400
    assert not deliverer(company, receiver).turn()
    company.clock.now -= 1
    assert deliverer(company, receiver).turn()
    assert len(receiver.requests) == 3


def test_without_an_alert_nobody_asks_to_write(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = deliverer(company, Receiver())
    sender.turn()
    monkeypatch.setattr(company.database, "begin", None)
    assert not sender.turn()


# --- where nothing is sent ---

INSIDE = [
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a00:1",
    "::ffff:93.184.216.34",
    "::93.184.216.34",
    "64:ff9b::a00:1",
    "64:ff9b::5db8:d822",
    "64:ff9b:1::5db8:d822",
    "2002:a00:1::1",
    "2002:5db8:d822::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "ff0e::1",
    "2001:db8::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_no_address_of_the_own_network_is_used(address: str) -> None:
    with pytest.raises(WebhookError, match="not a public address"):
        public_address(URL, resolver(address))


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:220:1::1"])
def test_public_addresses_are_used(address: str) -> None:
    assert public_address(URL, resolver(address)) == (address, "hooks.example.com", 443)


@pytest.mark.parametrize("addresses", [(PUBLIC, "10.0.0.1"), ("::1", PUBLIC), ()])
def test_one_address_inside_spoils_all_of_a_name(addresses: tuple[str, ...]) -> None:
    with pytest.raises(WebhookError, match="not a public address"):
        public_address(URL, resolver(*addresses))


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "hooks.example.com",
        "https:///path",
        "https://user@hooks.example.com/",
        "https://user:pass@hooks.example.com/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:port/",
        "https://[::1/",
        "",
    ],
)
def test_only_an_https_url_without_a_user_is_one(url: str) -> None:
    with pytest.raises(WebhookError):
        public_address(url, resolver(PUBLIC))


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/", "https://[::1]/", "https://localhost/", "https://2130706433/"],
)
def test_the_machine_itself_is_not_reached_by_any_name_of_it(url: str) -> None:
    with pytest.raises(WebhookError):
        public_address(url)


def test_a_name_that_cannot_be_found_is_tried_later(company: Company) -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    receiver = Receiver()
    transport = httpx.MockTransport(receiver)
    Deliverer(company.database, URL, "s", company.clock, unknown, transport).turn()
    assert receiver.requests == []
    assert waits(company) == [30] * 3


def test_a_name_that_turns_inward_gets_nothing(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver()
    deliverer(company, receiver, addresses=("10.0.0.1",)).turn()
    assert receiver.requests == []
    assert "WebhookError" in caplog.text
    assert "s3cret" not in caplog.text


# --- what a receiver may do to us ---


def test_no_word_of_an_error_is_in_the_log(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    deliverer(company, Receiver(ValueError("what the receiver said"))).turn()
    assert "ValueError" in caplog.text
    assert "what the receiver said" not in caplog.text


def test_the_body_of_an_answer_is_never_read(company: Company) -> None:
    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            raise AssertionError("it was read")
            yield b""

    deliverer(company, lambda _: httpx.Response(200, stream=Endless())).turn()
    assert waits(company) == []


def test_a_delivery_has_one_deadline_and_all_of_a_turn_end_within_the_lease(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert webhooks._BATCH * webhooks._DEADLINE_SECONDS < webhooks._LEASE_SECONDS
    monkeypatch.setattr(webhooks, "_DEADLINE_SECONDS", 0.05)
    receiver = Receiver()

    async def slow(request: httpx.Request) -> httpx.Response:
        for _ in range(600):  # never long without a sign of life
            await asyncio.sleep(0.01)
        return receiver(request)

    sender = deliverer(company, receiver)
    sender._transport = httpx.MockTransport(slow)
    sender.turn()
    assert waits(company) == [30] * 3
    assert receiver.requests == []


def test_a_host_that_is_not_in_ascii_is_asked_for_in_idna(company: Company) -> None:
    receiver = Receiver()
    deliverer(company, receiver, "https://bücher.example/x").turn()
    request = receiver.requests[0]
    assert request.headers["Host"] == "xn--bcher-kva.example"
    assert request.extensions["sni_hostname"] == "xn--bcher-kva.example"


# --- settings ---


@pytest.mark.parametrize(
    "settings",
    [
        {"webhook_url": URL},
        {"webhook_url": URL, "webhook_secret": ""},
        {"webhook_url": "http://hooks.example.com/", "webhook_secret": "x"},
    ],
)
def test_a_webhook_that_cannot_be_used_stops_the_start(settings: dict[str, Any]) -> None:
    with pytest.raises(WebhookError):
        webhook_of(Settings(**settings))


def test_without_a_url_there_is_no_webhook() -> None:
    assert webhook_of(Settings()) is None


async def test_the_service_delivers_while_it_runs(
    open_client: OpenClient,
    both_stores: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receiver = Receiver()
    client_of = httpx.AsyncClient

    def client(**options: Any) -> httpx.AsyncClient:
        ours = options.get("transport") or httpx.MockTransport(receiver)
        return client_of(**options | {"transport": ours})

    monkeypatch.setattr("serving.webhooks.httpx.AsyncClient", client)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (PUBLIC, 443))])
    monkeypatch.setattr(webhooks, "_IDLE_SECONDS", 0.01)
    settings = {"webhook_url": URL, "webhook_secret": "x"}
    async with open_client(FakeScorer(spoken), Clock(), **settings) as api:
        item = {"source": "s", "id": "1", "customer_id": "c", "direction": "in", "channel": "chat"}
        item |= {"sent_at": wire_time(NOW - 60), "text": "a grave"}
        await api.post("/messages", json=item)
        await eventually(lambda: receiver.requests)
        listed = (await api.get("/alerts")).json()["alerts"]
    assert receiver.bodies()[0] == listed[0]
