"""What the readers of archives hand on: files, rows, and the messages in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa

from model import Verdict


class ArchiveError(Exception):
    """An archive, or an option about it, that cannot be used; says what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record of an archive, as it was read.

    Attributes:
        fields: input columns in their order, with the values of the file: strings from CSV, JSON
            values from JSON, Python values of the schema's types from Parquet.
        error: why the record cannot be read; `fields` then holds what there was, under `raw`.
        silent: it holds no message (a system line, a picture without words): nothing to score, and
            no error.
    """

    fields: dict[str, Any]
    error: str | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """The message in a row, by the roles of its columns; None where the row does not tell.

    Attributes:
        text: what to score.
        customer: who, by the one way to write the id (`identities.customer_key`).
        at: seconds since 1970, UTC.
        direction: in (from the customer) or out (from the company).
        unread: roles whose values are there and could not be understood (sent_at, direction).
        has_side: the row tells its direction; otherwise it is taken as in.
        customer_written: the customer's id as the row writes it, where that differs.
        name: of the customer, where the customer wrote the message.
    """

    text: str
    id: str | None = None
    customer: str | None = None
    at: float | None = None
    direction: str = "in"
    channel: str = ""
    ticket: str | None = None
    agent: str | None = None
    unread: tuple[str, ...] = ()
    has_side: bool = False
    customer_written: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A message of an archive and what the model said of it.

    Attributes:
        row: number of its row in the output, from 1.
        source: name of the source that it lies in.
        verdict: None where the message was not scored.
    """

    row: int
    source: str
    message: Message
    verdict: Verdict | None = None

    @property
    def id(self) -> str:
        """The message's id, or else the number of its row."""
        return self.message.id or str(self.row)


class Source(Protocol):
    """A file, a member of a zip, or standard input kept on disk; unpacked while it is read.

    Attributes:
        name: as shown and as written to the column `source_file`.
        path: the file that it lies in.
    """

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> Path: ...

    def open(self) -> BinaryIO:
        """Its unpacked bytes from the beginning.

        Raises:
            ArchiveError: (while reading) it is damaged, or unpacks beyond the limit.
        """
        ...

    def fingerprint(self) -> str:
        """Changes when its content does (path, size, time of change, hash of its ends)."""
        ...


class Archive(Protocol):
    """A source in one format, ready to be read, as often as wanted, with the same rows each time.

    Attributes:
        format: csv, tsv, jsonl, json, parquet, excel, whatsapp, zendesk or chatwoot.
        columns: the input columns, where the format names them before the rows.
        schema: the columns' types, where the format has types.
        understood: short statements of what was found out ("UTF-16", "semicolons between columns").
    """

    @property
    def source(self) -> Source: ...

    @property
    def format(self) -> str: ...

    @property
    def columns(self) -> list[str] | None: ...

    @property
    def schema(self) -> pa.Schema | None: ...

    @property
    def understood(self) -> list[str]: ...

    def rows(self) -> Iterator[Row]:
        """All rows from the beginning; several iterations may be under way at once."""
        ...


@dataclass(frozen=True)
class ReadOptions:
    """How to read archives where the user says more than the files tell.

    Attributes:
        format: one of the formats; None finds out by content.
        encoding: of text files; None finds out.
        delimiter: between columns of CSV; None finds out.
        company: names under which the company writes in chats.
        incoming: values of the column of directions that mean from the customer, where they are not
            words for it (`0`); every other value then means from the company.
        date_order: dmy, mdy or ymd; None finds out.
        timezone: of times that name none.
        unpack_limit: bytes that one source may unpack to.
        columns: role to column (`columns.ROLES`); roles that are not named are found by column
            names.
    """

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    company: frozenset[str] = frozenset()
    incoming: frozenset[str] = frozenset()
    date_order: str | None = None
    timezone: str = "UTC"
    unpack_limit: int = 100 * 2**30
    columns: dict[str, str] = field(default_factory=dict)
