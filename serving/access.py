"""Who may call what, and how often: API keys with scopes, and a rate limit per key.

Where no keys are in use, only programs on this machine are answered, and no web page in its browser.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from math import ceil
from urllib.parse import urlsplit

from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.errors import ApiError, Code, error_response, not_ready
from serving.settings import Settings
from serving.store.database import Database
from serving.store.keys import Key, find_key, looks_like_key

_CACHE_SECONDS = 5.0
"""A revoked key works no longer than this."""


def is_local(host: str) -> bool:
    """Whether only programs on this machine reach an address to listen on."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def needs_keys(settings: Settings) -> bool:
    """Whether requests need an API key.

    Raises:
        ValueError: keys are switched off on an address that others reach.
    """
    local = is_local(settings.host)
    if settings.api_keys == "off" and not local:
        raise ValueError(
            f"--api-keys off is refused on {settings.host}, which others can reach: create a key"
            " with `brandtox keys create`, or listen on 127.0.0.1"
        )
    return settings.api_keys == "required" or (settings.api_keys == "auto" and not local)


class ThisMachineOnly:
    """Refuses what comes under another name than this machine's, or from a page of another one: a
    browser lets any web page send here, and read the answer once its own name leads here.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host, origin = headers.get("host", ""), headers.get("origin")
            if not (_names_us(f"//{host}") and (origin is None or _names_us(origin))):
                app = error_response(HTTPStatus.FORBIDDEN, Code.FORBIDDEN, _NOT_FROM_HERE)
        await app(scope, receive, send)


_NOT_FROM_HERE = (
    "without API keys only programs on this machine are answered, under its own name: ask"
    " http://localhost, or start with --api-keys required"
)


def _names_us(url: str) -> bool:
    try:
        return is_local(urlsplit(url).hostname or "")
    except ValueError:
        return False


class Access:
    """Checks each request's key and rate. The rate is counted in this process."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], float]) -> None:
        self.needs_keys = needs_keys(settings)
        self._database = database
        self._clock = clock
        self._rate = RateLimitItemPerMinute(settings.requests_per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._cache: dict[bytes, tuple[float, Key]] = {}

    async def check(self, request: Request, scope: str | None) -> str | None:
        """The id of the request's key; None where no keys are in use. Without a scope any key will do.

        Raises:
            ApiError: 401 no valid key, 403 a key without the scope, 429 too many requests.
        """
        if not self.needs_keys:  # only programs on this machine: they would share one limit
            return None
        key = await self._key(request)
        if key is None:
            raise ApiError(
                HTTPStatus.UNAUTHORIZED,
                Code.UNAUTHORIZED,
                "send an API key: Authorization: Bearer KEY (`brandtox keys create` makes one)",
            )
        self._count(f"key {key.id}")
        if scope and not key.may(scope):
            message = f"this key has not the scope {scope!r}"
            raise ApiError(HTTPStatus.FORBIDDEN, Code.FORBIDDEN, message)
        return key.id

    def _count(self, who: str) -> None:
        if not self._limiter.hit(self._rate, who):
            reset = self._limiter.get_window_stats(self._rate, who).reset_time
            raise ApiError(
                HTTPStatus.TOO_MANY_REQUESTS,
                Code.RATE_LIMITED,
                f"more than {self._rate.amount:,} requests in a minute",
                retry_after=max(1, ceil(reset - self._clock())),
            )

    async def _key(self, request: Request) -> Key | None:
        """The request's key. One that was not seen before counts against the address: it may be a
        guess.
        """
        kind, _, rest = request.headers.get("authorization", "").partition(" ")
        secret = rest.strip() if kind.lower() == "bearer" else ""
        digest = hashlib.sha256(secret.encode()).digest()
        until, known = self._cache.get(digest, (0.0, None))
        if known is None:
            self._count(f"address {request.client.host if request.client else 'unknown'}")
        elif until >= self._clock():
            return known
        if not looks_like_key(secret):
            return None
        found = await asyncio.to_thread(self._find, secret)
        if found is None:
            self._cache.pop(digest, None)
        else:
            self._cache[digest] = self._clock() + _CACHE_SECONDS, found
        return found

    def _find(self, secret: str) -> Key | None:
        with self._database.read() as connection:
            return find_key(connection, secret)


def allow(scope: str | None = None) -> Callable[[Request], Awaitable[None]]:
    """A dependency of routes that need a key, with a scope if one is given; leaves the key's id in
    `request.state.key_id`.
    """

    async def dependency(request: Request) -> None:
        services = getattr(request.app.state, "services", None)
        if services is None:
            raise not_ready()
        access: Access = services.access
        request.state.key_id = await access.check(request, scope)

    return dependency
