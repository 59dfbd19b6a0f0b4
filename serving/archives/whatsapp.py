"""WhatsApp's chat exports, of Android and iPhones, in English and Arabic."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from serving.archives.encodings import encoding_name, open_text
from serving.archives.identities import display_name
from serving.archives.row import ArchiveError, ReadOptions, Row, Source
from serving.archives.whatsapp_lines import (
    Numbers,
    Stamp,
    Written,
    find_order,
    plain_name,
    read_begin,
    read_messages,
    without_marks,
)
from serving.archives.whatsapp_notices import ENCRYPTED, read_content, trim

COLUMNS = [
    "id",
    "customer_id",
    "customer_name",
    "sent_at",
    "direction",
    "channel",
    "agent_id",
    "sender",
    "kind",
    "text",
    "media",
]

_CHAT_NAME = re.compile(
    r"(?:^|[/\\])(?:WhatsApp Chat (?:with|-)|(?:محادثة|دردشة)(?: في)? (?:واتساب|WhatsApp) (?:مع|-)) "
    r"([^/\\]+?)(?: ?\(\d+\))?(?:\.(?:txt|zip)[^/\\]*)?(?=[/\\]|$)"
)
"""In a file's, zip's or folder's name: the chat's. Browsers append (1)."""

_ORDERS = {"dmy": "day/month/year", "mdy": "month/day/year", "ymd": "year/month/day"}
_ORDERS_BY = {
    "told": "told",
    "found": "found out from all of them",
    "default": "assumed, none of them tells: --date-order says otherwise",
}
_SURE_LINES = 3


def looks_like(head: str) -> bool:
    """Whether a text is an export: its first line begins a message, or three of the lines do."""
    lines = [line for line in head.split("\n") if line.strip()]
    if lines and read_begin(lines[0]):
        return True
    return sum(read_begin(line) is not None for line in lines) >= _SURE_LINES


@dataclass(frozen=True)
class _Chat:
    """What reading an export once has found out.

    Attributes:
        name: the customer's or the group's, by the file's name or by an iPhone's first notice.
        people: who writes, in the order of their first messages.
        company: who of them writes for the company.
        customer: the one customer of the chat, if there is one.
        order: of the dates: dmy, mdy or ymd.
        order_by: how the order was found: told, found or default.
        undated: dates that cannot be in that order, or are of another calendar.
        strays: lines that look like messages of a phone with another style.
    """

    name: str | None
    people: tuple[str, ...]
    company: frozenset[str]
    customer: str | None
    order: str
    order_by: str
    undated: int
    strays: int


class WhatsAppArchive:
    """One export. Every line of the file is in exactly one row.

    A row is a message, a notice of the app (kind system, silent), or something sent that is not
    text (kind media; its caption is the text, without one the row is silent). Times are the phone's,
    without an offset. A message that quotes lines of an export of the same style cannot be told from
    those messages.

    Who is the customer: in a chat of two, the one that the file (or the notice that begins an
    iPhone's export) is named after; the other is the company. With `options.company`, everyone else.
    Where neither tells, every sender is a customer.

    `id` is a hash of chat, time, sender and text: a longer export of the same chat from the same
    phone, under the same file name, gives the same ids. Android leaves out the seconds, so exports
    of an Android phone and of an iPhone do not match.
    """

    format = "whatsapp"
    columns = COLUMNS
    schema = None

    def __init__(self, source: Source, encoding: str, options: ReadOptions) -> None:
        self.source = source
        self._encoding = encoding
        self._options = options

    @property
    def understood(self) -> list[str]:
        chat = self._chat
        statements = [
            encoding_name(self._encoding),
            f"dates are {_ORDERS[chat.order]} ({_ORDERS_BY[chat.order_by]})",
            _sides(chat),
        ]
        if chat.undated:
            statements.append(
                f"dates that cannot be, or of another calendar: {chat.undated:,}; their messages have no"
                " time (set the phone to the Gregorian calendar and export again)"
            )
        if chat.strays:
            statements.append(
                f"lines that look like messages of another phone: {chat.strays:,}; they stay in the"
                " messages that they stand in (exports that were joined must be separate files)"
            )
        return statements

    @property
    def company(self) -> frozenset[str]:
        """Who writes for the company; empty where nothing tells, or where it wrote nothing."""
        return self._chat.company

    @property
    def people(self) -> tuple[str, ...]:
        """All who write, in the order of their first messages."""
        return self._chat.people

    @property
    def unknown_company(self) -> bool:
        """Whether nothing tells who of them is the company, so that every sender is a customer."""
        return not (self._chat.company or self._chat.customer or self._options.company)

    def names_not_here(self) -> frozenset[str]:
        """Names told as the company's that no sender has."""
        here = {_folded(one) for one in self.people}
        return frozenset(one for one in self._options.company if _folded(one) not in here)

    def rows(self) -> Iterator[Row]:
        """Its messages.

        Raises:
            ArchiveError: it is no export at all.
        """
        chat, copies = self._chat, Counter[bytes]()
        for written in self._messages():
            yield _row(written, chat, copies)

    def _messages(self) -> Iterator[Written]:
        known = [name for name in {_chat_name(self.source), *self._options.company} if name]
        with open_text(self.source, self._encoding, newline="\n") as lines:
            yield from read_messages(lines, [name for name in known if ":" in name])

    @cached_property
    def _chat(self) -> _Chat:
        name, people, days, strays = self._survey()
        if not days:
            raise ArchiveError(
                f"{self.source.name} is no WhatsApp export: no line begins like"
                " 12/03/2024, 10:15 - Name: text, or [12/03/2024, 10:15:33] Name: text"
            )
        company, customer = _find_sides(people, name, self._options.company)
        order, order_by = _order(days, self._options.date_order)
        undated = sum(Stamp(day, (0, 0, 0)).sent_at(order) is None for day in days)
        return _Chat(name, people, company, customer, order, order_by, undated, strays)

    def _survey(self) -> tuple[str | None, tuple[str, ...], list[Numbers], int]:
        """The chat's name, who writes, the dates in their order, and the stray lines."""
        name, people, days, strays = _chat_name(self.source), dict[str, None](), list[Numbers](), 0
        for written in self._messages():
            strays += written.strays
            if written.stamp and written.stamp.numbers not in days[-1:]:
                days.append(written.stamp.numbers)
            if written.sender is None or written.sender in people:
                continue
            content = read_content(written.body, written.sender)
            if content.kind != "system":
                people[written.sender] = None
            elif name is None and ENCRYPTED.match(without_marks(content.text)):
                name = written.sender
        return name, tuple(people), days, strays


def _chat_name(source: Source) -> str | None:
    """Whom or which group the phone has named the file after."""
    for name in (source.name, source.path.name):
        if found := _CHAT_NAME.search(without_marks(unicodedata.normalize("NFC", name))):
            return plain_name(found[1])
    return None


def _order(days: list[Numbers], told: str | None) -> tuple[str, str]:
    if told is not None:
        return told, "told"
    order, found = find_order(days)
    return order, "found" if found else "default"


def _find_sides(
    people: tuple[str, ...], name: str | None, told: frozenset[str]
) -> tuple[frozenset[str], str | None]:
    """Who writes for the company, and the one customer."""
    if told:
        names = {_folded(one) for one in told}
        company = frozenset(one for one in people if _folded(one) in names)
        customers = [one for one in people if one not in company]
        return company, customers[0] if len(customers) == 1 else None if customers else name
    if name is not None and len(people) <= 2:
        for one in people:
            if _folded(one) == _folded(name):
                return frozenset(people) - {one}, one
    return frozenset(), None


def _folded(name: str) -> str:
    return plain_name(name).casefold()


def _sides(chat: _Chat) -> str:
    customers = [one for one in chat.people if one not in chat.company]
    if chat.company or chat.customer:
        return f"customer: {_list(customers)}; company: {_list(chat.company)}"
    return f"every sender is taken for a customer ({_list(customers)}); --company NAME tells more"


def _list(names: Collection[str]) -> str:
    shown = ", ".join(sorted(names)[:5]) or "nobody"
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def _row(written: Written, chat: _Chat, copies: Counter[bytes]) -> Row:
    if written.stamp is None:
        return Row(
            {"raw": written.body},
            error="text above the first message: the export does not begin with it; export it again",
        )
    kind, text, media = "system", trim(written.body), None
    if written.sender is not None:
        kind, text, media = read_content(written.body, written.sender)
    sent_at = written.stamp.sent_at(chat.order)
    parts = (chat.name or chat.customer, sent_at or written.stamp, written.sender, text, media)
    fields = {
        "id": _identity(parts, copies),
        "customer_id": None,
        "customer_name": None,
        "sent_at": sent_at,
        "direction": None,
        "channel": "whatsapp",
        "agent_id": None,
        "sender": written.sender,
        "kind": kind,
        "text": text,
        "media": media,
    }
    return Row(fields | _roles(written.sender, kind, chat), silent=kind == "system" or not text)


def _roles(sender: str | None, kind: str, chat: _Chat) -> dict[str, Any]:
    if sender is None or kind == "system":
        return {}
    if sender in chat.company:
        return _customer(chat.customer) | {"direction": "out", "agent_id": sender}
    known = chat.company or chat.customer
    return _customer(sender) | {"direction": "in" if known else None}


def _customer(sender: str | None) -> dict[str, str | None]:
    """Who is known by the name in the phone's contacts, or else by the number alone."""
    return {"customer_id": sender, "customer_name": display_name(sender)}


def _identity(parts: tuple[object, ...], copies: Counter[bytes]) -> str:
    """A hash of a message; the second one with the same parts gets another."""
    digest = hashlib.sha256(repr(parts).encode("utf-8", "replace")).digest()[:12]
    copies[digest] += 1
    if copies[digest] > 1:
        return f"{digest.hex()}-{copies[digest]}"
    return digest.hex()
