"""Times on the wire (RFC 3339) and in the store (seconds since 1970, UTC)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from serving.errors import Code


class TimeError(ValueError):
    """A time that cannot be read, with its error code."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


def read_time(raw: Any, name: str, zone: str | None = None) -> float:
    """Seconds since 1970 of an RFC 3339 time; one without an offset is in `zone`.

    Raises:
        TimeError: it is no time, or names no offset and `zone` is not set.
    """
    if not isinstance(raw, str):
        raise TimeError(Code.INVALID_TIME, f'"{name}" must be a time like "2026-01-31T09:30:00Z"')
    try:
        time = datetime.fromisoformat(raw.strip())
    except ValueError as error:
        message = f'"{name}" is {raw!r}, not a time like "2026-01-31T09:30:00Z"'
        raise TimeError(Code.INVALID_TIME, message) from error
    if time.tzinfo is None:
        if zone is None:
            raise TimeError(
                Code.TIME_ZONE_MISSING,
                f'"{name}" has no offset: send one (Z, +03:00), or set BRANDTOX_DEFAULT_TIMEZONE',
            )
        time = time.replace(tzinfo=ZoneInfo(zone))
    try:
        at = time.timestamp()
        datetime.fromtimestamp(at, UTC)  # an offset may lead out of the years that can be written
        return at
    except (ValueError, OverflowError) as error:
        raise TimeError(Code.INVALID_TIME, f'"{name}" is out of range') from error


def wire_time(at: float) -> str:
    """RFC 3339, UTC, with as many decimals as it has."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def maybe_wire_time(at: float | None) -> str | None:
    return None if at is None else wire_time(at)
