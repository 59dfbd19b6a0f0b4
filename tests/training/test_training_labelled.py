"""A company's file as it comes out of spreadsheets and exports: what is read, and what is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.encodings import EncodingError, decode
from training.labelled import Labelled, LabelledError, read_labelled

ARABIC = "يا جماعة فين الطلب"


def read(folder: Path, content: str | bytes, name: str = "new.csv") -> Labelled:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_labelled([path])


def test_a_csv_is_read_with_partial_labels(tmp_path: Path) -> None:
    found = read(tmp_path, "text,abuse,threat,customer\nyou idiot,1,,c1\nthanks,no,0,c1\n")
    first, second = found.rows
    assert (first.text, first.labels, first.group) == ("you idiot", {"abuse": 1}, "new c1")
    assert second.labels["abuse"] == second.labels["threat"] == second.labels["physical"] == 0
    assert found.places == ["new.csv:2", "new.csv:3"]
    assert not found.problems


def test_the_apostrophe_of_an_exported_formula_is_taken_off(tmp_path: Path) -> None:
    found = read(tmp_path, "text,abuse\n'- you idiot,1\n'quoted',0\n")
    assert [row.text for row in found.rows] == ["- you idiot", "'quoted'"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_delimiter_and_quoted_line_breaks(tmp_path: Path, delimiter: str) -> None:
    lines = [["text", "abuse"], ['"one\ntwo; three, four"', "1"], ["last", "0"]]
    found = read(tmp_path, "\r\n".join(delimiter.join(cells) for cells in lines))
    assert [row.text for row in found.rows] == ["one\ntwo; three, four", "last"]
    assert found.places == ["new.csv:2", "new.csv:4"]


def test_arabic_headers_and_values(tmp_path: Path) -> None:
    found = read(
        tmp_path, f"نص الرسالة;إساءة;تهديد;المشاعر\n{ARABIC};نعم;لا;سلبي\nشكرا;٠;؟;إيجابي\n"
    )
    assert found.rows[0].labels["abuse"] == 1
    assert (found.rows[0].sentiment, found.rows[0].language) == ("negative", "ar")
    assert found.rows[1].labels == {"abuse": 0}


def test_json_lines_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"text": "a", "threat": 1, "threat_kind": ["job"], "id": "m1"},
        {"text": "b", "threat": None, "threat_kind": None, "accusation": False},
    ]
    lines = read(tmp_path, "\n".join(map(json.dumps, records)), "new.jsonl")
    table = pa.Table.from_pylist([{"accusation": None, **record} for record in records])
    pq.write_table(table, tmp_path / "new.parquet")
    assert lines.rows == read_labelled([tmp_path / "new.parquet"]).rows
    assert lines.rows[0].labels == {
        "threat": 1, "job": 1, "physical": 0, "private_data": 0, "reputation": 0,
    }  # fmt: skip
    assert lines.rows[1].labels == {"accusation": 0}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_are_certain_are_read(tmp_path: Path, encoding: str) -> None:
    found = read(tmp_path, f"text,abuse\n{ARABIC},1\n".encode(encoding))
    assert found.rows[0].text == ARABIC


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("cp1256", "Windows-1256"), ("utf-16-le", "UTF-16 without its mark")],
)
def test_other_encodings_are_named_with_how_to_convert(
    tmp_path: Path, encoding: str, name: str
) -> None:
    with pytest.raises(LabelledError, match=rf"new.csv cannot be read: .*{name}.*iconv -f"):
        read(tmp_path, f"text,abuse\n{ARABIC},1\n".encode(encoding))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("hi,perhaps,", "new.csv:3, column abuse: 'perhaps' is neither yes nor no: write 1 or 0"),
        (
            "hi,0.73,",
            "new.csv:3, column abuse: '0.73' is neither yes nor no: it looks like a model's",
        ),
        (",1,", "new.csv:3, column text is empty"),
        ("hi,,", "new.csv:3 has no label: fill in one of abuse, threat, accusation"),
        (
            "hi,1,angry",
            "new.csv:3, column sentiment: 'angry' is none of negative, neutral, positive",
        ),
        ("hi, there,1,", "new.csv:3 has 4 cells, the header 3: quote text that has ','"),
        ('"hi"x,1,', "new.csv:3 is no CSV"),
    ],
)
def test_a_bad_line_is_told_and_the_others_are_read(tmp_path: Path, line: str, told: str) -> None:
    found = read(tmp_path, f"text,abuse,sentiment\ngood,1,\n{line}\nfine,0,\n")
    assert [row.text for row in found.rows] == ["good", "fine"]
    (problem,) = found.problems
    assert str(problem).startswith(told)


def test_broken_json_lines_are_told(tmp_path: Path) -> None:
    content = '{"text": "a", "abuse": 1}\n{"text": \n[1]\n\n{"text": "b", "threat": 0, "threat_kind": "job"}'
    found = read(tmp_path, content, "new.jsonl")
    assert len(found.rows) == 1
    assert [p.place for p in found.problems] == ["new.jsonl:2", "new.jsonl:3", "new.jsonl:5"]
    assert "is not JSON" in str(found.problems[0])
    assert "has a kind, but threat is no" in str(found.problems[2])


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("new.xlsx", b"PK", "has none of the endings"),
        (
            "new.csv",
            b"body_text,abuse\nhi,1\n",
            "has no column `text`; its first line has body_text",
        ),
        (
            "new.csv",
            b"text,message,abuse\na,b,1\n",
            "has two columns for text, 'text' and 'message'",
        ),
        ("new.csv", b"text,abuse,abuse\na,1,0\n", "has two columns 'abuse'"),
        ("new.csv", b"", "has no row to train on: it has no lines"),
        ("new.csv", b"text,abuse\nhi,what\n", "has no row to train on: new.csv:2, column abuse"),
        ("new.jsonl", b'{"abuse": 1}\n', "has no row to train on|has no column `text`"),
        ("new.parquet", b"no parquet", "cannot be read"),
    ],
)
def test_a_file_that_is_no_use_is_an_error(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    with pytest.raises(LabelledError, match=told):
        read(tmp_path, content, name)


def test_columns_that_mean_nothing_are_named(tmp_path: Path) -> None:
    assert read(tmp_path, "text,abuse,shift\nhi,1,night\n").unread == ["shift"]


@given(st.lists(st.text(), min_size=1), st.sampled_from([".jsonl", ".csv"]))
def test_every_line_is_a_row_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], ending: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    lines = [json.dumps({"text": text, "abuse": 1}) for text in ["fine", *texts]]
    if ending == ".csv":
        quoted = (text.replace('"', '""').encode("utf-8", "replace").decode() for text in texts)
        lines = ["text,abuse", "fine,1", *(f'"{text}",1' for text in quoted)]
    found = read(folder, "\n".join(lines), "new" + ending)
    assert len(found.rows) + len(found.problems) == len(texts) + 1


@given(st.binary(max_size=200))
def test_any_bytes_are_a_text_or_an_encoding_error(content: bytes) -> None:
    try:
        assert "\r" not in decode(content)
    except EncodingError as error:
        assert "iconv -f" in str(error)
