"""Rows in chunks: the unit of batching, checkpoint and distribution.

A scored chunk is a Parquet file in the work folder, with a row for each row of the archives:

    source   name of the source
    input    the fields as they were read: JSON text, or, where all archives have a schema, a struct
    message  struct of `row.Message`; null where the row holds none
    abuse …  the columns of the output (`SCORES`); null where the row was not scored
    error    why it was not scored; null where it was, or holds no message

Its metadata `kinds` tell which fields the JSON texts have, in order, and kinds of values in each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from model import Verdict
from model.labels import LABELS, SENTIMENTS, SIGNS
from serving.archives.encodings import bytes_as_text
from serving.archives.row import Judged, Message, Row
from serving.archives.verdicts import Key, key_of
from serving.messages import replace_surrogates

ROWS = 4_096
_CHARACTERS = 2**22
"""Characters, bytes and values after which a chunk ends early, so that memory stays bounded."""

SCORES = pa.schema(
    [
        *((name, pa.float64()) for name in (*LABELS, *SENTIMENTS)),
        ("labels", pa.list_(pa.string())),
        ("threat_kind", pa.string()),
        *((name, pa.float64()) for name in SIGNS),
        ("language", pa.string()),
        ("needs_review", pa.bool_()),
        ("truncated", pa.bool_()),
        ("model", pa.string()),
    ]
)
"""Columns of the output that the model fills."""

_ROLES = [field.name for field in fields(Message)]
_TYPES = {"at": pa.float64(), "unread": pa.list_(pa.string()), "has_side": pa.bool_()}
_MESSAGE = pa.struct([(name, _TYPES.get(name, pa.string())) for name in _ROLES])
KINDS = b"kinds"

Origin = TypeVar("Origin")

_EXACT_FLOATS = 2**53
_LONGEST = 2**63

Kinds = dict[str, set[str]]
"""Kinds of the values of each field, in the order of the fields. string, bool, date; int (exact as a
float), long (up to 64 bits), float; moment (a time without zone), instant; json (nested, longer)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of an archive with what it was understood as: a message, an error, or neither."""

    source: str
    row: Row
    message: Message | None = None
    error: str | None = None


@dataclass(frozen=True)
class Chunk:
    """Rows in the order of the archives.

    Attributes:
        number: of the chunk, from 0.
        first_row: number of its first row in the output, from 1.
    """

    number: int
    first_row: int
    entries: Sequence[Entry]

    @cached_property
    def keys(self) -> list[Key | None]:
        """The key of each row's text."""
        return [key_of(e.message.text) if e.message else None for e in self.entries]

    @cached_property
    def texts(self) -> dict[Key, str]:
        """Different texts by their keys, in order."""
        pairs = zip(self.keys, self.entries, strict=True)
        return {key: entry.message.text for key, entry in pairs if key and entry.message}

    def judged(self, verdicts: Mapping[Key, Verdict]) -> Iterator[Judged]:
        """Its messages."""
        for row, (key, entry) in enumerate(
            zip(self.keys, self.entries, strict=True), self.first_row
        ):
            if key and entry.message:
                yield Judged(row, entry.source, entry.message, verdicts[key])


def cut(rows: Iterable[tuple[Origin, Row]]) -> Iterator[list[tuple[Origin, Row]]]:
    """Rows, with where they come from, by chunks; a function of the rows alone."""
    part: list[tuple[Origin, Row]] = []
    characters = 0
    for origin, row in rows:
        part.append((origin, row))
        characters += size_of(row.fields)
        if len(part) == ROWS or characters >= _CHARACTERS:
            yield part
            part, characters = [], 0
    if part:
        yield part


def size_of(value: Any) -> int:
    """Characters and bytes in a value, however deep."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(size_of, value.values()))
    return sum(map(size_of, value)) if isinstance(value, list) else 1


def to_table(
    chunk: Chunk, verdicts: Mapping[Key, Verdict], schema: pa.Schema | None = None
) -> pa.Table:
    """A scored chunk; `schema` is that of the input where all archives have one."""
    entries = chunk.entries
    scores = [_scores(verdicts[key]) if key else {} for key in chunk.keys]
    table = pa.table(
        {
            "source": pa.array([entry.source for entry in entries], pa.string()),
            "input": _inputs([entry.row.fields for entry in entries], schema),
            "message": pa.array([_roles(entry.message) for entry in entries], _MESSAGE),
            **{name: _column(scores, name, SCORES.field(name).type) for name in SCORES.names},
            "error": pa.array([entry.error for entry in entries], pa.string()),
        }
    )
    kinds = {} if schema else kinds_of(entry.row.fields for entry in entries)
    return table.replace_schema_metadata({KINDS: write_kinds(kinds)})


def _inputs(rows: Sequence[Mapping[str, Any]], schema: pa.Schema | None) -> pa.Array:
    if schema is None:
        return pa.array([_to_json(row) for row in rows], pa.string())
    return pa.StructArray.from_arrays(
        [_column(rows, field.name, field.type) for field in schema], fields=list(schema)
    )


def _column(rows: Sequence[Mapping[str, Any]], name: str, kind: pa.DataType) -> pa.Array:
    return pa.array([row.get(name) for row in rows], kind)


def _to_json(row: Mapping[str, Any]) -> str:
    return replace_surrogates(json.dumps(row, ensure_ascii=False, default=_to_text))


def _to_text(value: Any) -> str:
    return bytes_as_text(value) if isinstance(value, bytes) else str(value)


def _roles(message: Message | None) -> dict[str, Any] | None:
    return {name: getattr(message, name) for name in _ROLES} if message else None


def _scores(verdict: Verdict) -> dict[str, Any]:
    return {
        **verdict.scores,
        **verdict.sentiment,
        **verdict.signs,
        "labels": list(verdict.labels),
        "threat_kind": verdict.likeliest_threat,
        "language": verdict.language,
        "needs_review": verdict.needs_review,
        "truncated": verdict.truncated,
        "model": verdict.model,
    }


def kinds_of(rows: Iterable[Mapping[str, Any]]) -> Kinds:
    kinds: Kinds = {}
    for row in rows:
        for name, value in row.items():
            found = kinds.setdefault(name, set())
            if value is not None:
                found.add("string" if type(value) is str else _kind(value))
    return kinds


def _kind(value: Any) -> str:
    match value:
        case bool() | float():
            return type(value).__name__
        case int():
            size = abs(value)
            return "int" if size <= _EXACT_FLOATS else "long" if size < _LONGEST else "json"
        case datetime():
            return "instant" if value.tzinfo else "moment"
        case date():
            return "date"
        case list() | dict():
            return "json"
    return "string"


def write_kinds(kinds: Kinds) -> bytes:
    return json.dumps({replace_surrogates(n): sorted(found) for n, found in kinds.items()}).encode()


def read_kinds(schema: pa.Schema) -> Kinds:
    """Of a chunk's file."""
    return {name: set(found) for name, found in json.loads(schema.metadata[KINDS]).items()}


@dataclass(frozen=True, slots=True)
class Scored:
    """A row of a chunk's file; `scores` are its columns of the output (`SCORES`)."""

    source: str
    message: Message | None
    scores: dict[str, Any]
    error: str | None


def read_scored(path: Path) -> Iterator[Scored]:
    """The rows of a chunk's file."""
    table = pq.read_table(path, columns=["source", "message", *SCORES.names, "error"])
    sources, errors = table["source"].to_pylist(), table["error"].to_pylist()
    messages = map(_message, table["message"].to_pylist())
    scores = table.select(SCORES.names).to_pylist()
    return map(Scored, sources, messages, scores, errors)


def _message(roles: dict[str, Any] | None) -> Message | None:
    return Message(**roles | {"unread": tuple(roles["unread"])}) if roles else None
