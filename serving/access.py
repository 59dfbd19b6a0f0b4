"""Who may call what, and how often: API keys with scopes, and a rate limit per key."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from math import ceil

from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from serving.errors import ApiError, Code, not_ready
from serving.settings import Settings
from serving.store.database import Database
from serving.store.keys import Key, find_key

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


class Access:
    """Checks each request's key and rate. The rate is counted in this process."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], float]) -> None:
        self.needs_keys = needs_keys(settings)
        self._database = database
        self._clock = clock
        self._rate = RateLimitItemPerMinute(settings.requests_per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._cache: dict[str, tuple[float, Key | None]] = {}

    async def check(self, request: Request, scope: str) -> str | None:
        """The id of the request's key; None where no keys are in use.

        Raises:
            ApiError: 401 no valid key, 403 a key without the scope, 429 too many requests.
        """
        if not self.needs_keys:  # only programs on this machine: they would share one limit
            return None
        key = await self._key(request)
        if key is None:
            self._count(f"address {request.client.host if request.client else 'unknown'}")
            raise ApiError(
                HTTPStatus.UNAUTHORIZED,
                Code.UNAUTHORIZED,
                "send an API key: Authorization: Bearer KEY (`brandtox keys create` makes one)",
            )
        self._count(f"key {key.id}")
        if not key.may(scope):
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
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not secret.strip():
            return None
        secret = secret.strip()
        until, key = self._cache.get(secret, (0.0, None))
        if until < self._clock():
            key = await asyncio.to_thread(self._find, secret)
            self._cache.pop(secret, None)
            if key is not None:  # a guessed one is not worth the memory
                self._cache[secret] = self._clock() + _CACHE_SECONDS, key
        return key

    def _find(self, secret: str) -> Key | None:
        with self._database.read() as connection:
            return find_key(connection, secret)


def allow(scope: str) -> Callable[[Request], Awaitable[None]]:
    """A dependency of routes that need a scope; leaves the key's id in `request.state.key_id`."""

    async def dependency(request: Request) -> None:
        services = getattr(request.app.state, "services", None)
        if services is None:
            raise not_ready()
        access: Access = services.access
        request.state.key_id = await access.check(request, scope)

    return dependency
