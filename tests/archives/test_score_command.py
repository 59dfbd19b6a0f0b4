"""The command `brandtox score`: archives in, every row and every customer out."""

from __future__ import annotations

import csv
import errno
import fcntl
import io
import json
import os
import sqlite3
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from model import Classifier, Verdict
from model.classifier import Encoded
from serving import cli
from serving.archives import chunks, progress
from serving.archives.command import score
from serving.archives.formats import FORMATS
from serving.archives.progress import Progress
from serving.archives.row import Row
from serving.store.database import Database
from serving.store.tables import messages, verdicts
from serving.times import wire_time
from tests.archives.conftest import Table, WriteCsv, invented
from tests.helpers import Json, changed_folder
from tests.stores import Company

_CHAT = """\
03/04/2024, 10:15 - Messages and calls are end-to-end encrypted.
03/04/2024, 10:16 - Omar: where is my order
03/04/2024, 10:17 - Nour Store: we are on it
03/04/2024, 10:18 - Omar: <Media omitted>
03/04/2024, 10:19 - Omar: z
it is late
"""


@pytest.fixture(autouse=True)
def small_chunks(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRANDTOX_MODEL", str(model_folder))
    monkeypatch.setattr(chunks, "ROWS", 20)


@pytest.fixture
def texts_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that the model has read so far."""
    found: list[str] = []
    judge = Classifier.judge

    def remember(self: Classifier, encoded: Encoded) -> list[Verdict]:
        found.extend(encoded.texts)
        return judge(self, encoded)

    monkeypatch.setattr(Classifier, "judge", remember)
    return found


def run(*arguments: object, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli.main, ["score", *map(str, arguments)], input=stdin)


def succeed(*arguments: object, code: int = 0, stdin: bytes = b"") -> Result:
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == code, result.output
    return result


def refuse(*arguments: object, code: int = 1) -> str:
    """What is said when it is refused."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def told(*texts: str) -> Table:
    """Rows that are understood without being told how."""
    rows = enumerate(texts)
    return [{"id": i, "customer": "c1", "date": "2024-03-04 10:30", "text": t} for i, t in rows]


# --- what comes out ---


def test_every_row_comes_out_in_order_with_its_scores(
    write_csv: WriteCsv, classifier: Classifier
) -> None:
    rows = invented(120)
    source = write_csv(rows)
    result = succeed(source, "-o", source.with_name("out.csv"), code=1)
    found = read_csv(source.with_name("out.csv"))
    assert [{name: row[name] for name in rows[0]} for row in found] == [
        {name: str(value) for name, value in row.items()} for row in rows
    ]
    for row in found:
        assert bool(row["text"]) == bool(row["abuse"]) == (not row["error"])
    scored = [row for row in found if row["text"]]
    for row, verdict in zip(scored, classifier.score([r["text"] for r in scored]), strict=True):
        assert float(row["abuse"]) == pytest.approx(verdict.scores["abuse"], abs=0.005)
        assert row["labels"] == "|".join(verdict.labels)
        assert row["threat_kind"] == (verdict.likeliest_threat or "")
        assert (row["language"], row["model"]) == (verdict.language, "tiny-1")
    assert "120 rows" in result.stderr
    assert "2 with an error" in result.stderr


def test_every_customer_comes_out_with_an_index(write_csv: WriteCsv) -> None:
    rows = [row for row in invented(60) if row["text"]]
    source = write_csv(rows)
    succeed(source, "-o", source.with_name("out.csv"))
    found = read_csv(source.with_name("out.customers.csv"))
    assert {row["customer_id"] for row in found} == {row["customer"] for row in rows}
    assert sum(int(row["messages"]) for row in found) == len(rows)
    indices = [float(row["index"]) for row in found]
    assert indices == sorted(indices, reverse=True)


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_other_formats_have_the_same_rows(write_csv: WriteCsv, suffix: str) -> None:
    source = write_csv(invented(60))
    table, other = source.with_name("out.csv"), source.with_name(f"out{suffix}")
    succeed(source, "-o", table, code=1)
    succeed(source, "-o", other, code=1)
    rows: list[Json]
    if suffix == ".parquet":
        rows = pq.read_table(other).to_pylist()
        assert pq.read_table(other.with_name("out.customers.parquet")).num_rows == 9
    else:
        rows = [json.loads(line) for line in other.read_text(encoding="utf-8").splitlines()]
    for row, cells in zip(rows, read_csv(table), strict=True):
        assert list(row) == list(cells)
        assert row["text"] == cells["text"]
        assert row["labels"] == (cells["labels"].split("|") if cells["labels"] else row["labels"])
        assert (
            row["needs_review"] == {"true": True, "false": False, "": None}[cells["needs_review"]]
        )
        assert row["abuse"] == (float(cells["abuse"]) if cells["abuse"] else None)


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": pa.array(["hello", "z"]),
            "sent_at": pa.array([1, 2], pa.timestamp("ns", tz="Asia/Riyadh")),
            "n": pa.array([1, None], pa.int16()),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    succeed(tmp_path / "in.parquet", "-o", tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.select(table.column_names).equals(table)
    assert found["labels"].to_pylist() == [[], ["abuse"]]


def test_several_archives_get_a_column_of_sources_and_all_columns(
    write_csv: WriteCsv, tmp_path: Path
) -> None:
    one = write_csv(told("hello"), "one.csv")
    other = tmp_path / "other.jsonl"
    other.write_text('{"message": "z", "n": 1}\n{"message": "late", "n": 2.5}\nnot JSON\n')
    succeed(one, other, "-o", tmp_path / "out.parquet", code=1)
    found = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["source_file"] for row in found] == [str(one), *[str(other)] * 3]
    assert [row["text"] for row in found] == ["hello", None, None, None]
    assert [row["n"] for row in found] == [None, 1.0, 2.5, None]
    assert found[3]["raw"] == "not JSON"
    assert "not JSON" in found[3]["error"]
    assert [row["labels"] for row in found] == [[], ["abuse"], [], None]


def test_a_chat_has_silent_rows_and_answers(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "WhatsApp Chat with Omar.zip", "w") as archive:
        archive.writestr("WhatsApp Chat with Omar.txt", _CHAT)
    succeed(
        tmp_path / "WhatsApp Chat with Omar.zip",
        "--company",
        "Nour Store",
        "-o",
        tmp_path / "o.csv",
    )
    rows = read_csv(tmp_path / "o.csv")
    assert [row["direction"] for row in rows if row["abuse"]] == ["in", "out", "in"]
    assert [row["text"] for row in rows if row["labels"] == "abuse"] == ["z\nit is late"]
    silent = [row for row in rows if not row["abuse"]]
    assert len(silent) == 2
    assert not any(row["error"] for row in silent)


def test_standard_input(tmp_path: Path) -> None:
    succeed("-", "-o", tmp_path / "out.jsonl", stdin=b'{"text": "z"}\n{"text": "hello"}\n')
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["labels"] for line in lines] == [["abuse"], []]


def test_a_text_that_is_too_long_is_an_error_of_its_row(write_csv: WriteCsv) -> None:
    source = write_csv(told("hello", "hello " * 10))
    succeed(source, "-o", source.with_name("out.csv"), "--max-text-characters", 20, code=1)
    short, long = read_csv(source.with_name("out.csv"))
    assert short["error"] == ""
    assert long["error"] == "the text has 60 characters, at most 20 are read"
    assert long["abuse"] == ""


def test_no_spreadsheet_takes_a_text_for_a_formula(write_csv: WriteCsv) -> None:
    texts = [
        "=1+1",
        " =1+1",
        "\n@x",
        "\r=x",
        "\t+x",
        "a\n=x",
        "＝1+1",
        "\u00a0-x",
        "-5",
        " +20 ",
        "- 5",
    ]
    source = write_csv([{"id": i, "text": text} for i, text in enumerate(texts)])
    succeed(source, "-o", source.with_name("out.csv"))
    found = [row["text"] for row in read_csv(source.with_name("out.csv"))]
    untouched = {"a\n=x", "-5", " +20 "}
    assert found == [text if text in untouched else f"'{text}" for text in texts]
    raw = source.with_name("out.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfid,text,")
    assert b'\r\n2,"\'\n@x",' in raw
    assert b'\r\n3,"\'\r=x",' in raw


def test_a_report_is_written_beside(write_csv: WriteCsv) -> None:
    source = write_csv(told("hello", "you z"))
    page = source.with_name("page.html")
    options = ("--report", page, "--report-language", "ar", "--mask")
    succeed(source, "-o", source.with_name("out.csv"), *options)
    content = page.read_text(encoding="utf-8")
    assert 'lang="ar"' in content
    assert "you z" not in content


def test_nothing_else_is_left(write_csv: WriteCsv) -> None:
    source = write_csv(invented(60))
    succeed(source, "-o", source.with_name("out.csv"), code=1)
    names = {path.name for path in source.parent.iterdir()}
    assert names == {"in.csv", "out.csv", "out.customers.csv", "out.scores"}


def test_what_is_written_into_a_folder_is_not_read_from_it(write_csv: WriteCsv) -> None:
    folder = write_csv(told("hello", "z")).parent
    options = ("-o", folder / "out.csv", "--overwrite")
    succeed(folder, *options)
    before = (folder / "out.csv").read_bytes()
    assert "finished" in succeed(folder, *options).stderr
    (folder / "more.csv").write_text("text\nlate\n")
    succeed(folder, *options)
    after = read_csv(folder / "out.csv")
    assert [row["text"] for row in after] == ["hello", "z", "late"]
    assert (folder / "out.csv").read_bytes() != before


# --- no text twice ---


def test_repeated_texts_are_scored_once(write_csv: WriteCsv, texts_read: list[str]) -> None:
    rows = invented(200)
    source = write_csv(rows)
    succeed(source, "-o", source.with_name("out.csv"), code=1)
    assert len(set(texts_read)) == len(texts_read)
    assert set(texts_read) == {row["text"] for row in rows if row["text"]}
    assert len(texts_read) < 180


def test_a_second_run_scores_nothing(write_csv: WriteCsv, texts_read: list[str]) -> None:
    source = write_csv(told("hello", "z"))
    command = (source, "-o", source.with_name("out.csv"))
    succeed(*command)
    texts_read.clear()
    before = source.with_name("out.csv").stat()
    assert "is finished" in succeed(*command).stderr
    assert texts_read == []
    assert source.with_name("out.csv").stat() == before


def test_an_output_that_is_there_is_kept_without_overwrite(
    write_csv: WriteCsv, texts_read: list[str]
) -> None:
    source = write_csv(told("hello", "z"))
    output = source.with_name("out.csv")
    succeed(source, "-o", output)
    before = output.read_bytes()
    write_csv(told("hello", "z", "late"))
    texts_read.clear()
    said = refuse(source, "-o", output)
    assert (
        f"out.csv exists, made with another version, model, input or settings (input {source})"
        in said
    )
    assert "give another name, or --overwrite" in said
    assert output.read_bytes() == before
    assert not output.with_name("out.csv.work").exists()
    succeed(source, "-o", output, "--overwrite")
    assert texts_read == ["late"]
    assert len(read_csv(output)) == 3


def test_an_output_that_was_changed_is_not_the_finished_one(write_csv: WriteCsv) -> None:
    source = write_csv(told("hello"))
    output = source.with_name("out.csv")
    succeed(source, "-o", output)
    whole = output.read_bytes()
    output.write_bytes(whole + b"a note\r\n")
    assert "out.csv exists: give another name" in refuse(source, "-o", output)
    write_csv(told("hello", "late"))
    assert "out.csv exists: give another name" in refuse(source, "-o", output)
    write_csv(told("hello"))
    succeed(source, "-o", output, "--overwrite")
    assert output.read_bytes() == whole


def test_scores_of_another_model_are_not_used(
    write_csv: WriteCsv, texts_read: list[str], model_folder: Path, tmp_path: Path
) -> None:
    source = write_csv(told("hello", "z"))
    output = source.with_name("out.csv")
    succeed(source, "-o", output)
    other = changed_folder(model_folder, tmp_path / "other", model="tiny-2")
    texts_read.clear()
    succeed(source, "-o", output, "--overwrite", "--model", other)
    assert sorted(texts_read) == ["hello", "z"]
    assert {row["model"] for row in read_csv(output)} == {"tiny-2"}
    texts_read.clear()
    succeed(source, "-o", output, "--overwrite")
    assert texts_read == []


def test_scores_can_be_shared_by_outputs(
    write_csv: WriteCsv, texts_read: list[str], tmp_path: Path
) -> None:
    scores = tmp_path / "all.scores"
    source = write_csv(told("hello", "z"))
    succeed(source, "-o", tmp_path / "one.csv", "--scores", scores)
    texts_read.clear()
    succeed(source, "-o", tmp_path / "two.csv", "--scores", scores)
    assert texts_read == []
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert not (tmp_path / "two.scores").exists()


def test_the_file_of_scores_holds_no_text(write_csv: WriteCsv) -> None:
    source = write_csv(told("a secret word"))
    succeed(source, "-o", source.with_name("out.csv"))
    assert b"secret" not in source.with_name("out.scores").read_bytes()


# --- what stops on the way goes on ---


class Full:
    """The disk is full when the third chunk is written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._write = pq.write_table
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(pq, "write_table", self._fail_at_the_third)

    def _fail_at_the_third(self, table: pa.Table, path: Path, **options: object) -> None:
        if "00000002" in path.name:
            path.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        self._write(table, path, **options)

    def make_room(self) -> None:
        self._monkeypatch.setattr(pq, "write_table", self._write)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[Full]:
    yield Full(monkeypatch)


def stopped(source: Path, *options: object) -> Path:
    """An output whose run has stopped at the third chunk."""
    output = source.with_name("out.csv")
    said = refuse(source, "-o", output, *options)
    assert "No space left on device" in said
    assert "the same command goes on from where it was" in said
    assert not output.exists()
    return output


def test_a_full_disk_loses_nothing(
    write_csv: WriteCsv, texts_read: list[str], full: Full, tmp_path: Path
) -> None:
    rows = invented(120)
    source = write_csv(rows)
    output = stopped(source)
    full.make_room()
    again = succeed(source, "-o", output, code=1)
    assert len(texts_read) - len(set(texts_read)) <= 20  # the chunk that was in the model
    assert len(read_csv(output)) == 120
    assert "120 rows" in again.stderr
    succeed(source, "-o", tmp_path / "whole.csv", code=1)
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    customers = tmp_path / "whole.customers.csv"
    assert output.with_name("out.customers.csv").read_bytes() == customers.read_bytes()


def test_unfinished_work_of_another_command_is_not_lost_by_mistake(
    write_csv: WriteCsv, full: Full
) -> None:
    source = write_csv(invented(120))
    output = stopped(source)
    said = refuse(source, "-o", output, "--timezone", "Africa/Cairo")
    assert "unfinished work of another run (--timezone)" in said
    assert "--restart" in said
    full.make_room()
    succeed(source, "-o", output, "--timezone", "Africa/Cairo", "--restart", code=1)
    assert len(read_csv(output)) == 120


def test_an_input_that_changed_since_is_told(write_csv: WriteCsv, full: Full) -> None:
    source = write_csv(invented(120))
    output = stopped(source)
    write_csv(invented(121))
    assert f"input {source}" in refuse(source, "-o", output)
    full.make_room()
    succeed(source, "-o", output, "--restart", code=1)
    assert len(read_csv(output)) == 121


def test_an_input_that_changes_while_it_is_read_is_told(
    write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_csv(told("hello"))
    judge = Classifier.judge

    def change(self: Classifier, encoded: Encoded) -> list[Verdict]:
        write_csv(told("hello", "z"))
        return judge(self, encoded)

    monkeypatch.setattr(Classifier, "judge", change)
    said = refuse(source, "-o", source.with_name("out.csv"))
    assert "in.csv has changed while it was read" in said
    assert not source.with_name("out.csv").exists()


def test_an_input_that_is_gone_is_told(write_csv: WriteCsv, full: Full) -> None:
    source = write_csv(invented(120))
    output = stopped(source)
    source.unlink()
    assert str(source) in refuse(source, "-o", output)
    assert output.with_name("out.csv.work").exists()


def test_work_cannot_be_overwritten_through_restart_alone(write_csv: WriteCsv, full: Full) -> None:
    source = write_csv(invented(120))
    output = stopped(source)
    output.write_text("mine")
    assert "exists" in refuse(source, "-o", output, "--restart")
    assert len(list(output.with_name("out.csv.work").glob("chunks/*.parquet"))) == 2
    assert output.read_text() == "mine"


def test_two_runs_do_not_write_the_same_output(write_csv: WriteCsv) -> None:
    source = write_csv(told("hello"))
    work = source.with_name("out.csv.work")
    work.mkdir()
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = refuse(source, "-o", source.with_name("out.csv"))
    assert "another `brandtox score` is writing" in said
    succeed(source, "-o", source.with_name("out.csv"))


def test_two_runs_do_not_use_the_same_scores(write_csv: WriteCsv) -> None:
    source = write_csv(told("hello"))
    scores = sqlite3.connect(source.with_name("out.scores"), isolation_level=None)
    scores.execute("BEGIN EXCLUSIVE")
    said = refuse(source, "-o", source.with_name("out.csv"))
    scores.close()
    assert "in use by another `brandtox score`" in said
    assert not source.with_name("out.csv.work").exists()


def test_a_file_that_holds_no_scores_is_left_alone(write_csv: WriteCsv) -> None:
    source = write_csv(told("hello"))
    scores = source.with_name("notes.txt")
    scores.write_text("my notes, which are longer than the header of a database\n" * 20)
    before = scores.read_bytes()
    said = refuse(source, "-o", source.with_name("out.csv"), "--scores", scores)
    assert "notes.txt is no file of scores" in said
    assert scores.read_bytes() == before


# --- the store ---


def test_messages_are_loaded_into_the_store_with_their_verdicts(
    write_csv: WriteCsv, texts_read: list[str], store: Database, store_url: str
) -> None:
    source = write_csv(told("hello", "z", "hello"))
    output = ("-o", source.with_name("out.csv"))
    succeed(source, *output)
    texts_read.clear()
    store_options = ("--database-url", store_url, "--into-store", "--source-name", "crm")
    command = (source, *output, *store_options)
    result = succeed(*command, "--overwrite")
    assert texts_read == []
    company = Company(store)
    assert [(row.source, row.id, row.text) for row in company.rows(messages)] == [
        ("crm", "0", "hello"),
        ("crm", "1", "z"),
        ("crm", "2", "hello"),
    ]
    labels = [json.loads(row.verdict)["labels"] for row in company.rows(verdicts)]
    assert labels == [[], ["abuse"], []]
    assert "Store: 3 messages new, 0 known already" in result.stderr
    again = succeed(*command, "--restart", "--overwrite")
    assert "is finished" in again.stderr


@pytest.mark.parametrize(("days", "old"), [(61, True), (59, False)])
def test_an_old_archive_in_the_store_says_how_to_ask_for_it(
    write_csv: WriteCsv, store_url: str, days: int, old: bool
) -> None:
    at = wire_time(int(time.time()) - days * 86_400)
    rows = [{"customer": "c1", "date": date, "text": "hello"} for date in ("2020-01-01", at)]
    source = write_csv(rows)
    command = (source, "-o", source.with_name("out.csv"), "--into-store", "--database-url")
    told = succeed(*command, store_url).stderr
    assert (f"The last message is of {at}. The service reads customers as of now" in told) == old
    assert ("?as_of=DATE" in told) == old


def test_a_store_that_cannot_be_reached_is_told(write_csv: WriteCsv) -> None:
    source = write_csv(told("hello"))
    url = "sqlite:////no/such/folder/x.db"
    command = (source, "-o", source.with_name("out.csv"), "--into-store", "--database-url", url)
    assert "--database-url" in refuse(*command)
    assert {path.name for path in source.parent.iterdir()} == {"in.csv", "out.scores"}


# --- what is told ---


def test_the_preview_scores_nothing(write_csv: WriteCsv, texts_read: list[str]) -> None:
    source = write_csv(told("hello", "z"))
    result = succeed(source, "--preview")
    assert "CSV" in result.stdout
    assert "text" in result.stdout
    assert [path.name for path in source.parent.iterdir()] == ["in.csv"]
    assert texts_read == []


def test_quiet_tells_nothing(write_csv: WriteCsv) -> None:
    source = write_csv(told("hello"))
    result = succeed(source, "-o", source.with_name("out.csv"), "--quiet")
    assert (result.stdout, result.stderr) == ("", "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "say where to write (--output OUT)"),
        (["-o", "out.xlsx"], "must end with one of .parquet, .csv, .jsonl"),
        (["-o", "no/such/folder/out.csv"], "there is no folder no/such/folder"),
        (["-o", "out.csv", "--column", "text"], "'text' is not ROLE=NAME"),
        (["-o", "out.csv", "--column", "words=x"], "ROLE is one of text, id, customer"),
        (["-o", "out.csv", "--timezone", "Mars/Olympus"], "'Mars/Olympus' is no time zone"),
        (["-o", "out.csv", "--date-order", "ydm"], "'ydm' is not one of"),
        (["-o", "out.csv", "--format", "word"], "'word' is not one of 'csv', 'tsv'"),
        (["-o", "out.csv", "--column", "text=a", "--column", "text=b"], "text is told twice"),
        (["-o", "out.csv", "--mask"], "--mask does nothing without --report"),
        (["-o", "out.csv", "--report-language", "en"], "--report-language does nothing without"),
        (
            ["-o", "out.csv", "--source-name", "x"],
            "--source-name does nothing without --into-store",
        ),
        (["-o", "out.csv", "--database-url", "sqlite://"], "nothing without --into-store"),
        (
            ["-o", "out.csv", "--ray-address", "x"],
            "--ray-address does nothing without --engine ray",
        ),
    ],
)
def test_wrong_options_are_usage_errors(write_csv: WriteCsv, options: list[str], says: str) -> None:
    assert says in refuse(write_csv(told("hello")), *options, code=2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["--column", "text=body"],
            "there is no column 'body'; the columns are id, customer, date, text",
        ),
        (["--company", "Nour Store"], "--company is for WhatsApp chats, and there is none"),
        (["--incoming", "visitor"], "--incoming is of a column of directions"),
        (["--model", "no/such/model"], "no model in no/such/model"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(
    write_csv: WriteCsv, options: list[str], says: str
) -> None:
    source = write_csv(told("hello"))
    assert says in refuse(source, "-o", source.with_name("out.csv"), *options)
    assert [path.name for path in source.parent.iterdir()] == ["in.csv"]


def test_options_of_other_formats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "hello"}\n')
    pq.write_table(pa.table({"text": ["hello"]}), tmp_path / "in.parquet")
    output = ("-o", tmp_path / "out.csv")
    said = refuse(tmp_path / "in.jsonl", *output, "--delimiter", ";")
    assert "--delimiter is for CSV, and there is none: leave it out" in said
    said = refuse(tmp_path / "in.parquet", *output, "--encoding", "utf-8")
    assert "--encoding is for text files, and there is none: leave it out" in said


def test_what_the_environment_says_of_other_commands_is_no_error(
    write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRANDTOX_DATABASE_URL", "sqlite:///other.db")
    monkeypatch.setenv("RAY_ADDRESS", "ray://nowhere:1")
    source = write_csv(told("hello"))
    succeed(source, "-o", source.with_name("out.csv"))


def test_a_missing_input_is_told(tmp_path: Path) -> None:
    assert "no/such.csv" in refuse("no/such.csv", "-o", tmp_path / "out.csv")


def test_the_output_cannot_be_the_input(write_csv: WriteCsv) -> None:
    source = write_csv(told("hello"))
    before = source.read_bytes()
    assert "is read, and would be written" in refuse(source, "-o", source, "--overwrite")
    assert source.read_bytes() == before


def test_no_input_is_written_over(write_csv: WriteCsv) -> None:
    source, other = write_csv(told("hello")), write_csv(told("z"), "out.customers.csv")
    output = source.with_name("out.csv")
    assert "is read, and would be written" in refuse(source, other, "-o", output, "--overwrite")
    assert "is read, and would be written" in refuse(source, "-o", output, "--report", source)
    assert read_csv(other)[0]["text"] == "z"


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--report", "out.csv"),
        ("--report", "out.customers.csv"),
        ("--report", "out.scores"),
        ("--scores", "out.csv"),
    ],
)
def test_files_to_write_have_different_names(write_csv: WriteCsv, option: str, name: str) -> None:
    source = write_csv(told("hello"))
    output, same = source.with_name("out.csv"), source.with_name(name)
    assert "must have different names" in refuse(source, "-o", output, option, same)
    assert not output.exists()


def test_no_file_that_is_there_is_replaced_without_overwrite(write_csv: WriteCsv) -> None:
    source = write_csv(told("hello"))
    page = source.with_name("page.html")
    page.write_text("mine")
    assert "page.html exists" in refuse(source, "-o", source.with_name("out.csv"), "--report", page)
    assert page.read_text() == "mine"


def test_the_same_command_again_has_the_same_exit_status(write_csv: WriteCsv) -> None:
    source = write_csv(told("hello", ""))
    for _ in range(2):
        succeed(source, "-o", source.with_name("out.csv"), code=1)


def test_outputs_may_lie_in_the_folder_that_is_read(write_csv: WriteCsv) -> None:
    source = write_csv(told("hello"))
    succeed(source.parent, "-o", source.with_name("one.jsonl"))
    assert source.with_name("one.scores").exists()
    source.with_name("one.jsonl").unlink()
    source.with_name("one.customers.jsonl").unlink()
    succeed(source.parent, "-o", source.with_name("two.csv"))
    assert [row["text"] for row in read_csv(source.with_name("two.csv"))] == ["hello"]


def test_another_store_is_not_taken_for_loaded(write_csv: WriteCsv, tmp_path: Path) -> None:
    source = write_csv(invented(20))
    command = (source, "-o", source.with_name("out.csv"), "--into-store", "--database-url")
    succeed(*command, f"sqlite:///{tmp_path}/a.db")
    assert "exists" in refuse(*command, f"sqlite:///{tmp_path}/b.db")
    succeed(*command, f"sqlite:///{tmp_path}/b.db", "--overwrite")
    assert (tmp_path / "b.db").exists()


def test_standard_input_needs_a_name_in_the_store(tmp_path: Path) -> None:
    assert "--source-name" in refuse("-", "-o", tmp_path / "out.csv", "--into-store")


def test_long_values_end_a_chunk_early_however_deep_they_lie() -> None:
    rows = [("a", Row({"text": "x", "history": [{"said": "y" * 2**20}]}))] * 12
    assert [len(part) for part in chunks.cut(rows)] == [4, 4, 4]


def test_the_help_lists_each_option_under_what_it_is_for() -> None:
    shown = succeed("--help").stdout
    headings = [line[:-1] for line in shown.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings[0].startswith("What to write")
    assert headings[-1] == "Other"
    assert shown.split("Other:")[1].strip().startswith("-h, --help")
    for parameter in score.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[-1] in shown


def test_the_formats_of_the_option_are_those_that_can_be_read() -> None:
    (option,) = (param for param in score.params if param.name == "format_")
    assert isinstance(option.type, click.Choice)
    assert sorted(option.type.choices) == sorted(FORMATS)
    assert ", ".join(option.type.choices) in (option.help or "")


def test_the_help_has_examples_on_lines_of_their_own() -> None:
    shown = succeed("--help").stdout
    assert '\n      brandtox score "WhatsApp Chat with Omar.zip" --company' in shown
    assert "\n      brandtox score tickets.csv --preview\n" in shown


# --- progress ---


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def follow(total: int | None, steps: Sequence[tuple[float, int, int]]) -> list[str]:
    """Lines that are written when so many seconds pass, and then rows are done."""
    stream, clock = io.StringIO(), Seconds()
    with Progress(stream, clock) as shown:
        shown.total = total
        for seconds, rows, flagged in steps:
            clock.now += seconds
            shown.add(rows, flagged)
    return stream.getvalue().splitlines()


def test_progress_is_a_line_every_ten_seconds() -> None:
    lines = follow(10_000, [(4, 1000, 1), (4, 1000, 1), (4, 1000, 5), (4, 1000, 0)])
    assert lines == ["3,000 of 10,000 rows, 250 a second, about 28 s left, 7 flagged"]


def test_progress_is_honest_about_what_is_not_known() -> None:
    assert follow(None, [(10, 500, 2)]) == ["500 rows, 50 a second, 2 flagged"]
    assert follow(400, [(10, 500, 2)]) == ["500 rows, 50 a second, 2 flagged"]


def test_rows_of_an_earlier_run_do_not_count_for_the_rate() -> None:
    stream, clock = io.StringIO(), Seconds()
    shown = Progress(stream, clock)
    shown.skip(90_000)
    shown.total = 100_000
    clock.now = 10
    shown.add(1_000, 3)
    assert stream.getvalue() == (
        "91,000 of 100,000 rows, 90,000 by an earlier run, 100 a second, about 1 min left, 3 flagged\n"
    )


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min"), (3_700, "1 h 1 min"), (200_000, "2 days 7 h")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert progress.duration(seconds) == shown
