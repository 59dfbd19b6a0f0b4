"""POST /classify: one text or up to 1,000 messages in, one verdict each out."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.requests import ClientDisconnect

from model import Verdict
from serving.access import allow
from serving.batcher import Batcher
from serving.errors import ApiError, Code, not_ready
from serving.messages import Item, answers, good_texts, parse_json, read_item
from serving.openapi import CLASSIFY_DOCUMENTATION
from serving.settings import Settings

_SMALL_BODY = 2**18
"""Bytes that are parsed in some milliseconds."""

router = APIRouter(tags=["classify"], dependencies=[Depends(allow("classify"))])


@router.post("/classify", **CLASSIFY_DOCUMENTATION)
async def classify(request: Request) -> dict[str, Any]:
    """Score messages for abuse, threat and accusatory tone.

    A message that cannot be scored is answered by an error in its place; the others are scored.
    """
    settings: Settings = request.app.state.settings
    batcher = batcher_of(request)
    with batcher.admitted():
        items = read_request(await read_json(request, settings.max_body_bytes), settings)
        verdicts = await unless_gone(request, batcher.score(good_texts(items)))
    model = verdicts[0].model if verdicts else batcher.classifier.version
    return {"model": model, "verdicts": answers(items, verdicts)}


def batcher_of(request: Request) -> Batcher:
    """The app's batcher.

    Raises:
        ApiError: 503, it does not run yet or any more.
    """
    batcher: Batcher | None = getattr(request.app.state, "batcher", None)
    if batcher is None:
        raise not_ready()
    return batcher


async def unless_gone(
    request: Request, scoring: Coroutine[Any, Any, list[Verdict]]
) -> list[Verdict]:
    """The verdicts; scoring is cancelled when the client does not wait for them any more.

    Raises:
        ApiError: the client went away; nobody reads the answer.
    """
    task = asyncio.create_task(scoring)
    gone = asyncio.create_task(_disconnection(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise _client_gone()
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def _disconnection(request: Request) -> None:
    """Returns when the client goes away; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _client_gone() -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, Code.CLIENT_GONE, "the client went away")


async def read_json(request: Request, most_bytes: int) -> Any:
    """The body as JSON.

    Raises:
        ApiError: 413 when larger than `most_bytes` (told as soon as that many have come), 400 when
            it is not JSON in UTF-8.
    """
    try:
        body = await _read_body(request, most_bytes)
        if len(body) <= _SMALL_BODY:
            return parse_json(body)
        return await asyncio.to_thread(parse_json, body)  # other requests must not wait for it
    except ClientDisconnect as error:
        raise _client_gone() from error
    except ValueError as error:
        message = f"the body is not JSON in UTF-8: {error}"
        raise ApiError(HTTPStatus.BAD_REQUEST, Code.INVALID_JSON, message) from error


async def _read_body(request: Request, most_bytes: int) -> bytearray:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise ApiError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                Code.BODY_TOO_LARGE,
                f"the body is larger than {most_bytes:,} bytes: send fewer messages at once",
            )
    return body


def read_request(body: Any, settings: Settings) -> list[Item]:
    """The items of a request.

    Raises:
        ApiError: 422 when it holds neither one text nor a list of messages, or too many.
    """
    if not isinstance(body, dict) or ("text" in body) == ("messages" in body):
        raise _unprocessable(
            Code.INVALID_REQUEST, 'send an object with either "text" or "messages"'
        )
    if "text" in body:
        item = read_item(body, settings.max_text_characters)
        if item.error:
            raise _unprocessable(Code(item.error["code"]), item.error["message"])
        return [item]
    messages = body["messages"]
    if not isinstance(messages, list):
        raise _unprocessable(Code.INVALID_REQUEST, '"messages" must be a list')
    if len(messages) > settings.max_messages:
        raise _unprocessable(
            Code.TOO_MANY_MESSAGES,
            f"{len(messages):,} messages, at most {settings.max_messages:,} in one request",
        )
    return [read_item(message, settings.max_text_characters) for message in messages]


def _unprocessable(code: Code, message: str) -> ApiError:
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, code, message)
