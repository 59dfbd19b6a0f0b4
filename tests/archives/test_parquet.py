"""Parquet: exact values of every type, in batches, with the schema."""

from __future__ import annotations

import datetime as dt
import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.archives.row import ArchiveError
from tests.archives.files import open_file, read_fields

_NOON = dt.datetime(2024, 3, 1, 12, 0, 0, 123456)
_COLUMNS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "text": (pa.string(), ["سيء 💔", ""]),
    "large": (pa.large_string(), ["a", "b"]),
    "whole": (pa.int64(), [2**63 - 1, -5]),
    "unsigned": (pa.uint64(), [2**64 - 1, 0]),
    "real": (pa.float64(), [0.1, -1e300]),
    "money": (pa.decimal128(20, 2), [Decimal("1.10"), Decimal("-2.00")]),
    "yes": (pa.bool_(), [True, False]),
    "day": (pa.date32(), [dt.date(2024, 2, 29), dt.date(1, 1, 1)]),
    "hour": (pa.time64("us"), [dt.time(1, 2, 3, 4), dt.time()]),
    "at": (pa.timestamp("us"), [_NOON, dt.datetime(1900, 1, 1)]),
    "at_utc": (pa.timestamp("ms", "UTC"), [dt.datetime(2024, 3, 1, tzinfo=dt.UTC)] * 2),
    "at_ns": (pa.timestamp("ns"), [_NOON, 1_700_000_000_123_456_789]),
    "took": (pa.duration("us"), [dt.timedelta(days=3, microseconds=1), dt.timedelta(-1)]),
    "raw_bytes": (pa.binary(), [b"\x00\xff", b"\xfe"]),
    "tags": (pa.list_(pa.string()), [["a", None], []]),
    "from": (pa.struct([("name", pa.string())]), [{"name": "x"}, {"name": None}]),
    "kind": (pa.dictionary(pa.int32(), pa.string()), ["chat", "mail"]),
    "extra": (pa.map_(pa.string(), pa.int32()), [[("k", 1)], []]),
}


def write(path: Path, table: pa.Table, **options: Any) -> Path:
    pq.write_table(table, path, **options)
    return path


def test_every_type_comes_back_exactly_and_can_be_written_again(tmp_path: Path) -> None:
    arrays = {n: pa.array([*values, None], kind) for n, (kind, values) in _COLUMNS.items()}
    table = pa.table(arrays)
    path = write(tmp_path / "a", table)
    archive, rows = open_file(path), read_fields(path)
    for name, (_, values) in _COLUMNS.items():
        assert [row[name] for row in rows] == [*values, None], name
    assert archive.columns == list(_COLUMNS)
    assert archive.schema is not None
    assert archive.schema.equals(pq.read_schema(path))
    again = {
        field.name: pa.array([row[field.name] for row in rows], field.type)
        for field in archive.schema
    }
    assert pa.table(again, schema=archive.schema).equals(pq.read_table(path))


def test_values_that_python_cannot_hold(tmp_path: Path) -> None:
    wrong = pa.array([b"a\xffb", b"ok"], pa.binary()).view(pa.string())
    far = pa.array([2**60, 0], pa.timestamp("us"))
    rows = read_fields(write(tmp_path / "a", pa.table({"text": wrong, "at": far})))
    assert rows == [
        {"text": "a\ufffdb", "at": 2**60},
        {"text": "ok", "at": dt.datetime(1970, 1, 1)},
    ]


_FAR, _FINE = 2**60, 1_700_000_000_123_456_789
"""Microseconds beyond the year 9999, and nanoseconds that are no microseconds."""


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.list_(pa.timestamp("us")), [[_FAR, None], [dt.datetime(1970, 1, 1)]]),
        (pa.list_(pa.timestamp("ns", "UTC")), [[_FINE], []]),
        (pa.struct([("at", pa.timestamp("us"))]), [{"at": _FAR}, {"at": None}]),
        (pa.map_(pa.string(), pa.timestamp("us")), [[("k", _FAR)], []]),
        (pa.list_(pa.struct([("took", pa.list_(pa.duration("ns")))])), [[{"took": [1001]}], []]),
    ],
)
def test_times_that_python_cannot_hold_within_other_values(
    kind: pa.DataType, values: list[Any], tmp_path: Path
) -> None:
    column = pa.array([*values, None], kind)
    found = read_fields(write(tmp_path / "a", pa.table({"x": column})))
    assert [row["x"] for row in found] == [*values, None]
    assert pa.array([row["x"] for row in found], kind).equals(column)


def test_text_that_is_kept_as_bytes_is_text(tmp_path: Path) -> None:
    kept = ["سيء".encode(), b"\xff\x00", b"", None]
    for kind in (pa.binary(), pa.large_binary()):
        path = write(tmp_path / "a", pa.table({"x": pa.array(kept, kind)}))
        found = [row["x"] for row in read_fields(path)]
        assert found == ["سيء", b"\xff\x00", "", None]
        assert pa.array(found, kind).to_pylist() == kept


@pytest.mark.parametrize("same", [True, False])
def test_long_texts_are_read_a_few_at_a_time(same: bool, tmp_path: Path) -> None:
    texts = [f"{0 if same else i} " + "x" * 2**20 for i in range(150)]
    path = write(tmp_path / "a", pa.table({"text": texts}), data_page_size=2**20, row_group_size=50)
    del texts
    before, most = pa.total_allocated_bytes(), 0
    for _ in open_file(path).rows():
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 2**27


def test_row_groups_are_read_in_order(tmp_path: Path) -> None:
    table = pa.table({"id": range(20_000), "text": ["t"] * 20_000})
    path = write(tmp_path / "a", table, row_group_size=3000)
    assert [row["id"] for row in read_fields(path)] == list(range(20_000))


def test_columns_of_one_name(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array(["x"])], names=["a", "a"])
    path = write(tmp_path / "a", table)
    assert read_fields(path) == [{"a": 1, "a_2": "x"}]
    assert open_file(path).schema == pa.schema([("a", pa.int64()), ("a_2", pa.string())])


def test_a_packed_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a", pa.table({"text": ["x"]}))
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert read_fields(path) == [{"text": "x"}]
    with pytest.raises(ArchiveError, match="unpacks to more than"):
        open_file(path, unpack_limit=100)


def test_no_rows(tmp_path: Path) -> None:
    assert read_fields(write(tmp_path / "a", pa.table({"text": pa.array([], pa.string())}))) == []


@pytest.mark.parametrize("damage", ["cut", "page", "empty"])
def test_a_damaged_file(damage: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a", pa.table({"text": [f"message {i}" for i in range(9000)]}))
    whole = path.read_bytes()
    page = whole[:4] + b"\xff" * 2000 + whole[2004:]
    path.write_bytes({"cut": whole[:-50], "page": page, "empty": b"PAR1"}[damage])
    with pytest.raises(ArchiveError, match="is Parquet that cannot be read"):
        list(open_file(path).rows())
