"""Parquet, read in batches; values are exact and the schema is kept."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serving.archives.headers import column_names
from serving.archives.row import ArchiveError, ReadOptions, Row, Source
from serving.archives.sources import seekable

_BATCH_ROWS, _BATCH_BYTES = 64, 2**22
_BUFFER_BYTES = 2**20


class ParquetArchive:
    """A Parquet file."""

    format = "parquet"

    def __init__(self, source: Source, _: ReadOptions) -> None:
        """Read the schema.

        Raises:
            ArchiveError: it is damaged or encrypted.
        """
        self.source = source
        with _opened(source) as file:
            schema, self.num_rows = file.schema_arrow, file.metadata.num_rows
        self._offset = 0
        names = column_names(schema.names, len(schema), is_header=True)
        self.schema: pa.Schema | None = pa.schema(
            [column.with_name(name) for column, name in zip(schema, names, strict=True)],
            schema.metadata,
        )
        self.columns: list[str] | None = names

    @property
    def understood(self) -> list[str]:
        """See `Archive`."""
        return [f"{self.num_rows:,} rows"]

    def slice(self, offset: int, length: int) -> ParquetArchive:
        """`length` rows from `offset` on; row groups before them are not read."""
        part = copy.copy(self)
        part._offset, part.num_rows = offset, length
        return part

    def rows(self) -> Iterator[Row]:
        """See `Archive.rows`."""
        names = self.columns or []
        with _opened(self.source) as file:
            for batch in _batches(file, self._offset, self.num_rows):
                columns = [python_values(column) for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    yield Row(dict(zip(names, cells, strict=True)))


@contextmanager
def _opened(source: Source) -> Iterator[pq.ParquetFile]:
    try:
        with (
            seekable(source) as stream,
            pq.ParquetFile(stream, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file,
        ):
            yield file
    except (pa.ArrowException, OSError) as error:
        raise ArchiveError(
            f"{source.name} is Parquet that cannot be read ({error}): copy or write it again"
        ) from error


def _batches(file: pq.ParquetFile, offset: int, length: int) -> Iterator[pa.RecordBatch]:
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    first = 0
    while first < len(sizes) and sizes[first] <= offset:
        offset -= sizes[first]
        first += 1
    groups = list(range(first, len(sizes)))
    for batch in file.iter_batches(_batch_rows(file), row_groups=groups, use_threads=False):
        part = batch.slice(min(offset, batch.num_rows), length)
        offset = max(0, offset - batch.num_rows)
        length -= part.num_rows
        yield part
        if length <= 0:
            return


def _batch_rows(file: pq.ParquetFile) -> int:
    """Rows of a batch, fewer where they are long. A text that comes again has its size once in a
    row group, so that the number alone is a bound, too.
    """
    groups = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
    size = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, size)))


def python_values(column: pa.Array) -> list[Any]:
    """Python values. A time that Python's types do not hold (with nanoseconds, or beyond the year
    9999) is its number, as Arrow keeps it; wrong bytes in a string are U+FFFD; bytes that are text
    are a string.
    """
    kind = column.type
    if getattr(kind, "unit", None) == "ns":
        return _microseconds(column)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return [_text_or_bytes(value) for value in column.to_pylist()]
    if "[ns" not in str(kind):
        with suppress(ValueError, OverflowError, LookupError):
            return list(column.to_pylist())
    return [_value(cell) for cell in column]


def _text_or_bytes(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def _microseconds(column: pa.Array) -> list[Any]:
    exact = column.cast(pa.int64()).to_pylist()
    values = column.cast(_coarser(column.type), safe=False).to_pylist()
    return [
        number if number is not None and number % 1000 else value
        for number, value in zip(exact, values, strict=True)
    ]


def _coarser(kind: pa.DataType) -> pa.DataType:
    """The type of microseconds for one of nanoseconds."""
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    return pa.duration("us") if pa.types.is_duration(kind) else pa.time64("us")


def _value(cell: pa.Scalar) -> Any:
    match cell:
        case _ if not cell.is_valid:
            return None
        case pa.MapScalar():
            return [tuple(_value(pair).values()) for pair in cell.values]
        case pa.ListScalar():
            return [_value(inner) for inner in cell.values]
        case pa.StructScalar():
            return {name: _value(inner) for name, inner in cell.items()}
    return _single_value(cell)


def _single_value(cell: pa.Scalar) -> Any:
    if getattr(cell.type, "unit", None) == "ns":
        return cell.value if cell.value % 1000 else cell.cast(_coarser(cell.type)).as_py()
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return cell.cast(pa.binary()).as_py().decode("utf-8", "replace")
    except (ValueError, OverflowError, LookupError):
        return _value(cell.value) if isinstance(cell.value, pa.Scalar) else cell.value
