"""JSON lines and JSON: values as they are, records as a stream, broken ones kept."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.archives.files import open_file, read_bytes

_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcن."), inner, max_size=3)
    ),
    max_leaves=8,
)
_RECORDS = st.lists(st.dictionaries(st.text("abcن."), _VALUES, max_size=4), max_size=8)
_TWO = [{"id": 1, "text": "سيء"}, {"id": 2, "text": "جيد"}]


def dump(value: Any, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, **options)


def read(folder: Path, text: str, written: str = "utf-8", **options: Any) -> list[dict[str, Any]]:
    rows = read_bytes(folder, text.encode(written), **options)
    assert [row.error for row in rows] == [None] * len(rows)
    return [row.fields for row in rows]


@settings(max_examples=50)
@given(_RECORDS, st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le"]), st.booleans())
def test_json_lines_come_back(records: list[Any], encoding: str, ascii_only: bool) -> None:
    lines = "".join(json.dumps(record, ensure_ascii=ascii_only) + "\r\n" for record in records)
    with TemporaryDirectory() as folder:
        assert read(Path(folder), lines, encoding, format="jsonl", encoding=encoding) == records


@settings(max_examples=50)
@given(_RECORDS, st.sampled_from([None, 2]), st.sampled_from(["", "tickets", "data.items"]))
def test_an_array_of_records_comes_back(records: list[Any], indent: int | None, place: str) -> None:
    value: Any = records
    for key in reversed(place.split(".") if place else []):
        value = {"count": 3, key: value, "next": None}
    with TemporaryDirectory() as folder:
        found = read(Path(folder), dump(value, indent=indent), format="json", encoding="utf-8")
    if records or not place:
        assert found == records
        assert not any(isinstance(leaf, Decimal) for record in found for leaf in record.values())


def test_the_format_is_found_out(tmp_path: Path) -> None:
    for text, expected in (
        ("\n".join(map(dump, _TWO)), "jsonl"),
        ("\n\n" + "\n\n".join(map(dump, _TWO)) + "\n", "jsonl"),
        (dump(_TWO), "json"),
        (dump(_TWO, indent=2), "json"),
        (dump({"messages": _TWO}, indent=1), "json"),
        (f"[\n{dump(_TWO[0])},\n{dump(_TWO[1])}\n]\n", "json"),
    ):
        assert read(tmp_path, text) == _TWO
        assert open_file(tmp_path / "archive").format == expected


def test_one_object_is_one_record(tmp_path: Path) -> None:
    assert read(tmp_path, dump(_TWO[0])) == _TWO[:1]
    assert read(tmp_path, dump({"id": 1, "tags": ["a"]})) == [{"id": 1, "tags": ["a"]}]


def test_the_longest_of_several_arrays_is_read(tmp_path: Path) -> None:
    chat = {
        "participants": [{"name": "Sara"}],
        "messages": [*_TWO, {"reactions": [{}, {}, {}, {}]}],
    }
    assert read(tmp_path, dump(chat)) == chat["messages"]
    assert open_file(tmp_path / "archive").understood == [
        "UTF-8",
        'records in "messages"',
        '1 records in "participants" left out',
    ]


def test_broken_lines_are_error_rows(tmp_path: Path) -> None:
    lines = [dump(_TWO[0]), '{"id": 7, "text": "cut', "", "[1]", "hello", dump(_TWO[1])]
    rows = read_bytes(tmp_path, "\n".join(lines).encode())
    assert [rows[0].fields, rows[4].fields] == _TWO
    assert [row.fields["raw"] for row in rows[1:4]] == ['{"id": 7, "text": "cut', "[1]", "hello"]
    errors = [str(row.error) for row in rows[1:4]]
    assert errors[0].startswith("line 2 is not JSON: ")
    assert errors[1] == "line 4 is no JSON object"


def test_numbers_keep_their_value_and_type(tmp_path: Path) -> None:
    record = '{"a": 1, "b": 1.0, "c": 12345678901234567890123, "d": -0.1e-3, "e": 1e400}'
    expected = {"a": 1, "b": 1.0, "c": 12345678901234567890123, "d": -0.0001}
    for text in f"{record}\n{record}\n", f"[{record}, {record}]":
        found = read(tmp_path, text)[1]
        assert Decimal(found.pop("e")) == Decimal("1e400")
        assert found == expected
        assert [type(value) for value in found.values()] == [int, float, int, float]


def test_what_python_writes_that_is_no_json(tmp_path: Path) -> None:
    line = '{"text": "ok", "a": NaN, "b": [-Infinity], "c": "\\ud83d"}\n'
    assert read(tmp_path, line * 2)[0] == {
        "text": "ok",
        "a": None,
        "b": ["-Infinity"],
        "c": "\ufffd",
    }


def test_nesting_without_end_is_an_error_row(tmp_path: Path) -> None:
    deep = '{"a": ' * 100_000
    rows = read_bytes(tmp_path, f"{dump(_TWO[0])}\n{deep}\n{dump(_TWO[1])}\n".encode())
    assert [row.error is None for row in rows] == [True, False, True]
    assert rows[1].fields["raw"] == deep


def test_a_file_that_breaks_off_keeps_what_was_read(tmp_path: Path) -> None:
    whole = dump([{"id": i, "text": "متأخر"} for i in range(5000)])
    rows = read_bytes(tmp_path, whole[:-30].encode())
    assert [row.fields["id"] for row in rows[:-1]] == list(range(4999))
    assert rows[-1].fields["raw"].endswith(whole[:-30][-100:])
    assert str(rows[-1].error).startswith("the file is no JSON after record 4,999 (parse error: ")


def test_members_of_an_array_that_are_no_objects(tmp_path: Path) -> None:
    rows = read_bytes(tmp_path, b'[{"id": 1}, "hello", [2], {"id": 3}]')
    assert [row.fields for row in rows] == [
        {"id": 1},
        {"raw": '"hello"'},
        {"raw": "[2]"},
        {"id": 3},
    ]
    assert rows[1].error == "record 2 is no JSON object"


def test_wrong_bytes_are_shown_and_end_nothing(tmp_path: Path) -> None:
    for raw in b'{"text": "a\xffb"}\n{"text": "c"}\n', b'[{"text": "a\xffb"}, {"text": "c"}]':
        rows = read_bytes(tmp_path, raw, encoding="utf-8")
        assert [row.fields for row in rows] == [{"text": "a\ufffdb"}, {"text": "c"}]


@pytest.mark.parametrize("text", ["[]", "[ ]\n"])
def test_an_empty_array(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, text) == []


def test_lines_that_are_longer_than_the_head(tmp_path: Path) -> None:
    records = [{"id": i, "text": "متأخر" * 20_000, "tags": [{"a": 1}]} for i in range(3)]
    assert read(tmp_path, "\n" + "\n".join(map(dump, records)) + "\n") == records
    assert open_file(tmp_path / "archive").format == "jsonl"
    assert read(tmp_path, dump(records)) == records


@settings(max_examples=20)
@given(st.integers(0, 2**16))
def test_constants_in_an_array_wherever_a_block_ends(padding: int) -> None:
    text = 'NaN \\" -Infinity \\\\'
    record = '{"pad": "%s", "a": NaN, "b": [-Infinity, Infinity], "text": "%s"}'
    records = [record % ("x" * padding, text), *[record % ("", text)] * 1500]
    with TemporaryDirectory() as folder:
        found = read(Path(folder), f"[{','.join(records)}]", format="json", encoding="utf-8")
    assert len(found) == 1501
    for row in found:
        assert row["a"] is None
        assert row["b"] == ["-Infinity", "Infinity"]
        assert row["text"] == 'NaN " -Infinity \\'
