"""Scored chunks, and the customers' lines, as one file: Parquet, CSV or JSON lines by its suffix."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, time
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from model.spreadsheet import guard
from serving.archives.chunks import SCORES, Kinds, read_kinds
from serving.archives.encodings import bytes_as_text
from serving.archives.parquet import python_values
from serving.archives.understood import UNDERSTOOD, understood

_WITH_SEVERAL = {"source_file", "understood_text"}
"""With one archive the first says nothing, and the second would only repeat a column."""

_ROW_GROUP = 2**16
_MARK = "\ufeff"
_JOINT = "|"

_TEXTS = {"string", "date", "moment", "instant"}
_SINGLE_KINDS = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "long": pa.int64(),
    "float": pa.float64(),
    "date": pa.date32(),
    "moment": pa.timestamp("us"),
    "instant": pa.timestamp("us", tz="UTC"),
}

Record = dict[str, Any]


def type_of(kinds: set[str]) -> pa.DataType | None:
    """The one type of values of these kinds; None where only their JSON text can hold them all."""
    if kinds <= {"int", "float"} and len(kinds) == 2:
        return pa.float64()
    if kinds == {"int", "long"}:
        return pa.int64()
    if len(kinds) == 1 and (single := _SINGLE_KINDS.get(min(kinds))) is not None:
        return single
    return pa.string() if kinds <= _TEXTS else None


@dataclass(frozen=True)
class Layout:
    """The columns of an output.

    Attributes:
        names: of the input columns: from the archive's to the output's.
        types: of the input columns; None for JSON text.
        typed: the archives had a schema; else the chunks hold JSON texts.
        several: there are several archives.
    """

    names: dict[str, str]
    types: list[pa.DataType | None]
    typed: bool
    several: bool

    @property
    def schema(self) -> pa.Schema:
        types = [pa.string() if kind is None else kind for kind in self.types]
        inputs = list(zip(self.names.values(), types, strict=True))
        return pa.schema([*inputs, *added(self.several)])


def added(several: bool) -> pa.Schema:
    """The columns after the input's."""
    ours = [pa.field("source_file", pa.string()), *UNDERSTOOD, *SCORES]
    wanted = [one for one in ours if several or one.name not in _WITH_SEVERAL]
    return pa.schema([*wanted, pa.field("error", pa.string())])


def plan(
    files: Sequence[Path], schema: pa.Schema | None, columns: Sequence[str], several: bool
) -> Layout:
    """The columns over all chunks.

    Args:
        files: of the chunks.
        schema: of the input, where all archives have one.
        columns: those that archives name, which come first.
        several: there are several archives.
    """
    if schema is not None:
        types: dict[str, pa.DataType | None] = {field.name: field.type for field in schema}
    else:
        kinds: Kinds = {name: set() for name in columns}
        for file in files:
            for name, found in read_kinds(pq.read_schema(file)).items():
                kinds.setdefault(name, set()).update(found)
        types = {name: type_of(found) for name, found in kinds.items()}
    names = _free_names(list(types), set(added(several).names))
    return Layout(names, list(types.values()), schema is not None, several)


def _free_names(columns: Sequence[str], reserved: set[str]) -> dict[str, str]:
    """A column with a name of ours becomes `input_<name>`."""
    names = {}
    for column in columns:
        name = column
        while name in reserved or (name != column and name in columns):
            name = "input_" + name
        names[column] = name
    return names


def write_chunks(target: Path, suffix: str, files: Sequence[Path], layout: Layout) -> None:
    """Write the rows of all chunks, in order."""
    chunks = (pq.read_table(file) for file in files)
    if suffix == ".parquet":
        write_parquet(target, layout.schema, (to_output(chunk, layout) for chunk in chunks))
    else:
        records = (record for chunk in chunks for record in _records(chunk, layout))
        _WRITERS[suffix](target, layout.schema.names, records, {"labels"})


def write_records(target: Path, suffix: str, schema: pa.Schema, records: Iterable[Record]) -> None:
    """Write records of one schema."""
    if suffix == ".parquet":
        left = iter(records)
        parts = iter(lambda: list(islice(left, _ROW_GROUP)), [])
        tables = (pa.Table.from_pylist(part, schema) for part in parts)
        write_parquet(target, schema, tables)
    else:
        lists = {field.name for field in schema if pa.types.is_list(field.type)}
        _WRITERS[suffix](target, schema.names, records, lists)


def to_output(chunk: pa.Table, layout: Layout) -> pa.Table:
    """The rows of a chunk as the output has them."""
    if layout.typed:
        inputs = chunk["input"].combine_chunks().flatten()
    else:
        rows = [json.loads(text) for text in chunk["input"].to_pylist()]
        inputs = [
            _typed([row.get(name) for row in rows], kind)
            for name, kind in zip(layout.names, layout.types, strict=True)
        ]
    told = [understood(message) for message in chunk["message"].to_pylist()]
    ours = {one.name: _typed([row[one.name] for row in told], one.type) for one in UNDERSTOOD}
    ours |= {"source_file": chunk["source"], "error": chunk["error"]}
    ours |= {name: chunk[name] for name in SCORES.names}
    columns = [ours[name] for name in added(layout.several).names]
    return pa.table([*inputs, *columns], schema=layout.schema)


def _typed(values: list[Any], kind: pa.DataType | None) -> pa.Array:
    if kind is None:
        texts = [None if v is None else json.dumps(v, ensure_ascii=False) for v in values]
        return pa.array(texts, pa.string())
    if pa.types.is_temporal(kind):
        return pa.array(values, pa.string()).cast(kind)
    if pa.types.is_floating(kind):
        return pa.array([None if v is None else float(v) for v in values], kind)
    return pa.array(values, kind)


def write_parquet(target: Path | BinaryIO, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write tables of one schema, in row groups of a size that is good to read."""
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for group in _groups(tables):
            writer.write_table(group, row_group_size=_ROW_GROUP)


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Tables put together until they fill a row group, by rows or by size."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        rows, size = sum(t.num_rows for t in waiting), sum(t.nbytes for t in waiting)
        if rows >= _ROW_GROUP or size >= 2**25:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _records(chunk: pa.Table, layout: Layout) -> Iterator[dict[str, Any]]:
    """Rows with values fit for CSV and JSON: as they were in the archive, times as text."""
    names = added(layout.several).names
    rows = chunk.select(["source", "message", *SCORES.names, "error"]).to_pylist()
    for fields, row in zip(_fields(chunk, layout), rows, strict=True):
        inputs = {layout.names[name]: value for name, value in fields.items()}
        ours = row | understood(row["message"]) | {"source_file": row["source"]}
        yield inputs | {name: ours[name] for name in names}


def _fields(chunk: pa.Table, layout: Layout) -> Iterator[dict[str, Any]]:
    if layout.typed:
        columns = [_plain(column) for column in chunk["input"].combine_chunks().flatten()]
        rows = zip(*columns, strict=True) if columns else iter([()] * chunk.num_rows)
        return (dict(zip(layout.names, row, strict=True)) for row in rows)
    return (json.loads(text) for text in chunk["input"].to_pylist())


def _plain(column: pa.Array) -> list[Any]:
    if pa.types.is_temporal(column.type) and not pa.types.is_duration(column.type):
        with suppress(pa.ArrowInvalid):  # a time zone that this machine does not know
            column = column.cast(pa.string())
    return python_values(column)


def _write_csv(
    target: Path, columns: Sequence[str], records: Iterable[Record], lists: Collection[str]
) -> None:
    """RFC 4180 with a mark, which tells spreadsheets that it is UTF-8; `lists` are joined by `|`."""
    with _open(target) as stream:
        stream.write(_MARK)
        writer = csv.writer(stream)
        writer.writerow([guard(name) for name in columns])
        for record in records:
            values = record | {name: _JOINT.join(record.get(name) or ()) for name in lists}
            writer.writerow([_cell(values.get(name)) for name in columns])


def _cell(value: Any) -> Any:
    match value:
        case str():
            return guard(value)
        case bool():
            return "true" if value else "false"
        case list() | dict():
            return guard(_to_json(value))
        case bytes():
            return guard(bytes_as_text(value))
    return value


def _write_jsonl(
    target: Path, _: Sequence[str], records: Iterable[Record], __: Collection[str]
) -> None:
    with _open(target) as stream:
        stream.writelines(_to_json(record) + "\n" for record in records)


def _to_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_to_text)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=_to_text)


def _to_text(value: Any) -> str:
    if isinstance(value, bytes):
        return bytes_as_text(value)
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [_finite(item) for item in value]
        case dict():
            return {name: _finite(item) for name, item in value.items()}
    return value


def _open(target: Path) -> IO[str]:
    return target.open("w", encoding="utf-8", newline="")


_WRITERS: dict[str, Callable[..., None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
}
