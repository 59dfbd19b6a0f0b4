"""Scored chunks as one file: every column with its values and its one type."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.archives.chunks import SCORES, Chunk, Entry, cut, to_table
from serving.archives.output import plan, write_chunks, write_records
from serving.archives.row import Message, Row
from serving.archives.verdicts import key_of
from tests.helpers import Json, verdict

_NOON = datetime(2024, 3, 4, 12, 30)


def write(
    folder: Path,
    suffix: str,
    chunks: Sequence[Sequence[Json]],
    schema: pa.Schema | None = None,
    columns: Sequence[str] = (),
    several: bool = False,
) -> Path:
    """Write rows, of which the ones with a text are scored, as one output."""
    files = []
    for number, rows in enumerate(chunks):
        found = [Entry("a.csv", Row(row), _message(row), _error(row)) for row in rows]
        chunk = Chunk(number, 1, found)
        verdicts = {key: verdict(text) for key, text in chunk.texts.items()}
        files.append(folder / f"{number}.parquet")
        pq.write_table(to_table(chunk, verdicts, schema), files[-1])
    target = folder / f"out{suffix}"
    write_chunks(target, suffix, files, plan(files, schema, columns, several))
    return target


def _message(row: Json) -> Message | None:
    return Message(row["text"]) if isinstance(row.get("text"), str) else None


def _error(row: Json) -> str | None:
    return None if "text" in row else "no text"


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def read_jsonl(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def parquet_types(path: Path, *names: str) -> list[str]:
    schema = pq.read_schema(path)
    return [str(schema.field(name).type) for name in names]


def test_columns_come_in_the_promised_order(tmp_path: Path) -> None:
    promised = re.findall(
        r"\w+",
        """n text source_file understood_customer understood_sent_at understood_direction
        understood_text abuse threat accusation negative neutral positive labels threat_kind
        off_channel out_of_scope refund_demand escalation leaving distress language needs_review
        truncated model error""",
    )
    for suffix in (".parquet", ".csv"):
        path = write(tmp_path, suffix, [[{"n": 1, "text": "hello"}]], several=True)
        found = read_csv(path)[0] if suffix == ".csv" else pq.read_schema(path).names
        assert list(found) == promised


@pytest.mark.parametrize(
    ("chunks", "type_", "values"),
    [
        pytest.param([["a", None], ["b"]], "string", ["a", None, "b"], id="strings"),
        pytest.param([[1, None], [2]], "int64", [1, None, 2], id="integers"),
        pytest.param([[1, 2], [2.5]], "double", [1.0, 2.0, 2.5], id="integers and floats"),
        pytest.param([[2**60], [1]], "int64", [2**60, 1], id="large integers"),
        pytest.param([[2**60], [0.5]], "string", ["1152921504606846976", "0.5"], id="inexact"),
        pytest.param(
            [[2**70, 1]], "string", ["1180591620717411303424", "1"], id="larger than 64 bits"
        ),
        pytest.param([[True], [False]], "bool", [True, False], id="booleans"),
        pytest.param([[True, 1]], "string", ["true", "1"], id="booleans and integers"),
        pytest.param([[1], ["a"]], "string", ["1", '"a"'], id="mixed"),
        pytest.param([[{"a": [1]}], ["b"]], "string", ['{"a": [1]}', '"b"'], id="nested"),
        pytest.param([[None], [None]], "string", [None, None], id="nothing"),
        pytest.param([[_NOON]], "timestamp[us]", [_NOON], id="times without zone"),
        pytest.param(
            [[_NOON.replace(tzinfo=UTC)]],
            "timestamp[us, tz=UTC]",
            [_NOON.replace(tzinfo=UTC)],
            id="instants",
        ),
        pytest.param([[date(2024, 3, 4)]], "date32[day]", [date(2024, 3, 4)], id="dates"),
        pytest.param(
            [[_NOON], ["later"]], "string", ["2024-03-04 12:30:00", "later"], id="times and words"
        ),
        pytest.param([[time(12, 30)]], "string", ["12:30:00"], id="hours"),
    ],
)
def test_a_column_gets_one_type_over_all_chunks(
    tmp_path: Path, chunks: list[list[Any]], type_: str, values: list[Any]
) -> None:
    path = write(tmp_path, ".parquet", [[{"v": v} for v in chunk] for chunk in chunks])
    assert parquet_types(path, "v") == [type_]
    assert pq.read_table(path)["v"].to_pylist() == values


def test_json_lines_keep_the_value_of_each_row(tmp_path: Path) -> None:
    rows: list[Json] = [{"v": v} for v in (1, 2.5, "a", None, [1, {"b": "ش"}], True, 2**70)]
    found = read_jsonl(write(tmp_path, ".jsonl", [rows[:3], rows[3:], [{"w": 1}]]))
    assert [row["v"] for row in found[:-1]] == [row["v"] for row in rows]
    assert [type(row["v"]) for row in found[:-1]] == [type(row["v"]) for row in rows]
    assert "v" not in found[-1]


def test_the_schema_of_the_input_is_kept_exactly(tmp_path: Path) -> None:
    schema = pa.schema(
        [
            ("text", pa.large_string()),
            ("at", pa.timestamp("ns", tz="Africa/Cairo")),
            ("price", pa.decimal128(12, 3)),
            ("tags", pa.list_(pa.string())),
            ("n", pa.int8()),
            ("kind", pa.dictionary(pa.int32(), pa.string())),
        ]
    )
    row: Json = {"text": "hello", "at": 1_700_000_000_123_456_789, "price": Decimal("1.250")}
    row |= {"tags": ["a", "b"], "n": 3, "kind": "x"}
    empty = dict.fromkeys(schema.names)
    path = write(tmp_path, ".parquet", [[row], [empty]], schema)
    assert list(pq.read_schema(path))[: len(schema)] == list(schema)
    expected = pa.Table.from_pylist([row, empty], schema)
    assert pq.read_table(path).select(schema.names).equals(expected)
    (line, _) = read_jsonl(write(tmp_path, ".jsonl", [[row], [empty]], schema))
    assert line["at"].startswith("2023-11-15 00:13:20.123456789")
    assert (line["price"], line["tags"], line["kind"]) == ("1.250", ["a", "b"], "x")


def test_columns_with_our_names_are_kept_under_other_names(tmp_path: Path) -> None:
    row: Json = {"abuse": "x", "input_abuse": "y", "source_file": "z", "text": "hello"}
    (found,) = read_csv(write(tmp_path, ".csv", [[row]]))
    assert (found["input_input_abuse"], found["input_abuse"], found["source_file"]) == (
        "x",
        "y",
        "z",
    )
    assert found["abuse"] == "0.05"
    (found,) = read_csv(write(tmp_path, ".csv", [[row]], several=True))
    assert (found["input_source_file"], found["source_file"]) == ("z", "a.csv")


def test_columns_that_the_archive_names_come_first_even_without_rows(tmp_path: Path) -> None:
    path = write(tmp_path, ".csv", [], columns=["b", "a"])
    assert path.read_text(encoding="utf-8-sig").startswith("b,a,understood_customer,")
    path = write(tmp_path, ".parquet", [[{"c": 1, "a": 1}]], columns=["b", "a"])
    assert pq.read_schema(path).names[:3] == ["b", "a", "c"]


# --- CSV ---


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1-800", "'+1-800"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("-5", "-5"),
        ("+201234567", "+201234567"),
        ("-1,234.5e-3", "-1,234.5e-3"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_no_text_is_taken_for_a_formula(tmp_path: Path, text: str, cell: str) -> None:
    path = write(tmp_path, ".csv", [[{"text": "hello", "v": text, text: 1}]])
    (found,) = read_csv(path)
    assert found["v"] == cell
    assert found[cell] == "1"


def test_csv_is_utf_8_with_a_mark_and_lines_of_rfc_4180(tmp_path: Path) -> None:
    content = write(tmp_path, ".csv", [[{"text": 'a "b", ش\nc'}]]).read_bytes()
    assert content.startswith(b"\xef\xbb\xbftext,understood_customer,")
    assert '"a ""b"", ش\nc"'.encode() in content
    assert content.count(b"\r\n") == 2


def test_csv_joins_labels_and_writes_nested_values_as_json(tmp_path: Path) -> None:
    rows: list[Json] = [{"v": v} for v in (["a", "b"], {"a": 1}, [], True, None, 1.5)]
    found = read_csv(write(tmp_path, ".csv", [rows]))
    assert [row["v"] for row in found] == ['["a", "b"]', '{"a": 1}', "[]", "true", "", "1.5"]
    assert {row["labels"] for row in found} == {""}
    target = tmp_path / "lines.csv"
    schema = pa.schema([("id", pa.string()), ("evidence", pa.list_(pa.string()))])
    write_records(target, ".csv", schema, [{"id": "a", "evidence": ["1", "2"]}, {"id": "b"}])
    assert [row["evidence"] for row in read_csv(target)] == ["1|2", ""]


def test_floats_without_a_number_are_null_in_json(tmp_path: Path) -> None:
    schema = pa.schema([("v", pa.float64()), ("w", pa.list_(pa.float64()))])
    rows: list[Json] = [{"v": float("nan"), "w": [1.0, float("inf")]}]
    (found,) = read_jsonl(write(tmp_path, ".jsonl", [rows], schema))
    assert (found["v"], found["w"]) == (None, [1.0, None])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_the_customers_file_has_the_columns_of_its_schema(tmp_path: Path, suffix: str) -> None:
    schema = pa.schema([("id", pa.string()), ("index", pa.float64()), ("pain", pa.float64())])
    target = tmp_path / f"customers{suffix}"
    write_records(target, suffix, schema, [{"id": "a", "index": 1.5, "pain": None}])
    expected: Json = {"id": "a", "index": 1.5, "pain": None}
    if suffix == ".csv":
        assert read_csv(target) == [{"id": "a", "index": "1.5", "pain": ""}]
    elif suffix == ".jsonl":
        assert read_jsonl(target) == [expected]
    else:
        assert pq.read_table(target).to_pylist() == [expected]


def test_what_was_understood_is_in_the_same_columns_whatever_the_inputs(tmp_path: Path) -> None:
    at = datetime(2024, 3, 4, 12, 30, 0, 250_000, tzinfo=UTC)
    known = Message("hello", customer="+201", at=at.timestamp(), direction="out", has_side=True)
    messages = [known, Message("late"), None]
    rows: list[Json] = [{"text": "hello", "understood_customer": "x"}, {"body": "late"}, {}]
    entries = [Entry("a", Row(row), one) for row, one in zip(rows, messages, strict=True)]
    chunk = Chunk(0, 1, entries)
    file = tmp_path / "0.parquet"
    pq.write_table(to_table(chunk, {key: verdict() for key in chunk.texts}), file)
    for several in (True, False):
        layout = plan([file], None, [], several)
        for suffix in (".parquet", ".csv", ".jsonl"):
            write_chunks(tmp_path / f"out{suffix}", suffix, [file], layout)
        one, other, silent = pq.read_table(tmp_path / "out.parquet").to_pylist()
        assert one["input_understood_customer"] == "x"
        assert (one["understood_customer"], one["understood_direction"]) == ("+201", "out")
        assert one["understood_sent_at"] == at
        assert other["understood_direction"] is None, "nothing tells it"
        ours = [name for name in one if name.startswith("understood_")]
        texts = [row.get("understood_text") for row in (one, other)]
        assert texts == (["hello", "late"] if several else [None, None])
        assert not any(silent[name] for name in ours)
        written = "2024-03-04T12:30:00.250000Z"
        assert read_csv(tmp_path / "out.csv")[0]["understood_sent_at"] == written
        assert read_jsonl(tmp_path / "out.jsonl")[0]["understood_sent_at"] == written


def test_rows_without_a_message_have_no_scores(tmp_path: Path) -> None:
    path = write(tmp_path, ".parquet", [[{"text": "hello"}, {"text": None}, {"raw": "?"}]])
    scored, silent, broken = pq.read_table(path).to_pylist()
    assert {name for name in SCORES.names if scored[name] is None} == {"threat_kind"}
    assert all(row[name] is None for row in (silent, broken) for name in SCORES.names)
    assert [row["error"] for row in (scored, silent, broken)] == [None, None, "no text"]
    assert broken["raw"] == "?"


# --- chunks ---


@given(st.lists(st.integers(0, 2**21), max_size=20))
def test_chunks_hold_all_rows_in_order_and_not_too_much_text(sizes: list[int]) -> None:
    rows = [(number, Row({"text": "a" * size})) for number, size in enumerate(sizes)]
    parts = list(cut(rows))
    assert [row for part in parts for row in part] == rows
    assert all(parts)
    for part in parts:
        assert sum(len(row.fields["text"]) for _, row in part[:-1]) < 2**22


def test_a_chunk_ends_after_4096_rows() -> None:
    rows = ((0, Row({"text": "a"})) for _ in range(10_000))
    assert [len(part) for part in cut(rows)] == [4096, 4096, 1808]


def test_keys_are_those_of_texts() -> None:
    chunk = Chunk(0, 1, [Entry("a", Row({}), Message(t)) for t in ("a", "b", "a")])
    assert chunk.texts == {key_of("a"): "a", key_of("b"): "b"}
    assert [one.row for one in chunk.judged(dict.fromkeys(chunk.texts, verdict()))] == [1, 2, 3]
