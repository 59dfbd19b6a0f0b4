"""What the rows of an archive mean: the message in a row, by the roles of the columns."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import Any

from serving.archives.chunks import size_of
from serving.archives.column_names import holds_names, holds_phones
from serving.archives.columns import NO_TEXT, Found, find_columns, find_time_of_day, read_direction
from serving.archives.identities import customer_key, display_name, is_address
from serving.archives.moments import DMY, Moments, find_order
from serving.archives.row import Archive, ArchiveError, Message, ReadOptions, Row
from serving.messages import replace_surrogates

SAMPLE = 10_000
"""Rows from which columns and the order of dates are found out."""
_SAMPLE_CHARACTERS = 2**24

_OWN_DIRECTIONS = {"whatsapp", "zendesk", "chatwoot"}
"""Formats whose readers say themselves who wrote, in fixed words."""

_WHOLE = re.compile(r"(-?\d+)\.0+")
_INVISIBLE = re.compile("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00]")
_CHANNELS = {
    "واتساب": "whatsapp",
    "واتس": "whatsapp",
    "whatsapp business": "whatsapp",
    "live chat": "chat",
    "livechat": "chat",
    "webchat": "chat",
    "شات": "chat",
    "دردشة": "chat",
    "محادثة": "chat",
    "dm": "direct",
    "direct message": "direct",
    "رسالة خاصة": "direct",
    "call": "phone",
    "هاتف": "phone",
    "اتصال": "phone",
    "مكالمة": "phone",
    "رسالة نصية": "sms",
    "ماسنجر": "messenger",
    "تليجرام": "telegram",
    "تيليجرام": "telegram",
    "e-mail": "email",
    "mail": "email",
    "ايميل": "email",
    "بريد": "email",
}
"""Other words for channels that the index knows, or that are common."""


@dataclass(frozen=True)
class Meaning:
    """How to understand the rows of one archive.

    Attributes:
        columns: the column of each role that has one, and how it was found.
        time_of_day: the column that holds the hour where `sent_at` holds the day alone.
        moments: how times are read.
        order_by: how the order of day and month was found: told, found, others (that of the other
            archives, this one proves none) or default.
        incoming: values of the direction that mean from the customer; empty for the known words.
        names_of: what tells the names in these archives from those in others, where nothing but a
            name says who a customer is, and there are others.
    """

    columns: Mapping[str, Found]
    moments: Moments = field(default_factory=Moments)
    time_of_day: str | None = None
    order_by: str = "default"
    incoming: frozenset[str] = frozenset()
    names_of: str = ""

    def message(self, row: Row) -> Message | str | None:
        """The row's message; why there is none to score; or None for a silent row."""
        if row.error is not None:
            return row.error
        if row.silent:
            return None
        if (found := self.columns.get("text")) is None:
            return NO_TEXT
        text = _text(row.fields.get(found.column))
        if not text.strip():
            return f"column {found.column} is empty"
        at, direction = self._moment(row), self._direction(row)
        customer = identity(self._value(row, "customer"))
        key = customer and self._key(customer)
        read = {"sent_at": at, "direction": direction}
        return Message(
            text=replace_surrogates(text),
            id=identity(self._value(row, "id")),
            customer=key,
            at=at,
            direction=direction or "in",
            channel=_channel(self._value(row, "channel")),
            ticket=identity(self._value(row, "ticket")),
            agent=identity(self._value(row, "agent")),
            has_side=direction is not None,
            unread=tuple(r for r, v in read.items() if v is None and self._has_value(row, r)),
            customer_written=customer if customer != key else None,
            name=None if direction == "out" else self._name(row),
        )

    def _name(self, row: Row) -> str | None:
        """The customer's; where a name is the id, that one."""
        found, customer = self.columns.get("name"), self.columns.get("customer")
        if found is None and customer is not None and holds_names(customer.column):
            found = customer
        return None if found is None else display_name(identity(row.fields.get(found.column)))

    def _key(self, customer: str) -> str:
        key = customer_key(customer, holds_phones(self.columns["customer"].column))
        return f"{key} ({self.names_of})" if self.names_of and not is_address(key) else key

    def _value(self, row: Row, role: str) -> Any:
        found = self.columns.get(role)
        return None if found is None else row.fields.get(found.column)

    def _has_value(self, row: Row, role: str) -> bool:
        return identity(self._value(row, role)) is not None

    def _moment(self, row: Row) -> float | None:
        value = self._value(row, "sent_at")
        if self.time_of_day is None:
            return self.moments.read(value)
        return self.moments.read(_joined(value, row.fields.get(self.time_of_day)))

    def _direction(self, row: Row) -> str | None:
        value = identity(self._value(row, "direction"))
        if value is None:
            return None
        return read_direction(self.columns["direction"].column, value, self.incoming)


def understand(archives: Sequence[Archive], options: ReadOptions) -> list[Meaning]:
    """The meaning of each archive, from its first 10,000 rows.

    An archive whose dates could be read both ways is read as the other ones are, if they agree; else
    day first, as the Arab world writes. Where nothing but a name tells who a customer is, the same name
    in archives of another kind is another customer.

    Raises:
        ArchiveError: a told role or column does not exist, or no column can be the text.
    """
    found = _set_names_apart(archives, [_understand(archive, options) for archive in archives])
    orders = {meaning.moments.order for meaning in found if meaning.order_by == "found"}
    if len(orders) != 1:
        return found
    moments = Moments(orders.pop(), options.timezone)
    return [
        replace(meaning, moments=moments, order_by="others")
        if meaning.order_by == "default"
        else meaning
        for meaning in found
    ]


def _set_names_apart(archives: Sequence[Archive], found: list[Meaning]) -> list[Meaning]:
    kinds = [_names_of(*pair) for pair in zip(archives, found, strict=True)]
    if len(set(kinds) - {None}) < 2:
        return found
    return [
        replace(meaning, names_of=kind or "") for meaning, kind in zip(found, kinds, strict=True)
    ]


def _names_of(archive: Archive, meaning: Meaning) -> str | None:
    """Where names alone tell who customers are: chats, or the column of the names. Empty where ids
    do, None where nothing does.
    """
    if (found := meaning.columns.get("customer")) is None:
        return None
    if archive.format == "whatsapp":
        return "whatsapp"
    return found.column if holds_names(found.column) else ""


def _understand(archive: Archive, options: ReadOptions) -> Meaning:
    rows = _sample(archive)
    columns = archive.columns or list(dict.fromkeys(name for row in rows for name in row))
    incoming: frozenset[str] = (
        frozenset() if archive.format in _OWN_DIRECTIONS else options.incoming
    )
    try:
        told = options.columns if columns or rows else {}  # an empty archive has no column at all
        found = find_columns(columns, rows, told, incoming)
    except ArchiveError as error:
        raise ArchiveError(f"{archive.source.name}: {error}") from error
    order, order_by = options.date_order, "told"
    if order is None:
        column = found["sent_at"].column if "sent_at" in found else None
        proved = find_order(row.get(column) for row in rows) if column is not None else set()
        order, order_by = (proved.pop(), "found") if len(proved) == 1 else (DMY, "default")
    return Meaning(
        columns=found,
        moments=Moments(order, options.timezone),
        time_of_day=find_time_of_day(columns, rows, found),
        order_by=order_by,
        incoming=incoming,
    )


def _sample(archive: Archive) -> list[dict[str, Any]]:
    """The fields of the first rows: 10,000, or fewer large ones."""
    rows: list[dict[str, Any]] = []
    characters = 0
    for row in islice(archive.rows(), SAMPLE):
        if row.error is None:
            rows.append(row.fields)
            characters += size_of(row.fields)
        if characters >= _SAMPLE_CHARACTERS:
            break
    return rows


def _text(value: Any) -> str:
    """A value as text: whole numbers without a point, lists and objects as JSON, nothing as ""."""
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return ""
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value.isoformat() if isinstance(value, date | time) else str(value)


def identity(value: Any) -> str | None:
    """A value as an id: trimmed, without invisible characters, 12345.0 as 12345; None if empty."""
    text = _INVISIBLE.sub("", replace_surrogates(_text(value))).strip()
    whole = _WHOLE.fullmatch(text)
    return (whole[1] if whole else text) or None


def _channel(value: Any) -> str:
    name = (identity(value) or "").lower()
    return _CHANNELS.get(name, name)


def _joined(day: Any, hour: Any) -> Any:
    """A day and its hour, from two columns, as one text."""
    if hour is None or day is None:
        return day
    if isinstance(day, datetime):
        day = day.date()
    if isinstance(hour, datetime):
        hour = hour.time()
    return f"{_text(day).strip()} {_text(hour).strip()}".strip()
