"""What the bodies of requests have in common: the kinds of their fields, how they are read and written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import Request
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

from serving.classify import read_json
from serving.errors import ApiError, Code, error_body
from serving.messages import replace_surrogates
from serving.services import Services, services_of
from serving.times import TimeError, read_time

_MOST_ID = 200
MOST_NOTE = 10_000
MOST_AMOUNT = 1e12


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


Reviewer = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=_MOST_ID)
]
"""Who read a message: without the blanks around the name, which would make another person of it."""

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


def item_error(index: int, code: Code, message: str) -> dict[str, Any]:
    return {"index": index, **error_body(code, message)}


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
    return checked(raw, kind, services)


def checked(raw: Any, kind: type[B], services: Services) -> B:
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
