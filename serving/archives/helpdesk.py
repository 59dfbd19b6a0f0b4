"""What exports of help desks share: JSON records that each hold several messages."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

import ijson

from serving.archives.encodings import open_text
from serving.archives.json_rows import JsonArchive, JsonLinesArchive, Utf8, read_json
from serving.archives.meaning import identity
from serving.archives.row import ArchiveError, ReadOptions, Row, Source
from serving.times import wire_time

COLUMNS = [
    "id",
    "ticket_id",
    "customer_id",
    "customer_name",
    "agent_id",
    "sent_at",
    "direction",
    "channel",
    "sender",
    "kind",
    "text",
    "media",
    "subject",
    "status",
    "priority",
    "tags",
    "satisfaction",
]
_LONGEST_LINE = 2**26
_CHARACTERS_SEARCHED = 2**20


class HelpDeskArchive(ABC):
    """An export whose records (tickets, conversations) become one row a message.

    Records are JSON lines, or lie in one of the known places of a JSON file. A record or message of
    another shape is an error row with what there was. Read as a stream: in memory is one record.

    Attributes:
        places: what ijson meets first (prefix and event) to the prefix of the records.
    """

    columns: ClassVar[list[str]] = COLUMNS
    schema = None
    format: ClassVar[str]
    places: ClassVar[Mapping[tuple[str, str], str]]

    def __init__(self, source: Source, encoding: str, options: ReadOptions) -> None:
        self.source = source
        self._encoding = encoding
        self._options = options

    @property
    @abstractmethod
    def understood(self) -> list[str]: ...

    @abstractmethod
    def read_record(self, record: dict[str, Any]) -> Iterator[Row]:
        """The messages of one record."""

    def rows(self) -> Iterator[Row]:
        """Its messages.

        Raises:
            ArchiveError: no record lies in a known place.
        """
        for row in self._records.rows():
            if row.error is None:
                yield from self.read_record(row.fields)
            else:
                yield row

    @cached_property
    def _records(self) -> JsonArchive | JsonLinesArchive:
        prefix = self._find_place()
        if not prefix.endswith("item") and self._has_lines():
            return JsonLinesArchive(self.source, self._encoding, self._options)
        return JsonArchive(self.source, self._encoding, self._options, prefix)

    def _find_place(self) -> str:
        with open_text(self.source, self._encoding) as text:
            head = Utf8(text, _CHARACTERS_SEARCHED)
            try:
                for prefix, event, _ in ijson.parse(head, multiple_values=True):
                    if (prefix, event) in self.places:
                        return self.places[prefix, event]
            except ijson.JSONError:
                pass  # cut at the end of the search, or broken
        raise ArchiveError(
            f"{self.source.name} is no export of {self.format.title()}: nothing at its beginning has"
            " that form; leave --format out to read it as JSON"
        )

    def _has_lines(self) -> bool:
        """Whether the first line is a record of its own."""
        with open_text(self.source, self._encoding, newline="\n") as text:
            line = text.readline(_LONGEST_LINE)
        try:
            return isinstance(read_json(line), dict)
        except (ValueError, RecursionError):
            return False


def begins_json(head: str) -> bool:
    return head.lstrip("\ufeff \t\r\n").startswith(("{", "["))


def message_row(fields: dict[str, Any], *, silent: bool = False) -> Row:
    """A row with all the columns."""
    return Row(dict.fromkeys(COLUMNS) | fields, silent=silent)


def broken_row(record: Any, error: str) -> Row:
    return Row({"raw": json.dumps(record, ensure_ascii=False)}, error)


def as_object(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_id(value: Any) -> str | None:
    """A value as an id; whole numbers without a point, None for NaN and what is empty."""
    return identity(value)


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def as_time(value: Any) -> str | None:
    """Seconds since 1970 as RFC 3339; a time that is text stays as it is."""
    if isinstance(value, str):
        return value
    try:
        return wire_time(value)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def as_tags(value: Any) -> str | None:
    return "|".join(map(str, value)) if isinstance(value, list) and value else None
