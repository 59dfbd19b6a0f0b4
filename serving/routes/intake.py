"""What a company sends: messages, and the optional feeds of customers, tickets, agents and outcomes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)
from sqlalchemy import Connection

from serving.access import allow
from serving.classify import read_json, unless_gone
from serving.errors import ApiError, Code, error_body
from serving.messages import replace_surrogates
from serving.openapi import body_documentation
from serving.services import Services, services_of
from serving.settings import Settings
from serving.store import intake
from serving.store.queue import Waiting, hold
from serving.times import TimeError, read_time, wire_time

log = logging.getLogger(__name__)

_CLAIM_SECONDS = 60.0
"""How long a request that waits keeps its messages from the scorer."""

_MOST_ID = 200
MOST_NOTE = 10_000
_MOST_COUNT = 1_000_000
MOST_AMOUNT = 1e12

router = APIRouter(tags=["intake"], dependencies=[Depends(allow("write"))])


def clean(text: str) -> str:
    """Characters that no database keeps (lone surrogates, NUL) become U+FFFD."""
    return replace_surrogates(text).replace("\x00", "\ufffd")


def _addressable(text: str) -> str:
    """An id that a URL can name: what is stored under it can be read and deleted."""
    if "/" in text or text in (".", ".."):
        raise ValueError('an id has no "/", and is neither "." nor ".."')
    return clean(text)


Id = Annotated[
    str, StringConstraints(min_length=1, max_length=_MOST_ID), AfterValidator(_addressable)
]
"""The id of a customer, a ticket or an agent. Those of messages and events may hold anything."""


class Body(BaseModel):
    """A request's fields; numbers are allowed as ids, unknown fields are ignored."""

    model_config = ConfigDict(coerce_numbers_to_str=True, extra="ignore")

    @field_validator("*", mode="after")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return clean(value) if isinstance(value, str) else value


Time = Annotated[Any, Field(json_schema_extra={"type": "string", "format": "date-time"})]
"""RFC 3339 on the wire; seconds since 1970 once `read_body` has read it."""

B = TypeVar("B", bound=Body)
Name = Field(min_length=1, max_length=_MOST_ID)
OwnId = Field(
    default=None,
    min_length=1,
    max_length=_MOST_ID,
    description="Yours, for this customer: what is sent again with it counts once.",
)
Amount = Field(default=None, ge=0, le=MOST_AMOUNT, allow_inf_nan=False)


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


class CustomerBody(Body):
    """PUT /customers/{id}; a field that is not sent stays as it is."""

    name: str | None = None
    plan: str | None = None
    monthly_value: float | None = Amount
    currency: str | None = None
    usage_volume: float | None = Amount
    started_at: Time = None
    ended_at: Time = None
    end_reason: str | None = None


class TicketBody(Body):
    """PUT /tickets/{id}: a record with final counts."""

    customer_id: Id
    opened_at: Time
    first_reply_at: Time = None
    resolved_at: Time = None
    reopened: int | None = Field(default=None, ge=0, le=_MOST_COUNT)
    handoffs: int | None = Field(default=None, ge=0, le=_MOST_COUNT)
    minutes_of_work: float | None = Amount


class TicketEventBody(Body):
    """One of POST /tickets/{id}/events."""

    id: str = Name
    type: Literal["opened", "replied", "handed_over", "resolved", "reopened", "work"]
    at: Time
    agent_id: Id | None = None
    minutes: float | None = Amount


class AgentBody(Body):
    name: str | None = None
    joined_at: Time = None
    left_at: Time = None


class OutcomeBody(Body):
    type: Literal["purchase", "renewal", "upgrade", "cancellation"]
    at: Time
    amount: float | None = Field(default=None, ge=-MOST_AMOUNT, le=MOST_AMOUNT, allow_inf_nan=False)


class RatingBody(Body):
    id: str | None = OwnId
    rating: int = Field(ge=1, le=5)
    note: str | None = Field(default=None, max_length=MOST_NOTE)
    agent_id: Id | None = None
    at: Time = None


class ItemError(Exception):
    """What is wrong with one item; `id` is the item's, if it has one that can be shown."""

    def __init__(self, code: Code, message: str, id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.id = id


_Item = intake.Message | ItemError


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
        batch = [item for item in items if isinstance(item, intake.Message)]
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


def _with_conflicts(items: list[_Item], accepted: intake.Accepted) -> list[_Item]:
    conflicts = set(accepted.conflicts)
    message = "this source and id have another text; it is kept"
    return [
        ItemError(Code.CONFLICT, message, item.id)
        if isinstance(item, intake.Message) and item in conflicts
        else item
        for item in items
    ]


def _errors(items: list[_Item]) -> list[dict[str, Any]]:
    return [
        _item_error(place, item.code, str(item))
        for place, item in enumerate(items)
        if isinstance(item, ItemError)
    ]


def _store(
    services: Services, batch: list[intake.Message], now: float, claim: float | None
) -> intake.Accepted:
    with services.database.begin() as connection:
        keep_text = services.settings.store_text
        return intake.add_messages(services.database, connection, batch, now, claim, keep_text)


async def _score_now(request: Request, services: Services, accepted: intake.Accepted) -> bool:
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
    asked = [
        item
        for item in items
        if not (isinstance(item, intake.Message) and item.direction == intake.OUT)
    ]
    keys = {item.key for item in asked if isinstance(item, intake.Message)}
    with services.database.read() as connection:
        found = intake.find_verdicts(connection, sorted(keys))
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


def _item_error(index: int, code: Code, message: str) -> dict[str, Any]:
    return {"index": index, **error_body(code, message)}


def read_message(item: Any, settings: Settings, now: float) -> intake.Message:
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
    message = intake.Message(sent_at=min(sent_at, now), text=text, **fields.model_dump())
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


def explain(error: ValidationError) -> str:
    """One sentence on everything that is wrong, without the values."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f'"{".".join(map(str, p["loc"]))}": {p["msg"]}' for p in problems)


def unprocessable(message: str, code: Code = Code.INVALID_REQUEST) -> ApiError:
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, code, message)


async def read_body(request: Request, kind: type[B]) -> B:
    """The request's JSON object as a `kind`, its times as seconds since 1970.

    Raises:
        ApiError: 400, 413 or 422.
    """
    services = services_of(request)
    raw = await read_json(request, services.settings.max_body_bytes)
    return _checked(raw, kind, services)


def _checked(raw: Any, kind: type[B], services: Services) -> B:
    try:
        body = kind.model_validate(raw)
        for name, field in kind.model_fields.items():
            value = getattr(body, name)
            if field.annotation is Any and (value is not None or field.is_required()):
                setattr(body, name, _past(value, name, services))
    except ValidationError as error:
        raise unprocessable(explain(error)) from error
    except TimeError as error:
        raise unprocessable(str(error), error.code) from error
    return body


def _past(value: Any, name: str, services: Services) -> float:
    """A time; one a little ahead of our clock is now, one far ahead an error. Plans (`ended_at`,
    `left_at`) may lie ahead.
    """
    at = read_time(value, name, services.settings.default_timezone)
    if name in ("ended_at", "left_at"):
        return at
    now = services.clock()
    if at > now + services.settings.future_seconds:
        raise TimeError(Code.TIME_IN_FUTURE, f'"{name}" lies ahead of our clock')
    return min(at, now)


async def write(request: Request, work: Callable[[Services, Connection, float], Any]) -> Any:
    """What `work` returns; it is run in one transaction, off the event loop. The scorer then folds what is new."""
    services = services_of(request)

    def run() -> Any:
        with services.database.begin() as connection:
            return work(services, connection, services.clock())

    result = await asyncio.to_thread(run)
    services.worker.wake()
    return result


@router.put("/customers/{customer_id}", **body_documentation(CustomerBody))
async def put_customer(request: Request, customer_id: Id) -> dict[str, Any]:
    """What the company knows of a customer. A change of plan, usage or value counts from now on."""
    body = await read_body(request, CustomerBody)
    given = body.model_dump(exclude_unset=True)
    await write(
        request,
        lambda s, c, now: intake.put_customer(s.database, c, customer_id, given, now),
    )
    return {"customer_id": customer_id}


@router.put("/tickets/{ticket_id}", **body_documentation(TicketBody))
async def put_ticket(request: Request, ticket_id: Id) -> dict[str, Any]:
    """A ticket's final counts. They are dated at its last change; events are read instead where the
    ticket has any.
    """
    body = await read_body(request, TicketBody)
    given = body.model_dump()
    await write(
        request,
        lambda s, c, now: intake.put_ticket(s.database, c, ticket_id, given, now),
    )
    times = (body.opened_at, body.first_reply_at, body.resolved_at)
    dated = wire_time(max(at for at in times if at is not None))
    counted = bool(body.reopened or body.handoffs)
    return {"ticket_id": ticket_id, "counts_dated_at": dated if counted else None}


@router.post("/tickets/{ticket_id}/events", **body_documentation(TicketEventBody, "events"))
async def post_ticket_events(request: Request, ticket_id: Id) -> dict[str, Any]:
    """What happened with a ticket, once each by the event's id; a broken event is told, the others
    are stored.
    """
    services = services_of(request)
    raw = await read_json(request, services.settings.max_body_bytes)
    items = raw.get("events") if isinstance(raw, dict) else None
    if not isinstance(items, list) or not items:
        raise unprocessable('send an object with a list of "events"')
    if len(items) > services.settings.max_messages:
        raise unprocessable(f"at most {services.settings.max_messages:,} events at once")
    good, errors = [], []
    for place, item in enumerate(items):
        try:
            good.append(_checked(item, TicketEventBody, services).model_dump())
        except ApiError as error:
            errors.append(_item_error(place, error.code, str(error)))
    if not good:
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            Code(errors[0]["code"]),
            f"none of the events can be taken: {errors[0]['message']}",
            {"errors": errors},
        )
    accepted, duplicates = await write(
        request,
        lambda s, c, now: intake.add_ticket_events(s.database, c, ticket_id, good, now),
    )
    return {"accepted": accepted, "duplicates": duplicates, "errors": errors}


@router.put("/agents/{agent_id}", **body_documentation(AgentBody))
async def put_agent(request: Request, agent_id: Id) -> dict[str, Any]:
    """Who works in support, and since and until when: for the turnover of the team."""
    given = (await read_body(request, AgentBody)).model_dump(exclude_unset=True)
    await write(request, lambda s, c, _: intake.put_agent(s.database, c, agent_id, given))
    return {"agent_id": agent_id}


@router.post(
    "/customers/{customer_id}/outcomes",
    status_code=HTTPStatus.CREATED,
    **body_documentation(OutcomeBody),
)
async def post_outcome(request: Request, customer_id: Id) -> dict[str, Any]:
    """A purchase, renewal, upgrade or cancellation; the same one at the same time counts once."""
    row = (await read_body(request, OutcomeBody)).model_dump()
    new = await write(
        request,
        lambda s, c, now: intake.add_outcome(s.database, c, customer_id, row, now),
    )
    return {"customer_id": customer_id, "duplicate": not new}


@router.post(
    "/customers/{customer_id}/ratings",
    status_code=HTTPStatus.CREATED,
    **body_documentation(RatingBody),
)
async def post_rating(request: Request, customer_id: Id) -> dict[str, Any]:
    """The team's rating, from 1 (calm) to 5 (toxic). The same one counts once: by its `id`, or else by
    all that it says, if it has an `at`.
    """
    row = (await read_body(request, RatingBody)).model_dump()
    new = await write(
        request,
        lambda s, c, now: intake.add_rating(s.database, c, customer_id, row, now),
    )
    return {"customer_id": customer_id, "duplicate": not new}
