"""The HTTP API: every route, every error in the one shape, and what a slow or failing model does."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from model import Classifier, Verdict
from serving.app import create_app
from serving.documents import DOCUMENTS
from serving.messages import parse_json
from serving.settings import Settings
from tests.conftest import OpenClient
from tests.helpers import FakeScorer, HeldScorer, Json, verdict

_PATIENCE = 120
"""Seconds after which an answer counts as lost; it takes milliseconds."""
DOCS = Path(__file__).parent.parent / "docs"


def error_of(response: httpx.Response, status: int) -> Json:
    """The error of an answer, which must be of that status and of the one shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["error"]
    assert set(body["error"]) == {"code", "message", "details"}
    assert body["error"]["message"]
    error: Json = body["error"]
    return error


async def post(client: httpx.AsyncClient, body: Any) -> httpx.Response:
    async with asyncio.timeout(_PATIENCE):
        return await client.post("/classify", content=json.dumps(body))


async def verdicts_of(client: httpx.AsyncClient, messages: Iterable[Any]) -> list[Json]:
    response = await post(client, {"messages": list(messages)})
    assert response.status_code == 200, response.text
    found: list[Json] = response.json()["verdicts"]
    return found


async def settled() -> None:
    """Returns when the requests that were sent wait for the model."""
    for _ in range(200):
        await asyncio.sleep(0)


# --- verdicts ---


async def test_one_text(client: httpx.AsyncClient) -> None:
    response = await post(client, {"text": "where is my order, z"})
    assert response.status_code == 200
    body = response.json()
    assert body["model"] == "tiny-1"
    (answer,) = body["verdicts"]
    assert answer["id"] is None
    assert answer["labels"] == ["abuse"]
    assert answer["language"] == "en"
    assert answer["model"] == "tiny-1"


async def test_the_verdict_is_the_classifiers(
    client: httpx.AsyncClient, classifier: Classifier
) -> None:
    text = "الطلب متاخر"
    (answer,) = await verdicts_of(client, [{"id": "a", "text": text}])
    assert answer == {"id": "a"} | classifier.score([text])[0].as_dict()


@pytest.mark.parametrize("identity", ["m-1", "", 17, 0, -3, 2**70, None, "١", "a\ufffd"])
async def test_ids_come_back(client: httpx.AsyncClient, identity: str | int | None) -> None:
    (answer,) = await verdicts_of(client, [{"id": identity, "text": "hello"}])
    assert answer["id"] == identity
    assert type(answer["id"]) is type(identity)


async def test_a_single_text_may_have_an_id(client: httpx.AsyncClient) -> None:
    response = await post(client, {"id": 5, "text": "hello"})
    assert response.json()["verdicts"][0]["id"] == 5


async def test_a_message_without_an_id_gets_null(client: httpx.AsyncClient) -> None:
    assert (await verdicts_of(client, [{"text": "hello"}]))[0]["id"] is None


async def test_no_messages_no_verdicts(client: httpx.AsyncClient) -> None:
    assert await verdicts_of(client, []) == []


async def test_1000_messages_in_order(client: httpx.AsyncClient) -> None:
    messages = [{"id": i, "text": f"order {i} {'z' if i % 3 == 0 else ''}"} for i in range(1000)]
    answers = await verdicts_of(client, messages)
    assert [a["id"] for a in answers] == list(range(1000))
    assert [a["labels"] for a in answers] == [["abuse"] if i % 3 == 0 else [] for i in range(1000)]


async def test_repeated_texts_are_scored_once(
    client: httpx.AsyncClient, rows_read: list[int]
) -> None:
    answers = await verdicts_of(client, [{"text": t} for t in ("z", "a", "z", "z")])
    assert [a["labels"] for a in answers] == [["abuse"], [], ["abuse"], ["abuse"]]
    assert rows_read == [2]


@pytest.mark.parametrize(
    "text", ["", " \n", "😂", "\x00\x1f", "\ud800", "漢", "a" * 100_000, "\u202e\u200b"]
)
async def test_any_text_gets_a_verdict(client: httpx.AsyncClient, text: str) -> None:
    response = await post(client, {"text": text})
    assert response.status_code == 200
    assert set(response.json()["verdicts"][0]["scores"]) == {"abuse", "threat", "accusation"}


async def test_surrogates_do_not_reach_the_model(open_client: OpenClient) -> None:
    model = FakeScorer()
    async with open_client(model) as client:
        await post(client, {"text": "a\ud800"})
    assert model.calls == [["a\ufffd"]]


_LARGE = 2**18
"""Bytes above which a body is parsed beside the event loop."""


async def test_large_bodies_are_parsed_beside_the_event_loop(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_the_loop: list[bool] = []

    def parse(raw: bytearray) -> Any:
        on_the_loop.append(threading.current_thread() is threading.main_thread())
        return parse_json(raw)

    monkeypatch.setattr("serving.classify.parse_json", parse)
    for size in (_LARGE, _LARGE + 1):
        response = await client.post("/classify", content=b'{"text": "z"}'.ljust(size))
        assert response.json()["verdicts"][0]["labels"] == ["abuse"]
    assert on_the_loop == [True, False]


async def test_a_large_request_has_its_verdicts_in_order(client: httpx.AsyncClient) -> None:
    texts = ["z" + "a" * 60_000, "b" * 60_000, "a" * 100_001, *["c" * 60_000] * 3, "z"]
    answers = await verdicts_of(client, [{"id": i, "text": t} for i, t in enumerate(texts)])
    assert [a["id"] for a in answers] == list(range(7))
    assert answers.pop(2)["error"]["code"] == "text_too_long"
    assert [a["labels"] for a in answers] == [["abuse"], [], [], [], [], ["abuse"]]


# --- bad items, in their place ---


@pytest.mark.parametrize(
    ("item", "identity", "code"),
    [
        ({"id": "x"}, "x", "text_missing"),
        ({"id": "x", "text": None}, "x", "text_missing"),
        ({"id": 7, "text": 7}, 7, "text_not_string"),
        ({"text": ["hello"]}, None, "text_not_string"),
        ({"id": "x", "text": "a" * 100_001}, "x", "text_too_long"),
        ({"id": 1.5, "text": "hello"}, None, "invalid_request"),
        ({"id": True, "text": "hello"}, None, "invalid_request"),
        ({"id": {}, "text": "hello"}, None, "invalid_request"),
        ("hello", None, "invalid_request"),
        (None, None, "invalid_request"),
        ([], None, "invalid_request"),
    ],
)
async def test_a_bad_item_is_an_error_in_its_place(
    client: httpx.AsyncClient, item: Any, identity: str | int | None, code: str
) -> None:
    good, bad, loud = await verdicts_of(
        client, [{"id": 1, "text": "a"}, item, {"id": 3, "text": "z"}]
    )
    assert (good["id"], good["labels"]) == (1, [])
    assert (loud["id"], loud["labels"]) == (3, ["abuse"])
    assert set(bad) == {"id", "error"}
    assert bad["id"] == identity
    assert bad["error"]["code"] == code
    assert bad["error"]["message"]


async def test_only_bad_items_are_still_answered_one_by_one(client: httpx.AsyncClient) -> None:
    answers = await verdicts_of(client, [{"id": 1}, {"id": 2, "text": 3}])
    assert [a["error"]["code"] for a in answers] == ["text_missing", "text_not_string"]


async def test_a_surrogate_in_an_id_is_replaced(client: httpx.AsyncClient) -> None:
    body = '{"messages": [{"id": "a\\ud800", "text": "hello"}]}'
    response = await client.post("/classify", content=body)
    assert response.json()["verdicts"][0]["id"] == "a\ufffd"


# --- errors of a whole request ---


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"hello",
        b'{"text": "a"} b',
        b'{"text": "\xff"}',
        pytest.param(b'{"text": "'.ljust(300_000), id="large and cut"),
        b'{"text": NaN}',
        b'{"text": "a", "x": -Infinity}',
        b"[" * 100_000,
        pytest.param(b"[" * 300_000, id="large and nested"),
        '{"text": "a"}'.encode("utf-16"),
        b'{"id": ' + b"9" * 5000 + b', "text": "a"}',
    ],
)
async def test_400_what_is_not_json(client: httpx.AsyncClient, body: bytes) -> None:
    error = error_of(await client.post("/classify", content=body), 400)
    assert error["code"] == "invalid_json"


async def test_a_byte_order_mark_is_no_error(client: httpx.AsyncClient) -> None:
    response = await client.post("/classify", content=b'\xef\xbb\xbf{"text": "z"}')
    assert response.json()["verdicts"][0]["labels"] == ["abuse"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_request"),
        ({"txt": "a"}, "invalid_request"),
        ([], "invalid_request"),
        ("hello", "invalid_request"),
        (None, "invalid_request"),
        (3, "invalid_request"),
        ({"text": "a", "messages": []}, "invalid_request"),
        ({"messages": {"text": "a"}}, "invalid_request"),
        ({"messages": None}, "invalid_request"),
        ({"text": None}, "text_missing"),
        ({"text": 3}, "text_not_string"),
        ({"text": "a" * 100_001}, "text_too_long"),
        ({"id": [], "text": "a"}, "invalid_request"),
        ({"messages": [{"text": "a"}] * 1001}, "too_many_messages"),
    ],
)
async def test_422_what_is_no_request(client: httpx.AsyncClient, body: Any, code: str) -> None:
    assert error_of(await post(client, body), 422)["code"] == code


async def test_limits_are_settings_and_told(
    open_client: OpenClient, classifier: Classifier
) -> None:
    async with open_client(classifier, max_messages=2, max_text_characters=3) as client:
        error = error_of(await post(client, {"messages": [{"text": "a"}] * 3}), 422)
        assert error["message"] == "3 messages, at most 2 in one request"
        error = error_of(await post(client, {"text": "abcd"}), 422)
        assert error["message"] == "the text has 4 characters, at most 3 are read"
        assert (await post(client, {"messages": [{"text": "abc"}] * 2})).status_code == 200


async def _chunks(total: int, sent: list[int]) -> AsyncIterator[bytes]:
    for _ in range(total // 100):
        sent.append(100)
        yield b" " * 100


async def test_413_with_a_length(open_client: OpenClient, classifier: Classifier) -> None:
    async with open_client(classifier, max_body_bytes=1000) as client:
        fits = b'{"text": "a"}'.ljust(1000)
        assert (await client.post("/classify", content=fits)).status_code == 200
        error = error_of(await client.post("/classify", content=fits + b" "), 413)
        assert error["code"] == "body_too_large"
        assert "1,000 bytes" in error["message"]


async def test_413_in_chunks_as_soon_as_too_much_has_come(
    open_client: OpenClient, classifier: Classifier
) -> None:
    async with open_client(classifier, max_body_bytes=1000) as client:
        sent: list[int] = []
        response = await client.post("/classify", content=_chunks(100_000, sent))
        assert error_of(response, 413)["code"] == "body_too_large"
        assert "content-length" not in response.request.headers
        assert sum(sent) <= 1200


async def test_404(client: httpx.AsyncClient) -> None:
    assert error_of(await client.get("/nowhere"), 404)["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/classify", "POST"), ("POST", "/healthz", "GET"), ("DELETE", "/readyz", "GET")],
)
async def test_405_names_what_is_allowed(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await client.request(method, path)
    assert error_of(response, 405)["code"] == "method_not_allowed"
    assert response.headers["allow"] == allowed


# --- a busy model ---


async def test_429_too_many_requests(open_client: OpenClient) -> None:
    model = HeldScorer()
    async with open_client(model, max_concurrent_requests=2) as client:
        first = asyncio.create_task(post(client, {"text": "first"}))
        second = asyncio.create_task(post(client, {"text": "second"}))
        await model.is_called()
        response = await post(client, {"text": "third"})
        assert error_of(response, 429)["code"] == "overloaded"
        assert int(response.headers["retry-after"]) >= 1
        model.release()
        assert [(await task).status_code for task in (first, second)] == [200, 200]
        assert (await post(client, {"text": "third"})).status_code == 200


async def test_429_before_the_body_is_read() -> None:
    app = create_app(Settings(max_concurrent_requests=1), FakeScorer())
    sends = asyncio.Event()

    async def slowly() -> Json:
        await sends.wait()
        return _body("slow")

    async with app.router.lifespan_context(app):
        slow = asyncio.create_task(call_app(app, slowly, _stays))
        await settled()
        refused = await call_app(app)  # has nothing to read
        assert refused[0]["status"] == 429
        sends.set()
        assert (await slow)[0]["status"] == 200
        assert (await call_app(app, _body("next"), _stays))[0]["status"] == 200


async def test_429_too_much_waiting_text(open_client: OpenClient) -> None:
    model = HeldScorer()
    async with open_client(model, max_waiting_characters=10) as client:
        first = asyncio.create_task(post(client, {"text": "a" * 6}))
        await model.is_called()
        response = await post(client, {"messages": [{"text": "a" * 3}, {"text": "b" * 2}]})
        assert error_of(response, 429)["code"] == "overloaded"
        assert int(response.headers["retry-after"]) >= 1
        fits = asyncio.create_task(post(client, {"text": "a" * 4}))
        model.release()
        assert [(await task).status_code for task in (first, fits)] == [200, 200]


async def test_a_large_request_is_let_in_when_nothing_waits(open_client: OpenClient) -> None:
    async with open_client(FakeScorer(), max_waiting_characters=10) as client:
        for _ in range(2):
            assert (await post(client, {"text": "a" * 100})).status_code == 200


async def test_a_request_that_fails_leaves_its_place(open_client: OpenClient) -> None:
    limits = {"max_concurrent_requests": 2, "max_waiting_characters": 10}
    async with open_client(FakeScorer(_fails), **limits) as client:
        for _ in range(3):
            error_of(await post(client, {"text": "boom"}), 500)
        both = await asyncio.gather(*(post(client, {"text": "12345"}) for _ in range(2)))
        assert [response.status_code for response in both] == [200, 200]


async def test_the_event_loop_answers_while_the_model_works(open_client: OpenClient) -> None:
    model = HeldScorer()
    async with open_client(model) as client:
        scoring = asyncio.create_task(post(client, {"text": "slow"}))
        await model.is_called()
        assert (await client.get("/healthz")).status_code == 200
        assert error_of(await post(client, {}), 422)["code"] == "invalid_request"
        assert not scoring.done()
        model.release()
        assert (await scoring).status_code == 200


async def test_requests_that_wait_share_a_batch(open_client: OpenClient) -> None:
    model = HeldScorer()
    async with open_client(model) as client:
        first = asyncio.create_task(post(client, {"text": "first"}))
        await model.is_called()
        others = [asyncio.create_task(post(client, {"text": "a" * i})) for i in range(1, 6)]
        await settled()
        model.release()
        answers = [(await task).json()["verdicts"][0] for task in (first, *others)]
    assert model.calls == [["first"], ["a", "aa", "aaa", "aaaa", "aaaaa"]]
    assert [a["scores"]["abuse"] for a in answers] == [0.05, 0.01, 0.02, 0.03, 0.04, 0.05]


async def test_a_large_request_is_scored_in_rounds(open_client: OpenClient) -> None:
    model = FakeScorer()
    async with open_client(model) as client:
        answers = await verdicts_of(client, [{"text": "a" * 3_500}] * 12)
    assert len(answers) == 12
    assert [len(call) for call in model.calls] == [6, 6]


async def test_large_texts_do_not_hold_up_short_ones(open_client: OpenClient) -> None:
    model = HeldScorer()
    async with open_client(model) as client:
        large = [asyncio.create_task(post(client, {"text": "a" * 50_000})) for _ in range(8)]
        await model.is_called()
        await settled()
        short = [asyncio.create_task(post(client, {"text": f"short {i}"})) for i in range(3)]
        await settled()
        model.release()
        for task in (*large, *short):
            assert (await task).status_code == 200
    sizes = [[len(text) for text in call] for call in model.calls]
    assert sizes == [[50_000], [7, 7, 7], *[[50_000]] * 7]


async def test_a_short_request_is_not_held_up_by_a_large_one(open_client: OpenClient) -> None:
    model = HeldScorer()
    async with open_client(model) as client:
        large = asyncio.create_task(post(client, {"messages": [{"text": "a" * 5_000}] * 20}))
        await model.is_called()
        short = asyncio.create_task(post(client, {"text": "short"}))
        await settled()
        model.release()
        assert (await short).status_code == (await large).status_code == 200
    assert "short" in model.calls[1]
    assert sum(map(len, model.calls)) == 21


# --- a failing model ---


def _fails(text: str) -> Verdict:
    if text == "boom":
        raise RuntimeError("the model broke")
    return verdict(text)


async def test_500_when_the_model_fails_and_the_next_request_is_answered(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_client(FakeScorer(_fails)) as client:
        error = error_of(await post(client, {"messages": [{"text": "boom"}] * 50}), 500)
        assert error["code"] == "internal_error"
        assert "broke" not in error["message"]
        assert (await verdicts_of(client, [{"text": "abc"}]))[0]["scores"]["abuse"] == 0.03
        gc.collect()  # an error that nobody fetched would be logged by now, fifty times
    records = [(r.name, r.levelno) for r in caplog.records if r.levelno >= logging.ERROR]
    assert records == [("serving.errors", logging.ERROR)]
    assert "the model broke" in caplog.text


async def test_500_when_the_model_gives_too_few_verdicts(open_client: OpenClient) -> None:
    class Forgetful(FakeScorer):
        forgets = True

        def score(self, texts: list[str]) -> list[Verdict]:  # type: ignore[override]
            verdicts = super().score(texts)
            return verdicts[:-1] if self.forgets else verdicts

    model = Forgetful()
    async with open_client(model) as client:
        messages = {"messages": [{"text": "a"}, {"text": "b"}]}
        assert error_of(await post(client, messages), 500)["code"] == "internal_error"
        model.forgets = False
        assert (await post(client, messages)).status_code == 200


# --- a client that goes away ---


async def call_app(app: FastAPI, *events: Json | Callable[[], Awaitable[Json]]) -> list[Json]:
    """What the app sends to a client that does just this, or what comes of it, on POST /classify."""
    left = iter(events)
    sent: list[Json] = []

    async def receive() -> Json:
        event = next(left)
        return event if isinstance(event, dict) else await event()

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/classify",
        "raw_path": b"/classify",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "scheme": "http",
        "server": ("test", 80),
        "client": ("test", 1),
        "root_path": "",
    }
    await asyncio.wait_for(app(scope, receive, send), _PATIENCE)
    return sent


def _body(text: str, more: bool = False) -> Json:
    return {"type": "http.request", "body": json.dumps({"text": text}).encode(), "more_body": more}


_GONE: Json = {"type": "http.disconnect"}


async def _stays() -> Json:
    never: asyncio.Future[Json] = asyncio.Future()
    return await never


async def test_a_client_that_goes_away_frees_its_place_and_is_not_scored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = HeldScorer()
    app = create_app(Settings(max_concurrent_requests=2), model)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        first = asyncio.create_task(post(client, {"text": "first"}))
        await model.is_called()
        await call_app(app, _body("gone"), _GONE)  # returns although the model is held
        second = asyncio.create_task(post(client, {"text": "second"}))
        await settled()
        model.release()
        assert [(await task).status_code for task in (first, second)] == [200, 200]
    assert model.calls == [["first"], ["second"]]
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_the_large_texts_of_a_client_that_goes_away_are_not_scored() -> None:
    model = HeldScorer()
    app = create_app(Settings(), model)
    transport = httpx.ASGITransport(app)
    body = json.dumps({"messages": [{"text": letter * 50_000} for letter in "abc"]}).encode()

    async def leaves() -> Json:
        await model.is_called()
        return _GONE

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        await call_app(app, {"type": "http.request", "body": body, "more_body": False}, leaves)
        others = [asyncio.create_task(post(client, {"text": t})) for t in ("d" * 50_000, "short")]
        await settled()
        model.release()
        assert [(await task).status_code for task in others] == [200, 200]
    assert model.calls == [["a" * 50_000], ["short"], ["d" * 50_000]]


async def test_a_client_that_goes_away_within_its_body_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = FakeScorer()
    app = create_app(Settings(), model)
    async with app.router.lifespan_context(app):
        await call_app(app, _body("half", more=True), _GONE)
    assert model.calls == []
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


# --- health, readiness, documents ---


async def test_healthz_and_readyz(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).json() == {"status": "ready", "model": "tiny-1"}


@pytest.mark.parametrize(("method", "path"), [("GET", "/readyz"), ("POST", "/classify")])
async def test_503_before_the_model_is_ready(method: str, path: str) -> None:
    transport = httpx.ASGITransport(create_app(Settings(), FakeScorer()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        response = await client.request(method, path, json={"text": "a"})
        assert error_of(response, 503)["code"] == "not_ready"
        assert int(response.headers["retry-after"]) >= 1
        assert (await client.get("/healthz")).status_code == 200


async def test_not_ready_again_after_the_end(open_client: OpenClient) -> None:
    async with open_client(FakeScorer()) as client:
        assert (await client.get("/readyz")).status_code == 200
    async with httpx.AsyncClient(transport=client._transport, base_url="http://localhost") as late:
        assert (await late.get("/readyz")).status_code == 503


@pytest.fixture
async def document(client: httpx.AsyncClient) -> Json:
    found: Json = (await client.get("/openapi.json")).json()
    return found


async def test_the_committed_openapi_file_is_up_to_date(document: Json) -> None:
    committed = (DOCS / "openapi.json").read_text(encoding="utf-8")
    assert DOCUMENTS["openapi.json"]() == committed, "run `make docs`"
    assert json.loads(committed) == document


async def test_the_openapi_document_is_valid(document: Json) -> None:
    validate(document)


async def test_every_route_is_described(document: Json) -> None:
    assert {"/classify", "/messages", "/customers", "/healthz"} <= set(document["paths"])
    for path in document["paths"].values():
        assert all(operation["description"] for operation in path.values())


def schema_of(document: Json, name: str) -> Draft202012Validator:
    schemas = {"components": document["components"]}
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}"} | schemas)


async def test_answers_are_as_documented(client: httpx.AsyncClient, document: Json) -> None:
    messages = [{"id": "a", "text": "مرحبا z"}, {"id": 2}, {"text": "please call me"}]
    answer = await post(client, {"messages": messages})
    schema_of(document, "ClassifyAnswer").validate(answer.json())
    good = document["components"]["schemas"]["VerdictAnswer"]["required"]
    assert sorted(answer.json()["verdicts"][0]) == sorted(good)
    schema_of(document, "ErrorAnswer").validate((await post(client, {})).json())


async def test_every_error_of_classify_is_documented(document: Json) -> None:
    documented = document["paths"]["/classify"]["post"]["responses"]
    assert sorted(documented) == ["200", "400", "401", "403", "413", "422", "429", "500", "503"]


async def test_the_examples_are_in_both_languages_and_work(
    client: httpx.AsyncClient, document: Json
) -> None:
    body = document["paths"]["/classify"]["post"]["requestBody"]["content"]["application/json"]
    validator = Draft202012Validator(body["schema"])
    languages: set[str] = set()
    for example in body["examples"].values():
        validator.validate(example["value"])
        response = await post(client, example["value"])
        assert response.status_code == 200
        languages |= {answer["language"] for answer in response.json()["verdicts"]}
    assert {"ar", "en", "arabizi"} <= languages


async def test_the_page_of_the_api_is_served(client: httpx.AsyncClient) -> None:
    response = await client.get("/docs")
    assert response.status_code == 200
    assert "text/html" in response.headers["content-type"]
