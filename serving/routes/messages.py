"""POST /messages: what is checked, stored once each, and scored while the sender waits."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import Field, ValidationError

from serving.access import allow
from serving.classify import read_json, unless_gone
from serving.errors import ApiError, Code, error_body
from serving.openapi import body_documentation
from serving.routes.bodies import (
    Body,
    Id,
    Name,
    Time,
    clean,
    explain,
    item_error,
    unprocessable,
)
from serving.services import Services, services_of
from serving.settings import Settings
from serving.store.messages import OUT, Accepted, Message, add_messages, find_verdicts
from serving.store.queue import Waiting, hold
from serving.times import TimeError, read_time

log = logging.getLogger(__name__)

_CLAIM_SECONDS = 60.0
"""How long a request that waits keeps its messages from the scorer."""

router = APIRouter(tags=["intake"], dependencies=[Depends(allow("write"))])


class MessageBody(Body):
    """One message of POST /messages; its text and time are read apart, for their own errors."""

    source: str = Name
    id: str = Name
    customer_id: Id
    direction: Literal["in", "out"]
    channel: str = Field(min_length=1, max_length=40)
    ticket_id: Id | None = None
    agent_id: Id | None = None


class WholeMessageBody(MessageBody):
    """One message of POST /messages."""

    sent_at: Time
    text: str


class ItemError(Exception):
    """What is wrong with one item; `id` is the item's, if it has one that can be shown."""

    def __init__(self, code: Code, message: str, id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.id = id


_Item = Message | ItemError


@router.post(
    "/messages", status_code=HTTPStatus.ACCEPTED, **body_documentation(WholeMessageBody, "messages")
)
async def post_messages(request: Request, wait: bool = False) -> JSONResponse:
    """Store messages, once each; they are scored from the store.

    2xx means that they are on disk. With `wait=true` the answer brings the verdicts of the incoming
    ones (202 instead of 200 when the model is too busy: they are scored later).
    """
    services = services_of(request)
    with services.batcher.admitted():
        items = await _read_messages(request, services)
        batch = [item for item in items if isinstance(item, Message)]
        now = services.clock()
        claim = now + _CLAIM_SECONDS if wait else None
        accepted = await asyncio.to_thread(_store, services, batch, now, claim)
        items = _with_conflicts(items, accepted)
        answer: dict[str, Any] = {
            "accepted": len(accepted.new),
            "duplicates": len(accepted.duplicates),
            "errors": _errors(items),
        }
        if not wait:
            services.worker.wake()
            return JSONResponse(answer, HTTPStatus.ACCEPTED)
        if not await _score_now(request, services, accepted):
            return JSONResponse(answer, HTTPStatus.ACCEPTED)
        answer["verdicts"] = await asyncio.to_thread(_verdicts, services, items)
        return JSONResponse(answer)


def _with_conflicts(items: list[_Item], accepted: Accepted) -> list[_Item]:
    conflicts = set(accepted.conflicts)
    message = "this source and id have another text; it is kept"
    return [
        ItemError(Code.CONFLICT, message, item.id)
        if isinstance(item, Message) and item in conflicts
        else item
        for item in items
    ]


def _errors(items: list[_Item]) -> list[dict[str, Any]]:
    return [
        item_error(place, item.code, str(item))
        for place, item in enumerate(items)
        if isinstance(item, ItemError)
    ]


def _store(services: Services, batch: list[Message], now: float, claim: float | None) -> Accepted:
    with services.database.begin() as connection:
        keep_text = services.settings.store_text
        return add_messages(services.database, connection, batch, now, claim, keep_text)


async def _score_now(request: Request, services: Services, accepted: Accepted) -> bool:
    """Score what waits of the request, known messages included; False when the model is too busy or
    fails, and the scorer will do it.
    """
    texts = {message.key: message.text for message in (*accepted.new, *accepted.duplicates)}
    waiting = [Waiting(seq, texts[key]) for key, seq in accepted.unscored.items()]
    try:
        found = await unless_gone(request, services.batcher.score([item.text for item in waiting]))
    except BaseException as error:
        await asyncio.to_thread(_release, services, waiting)
        if isinstance(error, ApiError) and error.status != HTTPStatus.TOO_MANY_REQUESTS:
            raise  # nobody waits for the answer any more
        if not isinstance(error, Exception):
            raise
        if not isinstance(error, ApiError):  # its words may be those of a message
            log.error("the model failed on %d messages: %s", len(waiting), type(error).__name__)
        return False
    owners = sorted({message.customer_id for message in (*accepted.new, *accepted.duplicates)})
    await asyncio.to_thread(services.worker.keep, waiting, found)
    await asyncio.to_thread(services.worker.bring_up_to_date, owners)
    return True


def _release(services: Services, waiting: list[Waiting]) -> None:
    with services.database.begin() as connection:
        hold(connection, [item.seq for item in waiting], services.clock() - 1)
    services.worker.wake()


def _verdicts(services: Services, items: list[_Item]) -> list[dict[str, Any]]:
    """Verdicts of the request's incoming messages, in order, with errors in their places."""
    asked = [item for item in items if not (isinstance(item, Message) and item.direction == OUT)]
    keys = {item.key for item in asked if isinstance(item, Message)}
    with services.database.read() as connection:
        found = find_verdicts(connection, sorted(keys))
    return [_answer(item, found) for item in asked]


def _answer(item: _Item, found: dict[tuple[str, str], str]) -> dict[str, Any]:
    if isinstance(item, ItemError):
        return {"id": item.id, "error": error_body(item.code, str(item))}
    if (verdict := found.get(item.key)) is None:
        message = "the model could not read this message"
        return {"id": item.id, "error": error_body(Code.INTERNAL_ERROR, message)}
    return {"id": item.id, **json.loads(verdict)}


async def _read_messages(request: Request, services: Services) -> list[_Item]:
    """The request's messages, and errors in the places of those that cannot be taken.

    Raises:
        ApiError: 422 when it is no list of messages, too many, or none is good.
    """
    settings = services.settings
    body = await read_json(request, settings.max_body_bytes)
    items = body.get("messages", [body]) if isinstance(body, dict) else None
    if not isinstance(items, list) or not items:
        raise unprocessable('send an object with a list of "messages"')
    if len(items) > settings.max_messages:
        message = f"{len(items):,} messages, at most {settings.max_messages:,} in one request"
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, Code.TOO_MANY_MESSAGES, message)
    now = services.clock()
    read = [_read_item(item, settings, now) for item in items]
    if all(isinstance(item, ItemError) for item in read):
        errors = _errors(read)
        message = f"none of the messages can be taken: {errors[0]['message']}"
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY, Code(errors[0]["code"]), message, {"errors": errors}
        )
    return read


def _read_item(item: Any, settings: Settings, now: float) -> _Item:
    try:
        return read_message(item, settings, now)
    except ItemError as error:
        identity = item.get("id") if isinstance(item, dict) else None
        if isinstance(identity, (str, int)) and not isinstance(identity, bool):
            error.id = clean(str(identity))
        return error


def read_message(item: Any, settings: Settings, now: float) -> Message:
    """One item of POST /messages.

    Raises:
        ItemError: what is wrong with it.
    """
    if not isinstance(item, dict):
        raise ItemError(Code.INVALID_REQUEST, "a message is an object")
    text = _text(item, settings.max_text_characters)
    try:
        fields = MessageBody.model_validate(item)
        sent_at = read_time(item.get("sent_at"), "sent_at", settings.default_timezone)
    except ValidationError as error:
        raise ItemError(Code.INVALID_REQUEST, explain(error)) from error
    except TimeError as error:
        raise ItemError(error.code, str(error)) from error
    if sent_at > now + settings.future_seconds:
        raise ItemError(
            Code.TIME_IN_FUTURE,
            f'"sent_at" is {sent_at - now:,.0f} s ahead of our clock: check the time zone',
        )
    message = Message(sent_at=min(sent_at, now), text=text, **fields.model_dump())
    return replace(message, channel=message.channel.strip().lower())


def _text(item: dict[str, Any], most: int) -> str:
    if "text" not in item:
        raise ItemError(Code.TEXT_MISSING, 'a message needs a "text"')
    text = item["text"]
    if not isinstance(text, str):
        raise ItemError(Code.TEXT_NOT_STRING, '"text" must be a string')
    if len(text) > most:
        raise ItemError(Code.TEXT_TOO_LONG, f"{len(text):,} characters, at most {most:,}")
    return clean(text)
