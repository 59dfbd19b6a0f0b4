"""Cursors of paged lists: opaque to the caller, and checked when they come back."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec

from serving.errors import ApiError, Code

T = TypeVar("T")


def encode(values: tuple[Any, ...]) -> str:
    """What the last row of a page was sorted by, as a cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")


def decode(cursor: str, kind: type[T]) -> T:
    """The values of a cursor, as a tuple of the given types.

    Raises:
        ApiError: 422, it is not one that we gave for this list.
    """
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(packed, type=kind)
    except (ValueError, msgspec.DecodeError) as error:
        raise bad_cursor() from error


def bad_cursor() -> ApiError:
    message = '"after" is no cursor of this list: send the "next" of the page before'
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, Code.INVALID_REQUEST, message)
