"""Times on the wire (RFC 3339) and in the store (seconds since 1970, UTC)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from serving.errors import Code

_HOUR = r"(?:[01]\d|2[0-3]):[0-5]\d"
_RFC_3339 = re.compile(
    rf"(\d{{4}}-\d\d-\d\d)[Tt ]({_HOUR}):([0-5]\d|60)(\.\d+)?([Zz]|[+-]{_HOUR})?", re.ASCII
)
"""Date, hour, second, fraction and offset, which may be missing."""
_DAY_SECONDS = 86_400


class TimeError(ValueError):
    """A time that cannot be read, with its error code."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


def read_time(raw: Any, name: str, zone: str | None = None) -> float:
    """Seconds since 1970 of an RFC 3339 time; one without an offset is in `zone`. A leap second is
    the first second of the next day.

    Raises:
        TimeError: it is no time, or names no offset and `zone` is not set.
    """
    if not isinstance(raw, str):
        raise TimeError(Code.INVALID_TIME, f'"{name}" must be a time like "2026-01-31T09:30:00Z"')
    message = f'"{name}" is {raw[:40]!r}, not a time like "2026-01-31T09:30:00Z"'
    if (parts := _RFC_3339.fullmatch(raw)) is None:
        raise TimeError(Code.INVALID_TIME, message)
    date, hour, second, fraction, offset = parts.groups(default="")
    leap = second == "60"
    try:
        written = f"{date}T{hour}:{'59' if leap else second}{fraction}{offset.upper()}"
        time = datetime.fromisoformat(written)
    except ValueError as error:
        raise TimeError(Code.INVALID_TIME, message) from error
    if time.tzinfo is None:
        if zone is None:
            raise TimeError(
                Code.TIME_ZONE_MISSING,
                f'"{name}" has no offset: send one (Z, +03:00), or set BRANDTOX_DEFAULT_TIMEZONE',
            )
        time = time.replace(tzinfo=ZoneInfo(zone))
    try:
        at = time.timestamp() + leap
        datetime.fromtimestamp(at, UTC)  # an offset may lead out of the years that can be written
    except (ValueError, OverflowError) as error:
        raise TimeError(Code.INVALID_TIME, f'"{name}" is out of range') from error
    if leap and at // 1 % _DAY_SECONDS:
        raise TimeError(Code.INVALID_TIME, message)
    return at


def wire_time(at: float) -> str:
    """RFC 3339, UTC, with as many decimals as it has."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def maybe_wire_time(at: float | None) -> str | None:
    return None if at is None else wire_time(at)
