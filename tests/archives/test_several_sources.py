"""One person in a chat, a table and a Parquet file: one customer, and columns to group all rows by."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from serving import cli
from tests.helpers import Json

_CHAT = """14/03/2024, 09:05 - +20 100 123 4567: hello my order is late
14/03/2024, 09:06 - Nour Store: we look into it
14/03/2024, 09:07 - +20 100 123 4567: <Media omitted>
"""
_PHONE = "+201001234567"


@pytest.fixture
def inputs(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three archives whose columns have different names."""
    monkeypatch.setenv("BRANDTOX_MODEL", str(model_folder))
    monkeypatch.chdir(tmp_path)
    Path("WhatsApp Chat with +20 100 123 4567.txt").write_text(_CHAT, encoding="utf-8")
    Path("form.csv").write_text(
        "العميل,اسم العميل,التاريخ,الرسالة\n"
        "00201001234567,سلمى عادل,15/03/2024 10:30 ص,z\n"
        "٠٠٢٠١٠٠١٢٣٤٥٦٧,سلمى عادل,16/03/2024,\n"
        "c-2,,16/03/2024,شكرا\n",
        encoding="utf-8",
    )
    table = {
        "phone": pa.array([201001234567], pa.int64()),
        "body": ["thanks"],
        "created_at": pa.array([datetime(2024, 3, 17, 8, tzinfo=UTC)], pa.timestamp("us", "UTC")),
    }
    pq.write_table(pa.table(table), "crm.parquet")
    return ["WhatsApp Chat with +20 100 123 4567.txt", "form.csv", "crm.parquet"]


def _score(*arguments: str) -> str:
    result = CliRunner().invoke(cli.main, ["score", *arguments])
    assert result.exit_code == 1, result.output
    assert "1 with an error" in result.stderr
    return result.stderr


def _read(path: str) -> list[Json]:
    rows: list[Json] = pq.read_table(path).to_pylist()
    return rows


def test_all_rows_of_a_customer_have_one_id_time_and_text(inputs: list[str]) -> None:
    _score(*inputs, "-o", "out.parquet")
    rows = _read("out.parquet")
    mine = [row for row in rows if row["understood_customer"] == _PHONE]
    assert [row["understood_text"] for row in mine] == [
        "hello my order is late",
        "we look into it",
        "z",
        "thanks",
    ]
    assert [row["understood_direction"] for row in mine] == ["in", "out", None, None]
    assert [row["understood_sent_at"] for row in mine] == [
        datetime(2024, 3, day, hour, minute, tzinfo=UTC)
        for day, hour, minute in ((14, 9, 5), (14, 9, 6), (15, 10, 30), (17, 8, 0))
    ]
    assert [row["العميل"] for row in rows[3:5]] == ["00201001234567", "٠٠٢٠١٠٠١٢٣٤٥٦٧"]
    assert rows[6]["phone"] == 201001234567
    assert {row["understood_customer"] for row in (rows[2], rows[4])} == {None}, "no message"


def test_the_customers_file_has_one_line_with_the_last_name(inputs: list[str]) -> None:
    _score(*inputs, "-o", "out.csv")
    with Path("out.customers.csv").open(encoding="utf-8-sig", newline="") as stream:
        lines = {line["understood_customer"]: line for line in csv.DictReader(stream)}
    assert lines.keys() == {_PHONE, "c-2"}
    mine = lines[_PHONE]
    assert mine["customer_id"] == "'+20 100 123 4567", "as first written, and no formula"
    assert (mine["name"], mine["messages_in"], mine["messages_out"]) == ("سلمى عادل", "3", "1")
    assert float(mine["pain"]) == 0, "nobody knows whether the form was answered"
    assert lines["c-2"]["pain"] == ""


def test_masked_the_report_tells_neither_ids_nor_names(inputs: list[str]) -> None:
    for name, options in (("open", ()), ("masked", ("--mask",))):
        _score(inputs[1], "-o", f"{name}.csv", "--report", f"{name}.html", *options)
    pages = {name: Path(f"{name}.html").read_text(encoding="utf-8") for name in ("open", "masked")}
    assert "1001234567" in pages["open"]
    for secret in ("سلمى", "1001234567", "٤٥٦٧"):
        assert secret not in pages["masked"]


def test_words_told_for_a_table_leave_a_chat_its_own(inputs: list[str]) -> None:
    """A told word for "from the customer" is of the table; an empty file has no column to tell."""
    Path("calls.csv").write_text("who,side,body\nc-3,caller,hello\nc-3,us,good day\n", "utf-8")
    Path("empty.csv").write_text("", encoding="utf-8")
    told = ("--column", "direction=side", "--column", "customer=who", "--incoming", "caller")
    result = CliRunner().invoke(
        cli.main, ["score", "calls.csv", "empty.csv", *told, "-o", "told.parquet"]
    )
    assert result.exit_code == 0, result.output
    assert [row["understood_direction"] for row in _read("told.parquet")] == ["in", "out"]
    Path("calls.csv").rename("other.csv")
    Path("other.csv").write_text("customer,direction,body\nc-3,caller,hello\n", encoding="utf-8")
    result = CliRunner().invoke(
        cli.main, ["score", inputs[0], "other.csv", "--incoming", "caller", "-o", "both.parquet"]
    )
    assert result.exit_code == 0, result.output
    assert [row["understood_direction"] for row in _read("both.parquet")] == [
        "in",
        "out",
        None,
        "in",
    ]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_bytes_that_are_no_text_are_base64(inputs: list[str], suffix: str) -> None:
    pq.write_table(pa.table({"body": ["hello"], "photo": [b"\xff\xd8"]}), "photos.parquet")
    CliRunner().invoke(cli.main, ["score", "photos.parquet", inputs[1], "-o", f"out{suffix}"])
    text = Path(f"out{suffix}").read_text(encoding="utf-8-sig")
    assert "/9g=" in text
    assert "\\xff" not in text
    assert "\ufffd" not in text
