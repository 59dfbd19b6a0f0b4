"""The one error shape: `{"error": {"code", "message", "details"}}` on every route."""

from __future__ import annotations

import logging
import sqlite3
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

log = logging.getLogger(__name__)


class Code(StrEnum):
    """Machine-readable error codes; names are a promise."""

    INVALID_JSON = "invalid_json"
    INVALID_REQUEST = "invalid_request"
    TEXT_MISSING = "text_missing"
    TEXT_NOT_STRING = "text_not_string"
    TEXT_TOO_LONG = "text_too_long"
    INVALID_TIME = "invalid_time"
    TIME_ZONE_MISSING = "time_zone_missing"
    TIME_IN_FUTURE = "time_in_future"
    CONFLICT = "conflict"
    TOO_MANY_MESSAGES = "too_many_messages"
    BODY_TOO_LARGE = "body_too_large"
    OVERLOADED = "overloaded"
    NOT_READY = "not_ready"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CLIENT_GONE = "client_gone"
    INTERNAL_ERROR = "internal_error"


class ApiError(Exception):
    """An error that the caller is told of.

    Args:
        status: HTTP status.
        message: one sentence that says what to do.
        details: anything that helps, as JSON.
        retry_after: seconds, sent as Retry-After.
    """

    def __init__(
        self,
        status: HTTPStatus,
        code: Code,
        message: str,
        details: Any = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details
        self.retry_after = retry_after


def not_ready() -> ApiError:
    message = "the model is not loaded yet: try again in a moment"
    return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, Code.NOT_READY, message, retry_after=1)


def error_body(code: Code, message: str) -> dict[str, Any]:
    """The error of one item in a list."""
    return {"code": code.value, "message": message}


def error_response(
    status: int, code: Code, message: str, details: Any = None, retry_after: int | None = None
) -> JSONResponse:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    body = {"error": error_body(code, message) | {"details": details}}
    return JSONResponse(body, status, headers)


_BUSY_SQLITE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_BUSY_POSTGRESQL = ("40001", "40P01", "55P03", "57014", "53300")
"""Serialization failure, deadlock, lock timeout, statement timeout, too many connections."""


def _is_busy(error: OperationalError | PoolTimeout) -> bool:
    """The database would answer in a moment; a full disk or a missing table is something else."""
    if isinstance(error, PoolTimeout):
        return True
    sqlite_code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # without the extended part
    return sqlite_code in _BUSY_SQLITE or getattr(error.orig, "sqlstate", "") in _BUSY_POSTGRESQL


_CODES_BY_STATUS = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED}


def add_error_handlers(app: FastAPI) -> None:
    """Give every failure of the app the one shape."""

    async def api_error(_: Request, error: ApiError) -> JSONResponse:
        return error_response(
            error.status, error.code, str(error), error.details, error.retry_after
        )

    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        code = _CODES_BY_STATUS.get(error.status_code, Code.INVALID_REQUEST)
        response = error_response(error.status_code, code, str(error.detail))
        response.headers.update(error.headers or {})  # "Allow" belongs to a 405
        return response

    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        problems = "; ".join(f'"{p["loc"][-1]}": {p["msg"]}' for p in error.errors())
        return error_response(422, Code.INVALID_REQUEST, problems)

    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return error_response(500, Code.INTERNAL_ERROR, "an error on our side; it is in the log")

    async def database_error(
        request: Request, error: OperationalError | PoolTimeout
    ) -> JSONResponse:
        if not _is_busy(error):
            return await unexpected(request, error)
        log.warning("%s %s: %s", request.method, request.url.path, error)
        message = "the database is busy: send the same request again in a moment"
        return error_response(503, Code.OVERLOADED, message, retry_after=1)

    app.add_exception_handler(ApiError, api_error)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, http_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, invalid)  # type: ignore[arg-type]
    for kind in (OperationalError, PoolTimeout):
        app.add_exception_handler(kind, database_error)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, unexpected)
