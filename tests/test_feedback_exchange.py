"""Corrections out to a file and in again: JSON lines, CSV, Label Studio; and every line that is wrong."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from model.labels import SENTIMENTS, SIGNS, THREAT_KINDS
from serving.cli import main
from serving.corrections import NAMES, YES_NO, read_labels
from serving.exchange import (
    COLUMNS,
    ExchangeError,
    Word,
    read_csv,
    read_jsonl,
    write_csv,
    write_jsonl,
)
from serving.feedback_command import import_words
from serving.label_studio import CONTROLS, configuration, read_tasks, write_tasks
from serving.store.database import Database
from serving.store.feedback import Correction, keep, read_all
from serving.store.messages import hash_text
from serving.store.tables import audit
from tests.conftest import OpenClient
from tests.helpers import NOW, Clock, FakeScorer, Json
from tests.histories import judge, said, send
from tests.stores import Company, days_ago, message

FORMATS: dict[str, tuple[Any, Any]] = {
    "jsonl": (write_jsonl, read_jsonl),
    "csv": (write_csv, read_csv),
    "json": (write_tasks, read_tasks),
}

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
LABELS = (
    st.fixed_dictionaries(
        {},
        optional={
            **{name: st.booleans() for name in YES_NO if name != "threat"},
            "sentiment": st.sampled_from(SENTIMENTS),
            "threat_kind": st.lists(st.sampled_from(THREAT_KINDS), unique=True),
        },
    )
    .filter(bool)
    .map(read_labels)
)
PEOPLE = WORDS.map(str.strip).filter(bool)
ROWS = st.lists(st.tuples(WORDS, LABELS, WORDS | st.none(), PEOPLE), min_size=1, max_size=5)


def stored(text: str, labels: Json, reason: str | None, reviewer: str, seq: int) -> Any:
    """A row as `read_all` gives it."""
    return SimpleNamespace(
        seq=seq,
        item=hash_text(text),
        whole_text=text,
        labels=json.dumps(labels),
        reason=reason,
        reviewer=reviewer,
        verdict=None,
        group=None,
        source=None,
        id=None,
        at=NOW,
    )


def read_back(kind: str, lines: Iterator[str], reviewer: str | None = None) -> list[Word]:
    return list(FORMATS[kind][1](io.BytesIO("".join(lines).encode()), reviewer))


@pytest.mark.parametrize("kind", FORMATS)
@given(rows=ROWS)
def test_what_is_written_is_read_as_it_was(
    kind: str, rows: list[tuple[str, Json, str | None, str]]
) -> None:
    words = read_back(kind, FORMATS[kind][0](stored(*row, n) for n, row in enumerate(rows)))
    assert [word.error for word in words] == [""] * len(rows)
    found = [w.correction for w in words if w.correction]
    key = json.dumps
    assert sorted(key([c.text, c.labels, c.reason, c.reviewer]) for c in found) == sorted(
        map(key, rows)
    )
    assert {c.at for c in found} == {NOW}


def test_no_cell_of_csv_is_run_by_a_spreadsheet() -> None:
    """What the customer wrote, and what a reviewer did."""
    text = '=HYPERLINK("http://x","فاتورة")'
    page = "".join(write_csv([stored(text, {"abuse": True}, "-why", "@mona", 0)]))
    cells = list(csv.reader(io.StringIO(page.removeprefix("\ufeff"))))[1]
    assert {"'" + text, "'-why", "'@mona"} <= set(cells)
    (word,) = read_back("csv", iter([page]))
    assert word.correction
    assert (word.correction.text, word.correction.reviewer) == (text, "@mona")


# --- a store out and in ---


def run(*arguments: str, url: str) -> Result:
    return CliRunner().invoke(main, ["feedback", *arguments, "--database-url", url])


def fill(company: Company) -> None:
    """Words of two people on two messages and a text, one of them undone by another."""
    company.take(message("m1", days_ago(2), "انتو نصابين"), message("m2", text='a, "b"\nc'))
    company.work()
    with company.database.begin() as connection:
        for reviewer in ("Mona", "منى"):
            for source, identity, text in (
                ("wa", "m1", None),
                ("wa", "m2", None),
                (None, None, "x"),
            ):
                labels = read_labels({"threat_kind": ["job"], "abuse": False, "leaving": True})
                word = Correction(labels, reviewer, source, identity, text, 'why, "so"')
                keep(connection, word, None, company.clock())


def words_of(database: Database) -> list[tuple[Any, ...]]:
    with database.read() as connection:
        rows = list(read_all(connection))
    return sorted(
        (
            r.item,
            r.reviewer,
            r.labels,
            r.reason,
            r.whole_text,
            r.source or "",
            r.id or "",
            r.group or "",
        )
        for r in rows
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_a_store_goes_out_and_comes_in(
    kind: str, company: Company, store_url: str, tmp_path: Path
) -> None:
    fill(company)
    file = tmp_path / f"words.{kind}"
    assert run("export", "-o", str(file), url=store_url).exit_code == 0
    again = run("import", str(file), url=store_url)
    assert (again.exit_code, again.output) == (
        0,
        "0 new, 0 replaced, 6 known already, 0 older than what is kept, 0 not usable\n",
    )
    other = f"sqlite:///{tmp_path / 'other.db'}"
    first = run("import", str(file), url=other)
    assert (first.exit_code, first.output.split(",")[0]) == (0, "6 new"), first.output
    assert run("import", str(file), url=other).output.split(",")[2] == " 6 known already"
    database = Database(other)
    assert words_of(database) == words_of(company.database)
    database.close()


@pytest.mark.parametrize("format", ["jsonl", "csv", "label-studio"])
async def test_the_service_hands_out_what_the_command_writes(
    open_client: OpenClient, format: str, tmp_path: Path
) -> None:
    async with open_client(FakeScorer(judge), clock=Clock()) as client:
        await send(client, [said("c1", 1, "you z fool", id="m1")])
        body = {"source": "crm", "id": "m1", "labels": {"abuse": False}, "reviewer": "Mona"}
        await client.post("/feedback", json=body)
        answer = await client.get("/feedback", params={"format": format})
        assert answer.status_code == 200
        refused = await client.get("/feedback", params={"format": "xml"})
    assert refused.json()["error"]["code"] == "invalid_request"
    told = CliRunner().invoke(main, ["feedback", "export", "--format", format])
    assert told.stdout_bytes == answer.content
    assert "you z fool" in answer.text


def test_the_columns_are_those_of_retraining(company: Company) -> None:
    fill(company)
    with company.database.read() as connection:
        lines = list(write_jsonl(read_all(connection)))
    first = json.loads(lines[0])
    assert first["text"] == "انتو نصابين"
    assert (first["threat"], first["abuse"], first["threat_kind"]) == (True, False, "job")
    assert first["group"] == "c1"
    assert first["language"] == "en"
    assert "accusation" not in first
    assert set(first) <= set(COLUMNS)


# --- what is wrong is told by its line ---


def errors(kind: str, content: str, reviewer: str | None = "Mona") -> list[str]:
    words = read_back(kind, iter([content]), reviewer)
    return [f"{word.place}: {word.error}" if word.error else "" for word in words]


def test_every_bad_line_of_json_is_told() -> None:
    lines = [
        '{"text": "a", "abuse": 1}',
        "not json",
        "",
        '["a"]',
        '{"text": "a", "abuse": "perhaps"}',
        '{"text": "a"}',
        '{"text": "a", "abuse": true, "at": "yesterday"}',
        '{"text": {}, "abuse": true}',
        '{"text": "a", "threat_kind": "job|rude"}',
        '{"text": "نعم", "threat": "نعم", "abuse": "لا", "reviewer": "منى"}',
    ]
    found = errors("jsonl", "\n".join(lines))
    assert [line.split(":")[0] for line in found] == [
        "",
        *(f"line {number}" for number in (2, 4, 5, 6, 7, 8, 9)),
        "",
    ]
    assert "write 1 or 0" in found[3]
    assert errors("jsonl", lines[0], None) == [
        'line 1: it names no "reviewer": add the column, or give --reviewer'
    ]


def test_every_bad_line_of_csv_is_told() -> None:
    content = 'text;Abuse\n"two\nlines";1\nb;maybe\nc;1;2\nd;0\n'
    found = errors("csv", content)
    assert [line.split(":")[0] for line in found] == ["", "line 4", "line 5", ""]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "نص".encode("cp1256"), "is not UTF-8"),
        ("a.csv", b"foo,bar\n1,2\n", "the first line must name the columns"),
        ("a.json", b"{", "the file is not JSON"),
        ("a.json", b'{"a": 1}', "export from Label Studio as JSON"),
        ("a.txt", b"", "say --format"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    told = run("import", str(tmp_path / name), url=f"sqlite:///{tmp_path / 'x.db'}")
    assert told.exit_code in (1, 2)
    assert said in told.output


def test_good_lines_are_kept_whatever_the_others_are(store_url: str, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    lines = ['{"text": "a", "abuse": true}', "oops", '{"source": "wa", "id": "9", "abuse": true}']
    file.write_text("\n".join([*lines, '{"text": "b", "abuse": true}']), encoding="utf-8")
    told = run("import", str(file), "--reviewer", "Mona", url=store_url)
    assert told.exit_code == 1
    assert "line 2:" in told.output
    assert "line 3: no such message is stored" in told.output
    assert (
        "2 new, 0 replaced, 0 known already, 0 older than what is kept, 2 not usable" in told.output
    )


def test_yes_and_no_are_read_as_other_programs_write_them() -> None:
    csv = read_back("csv", iter(["text,abuse,threat\na,1.0,0.0\n"]), " Mona ")
    jsonl = read_back("jsonl", iter(['{"text": "a", "abuse": 1.0, "threat": 0.0}']), "Mona")
    for word in (*csv, *jsonl):
        assert word.correction is not None, word.error
        assert word.correction.labels == {"abuse": True, "threat": False}
        assert word.correction.reviewer == "Mona"
    assert "write 1 or 0" in errors("jsonl", '{"text": "a", "abuse": 0.5}')[0]


def test_what_was_read_is_kept_whatever_comes_after(store: Database) -> None:
    def words() -> Iterator[Word]:
        yield Word("line 1", Correction({"abuse": True}, "Mona", text="a"))
        raise ExchangeError("the file ends here")

    with pytest.raises(ExchangeError):
        import_words(store, words())
    assert [word[4] for word in words_of(store)] == ["a"]


def test_two_imports_at_once_keep_each_word_once(store: Database) -> None:
    start = threading.Barrier(2)

    def read() -> Counter[str]:
        start.wait()
        words = (Word(str(n), Correction({"abuse": True}, "M", text=str(n))) for n in range(30))
        return import_words(store, words)[0]

    with ThreadPoolExecutor(2) as pool:
        counts = sum((one.result() for one in [pool.submit(read) for _ in range(2)]), Counter())
    assert counts == {"new": 30, "duplicate": 30}
    assert len(words_of(store)) == 30


def test_what_goes_out_and_comes_in_is_in_the_audit(company: Company, store_url: str) -> None:
    file = io.BytesIO(b'{"text": "a", "abuse": true, "group": "c1"}')
    company.take(message("m1"))
    for _ in range(2):  # known already the second time
        import_words(company.database, read_jsonl(file, "Mona"))
        file.seek(0)
    assert run("export", url=store_url).exit_code == 0
    told = [(row.action, row.customer_id) for row in company.rows(audit)]
    assert told == [("feedback", "c1"), ("export_feedback", None)]


def test_a_file_that_cannot_be_written_is_told(store_url: str, tmp_path: Path) -> None:
    told = run("export", "-o", str(tmp_path / "none" / "a.csv"), url=store_url)
    assert (told.exit_code, "cannot be written" in told.output) == (1, True)
    told = run("export", "-o", str(tmp_path / "a.xlsx"), url=store_url)
    assert (told.exit_code, "say --format" in told.output) == (2, True)
    assert not list(tmp_path.glob("a.*"))


# --- what Label Studio makes itself ---


def chosen(name: str, *choices: str) -> Json:
    return {
        "id": "x1",
        "from_name": name,
        "to_name": "text",
        "type": "choices",
        "origin": "manual",
        "value": {"choices": list(choices)},
    }


def task(*annotations: Json) -> str:
    return json.dumps([{"id": 1, "data": {"text": "hello"}, "annotations": list(annotations)}])


def test_an_export_of_several_annotators_is_read() -> None:
    first = {
        "id": 11,
        "completed_by": {"id": 4, "email": "mona@example.com"},
        "was_cancelled": False,
        "updated_at": "2026-06-09T22:16:08.728353Z",
        "result": [chosen("abuse", "yes"), chosen("threat_kind", "job", "physical")],
    }
    second = {"id": 12, "completed_by": 7, "result": [chosen("labels", "accusation")]}
    reason: Json = {"from_name": "reason", "type": "textarea", "value": {"text": ["so", "it is"]}}
    second["result"].append(reason)  # type: ignore[attr-defined]
    found = [word.correction for word in read_back("json", iter([task(first, second)]))]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].reviewer == "mona@example.com"
    assert found[0].labels == {"abuse": True, "threat": True, "threat_kind": ["physical", "job"]}
    assert found[0].at is not None
    assert found[1].reviewer == "annotator 7"
    assert found[1].labels == {"abuse": False, "threat": False, "accusation": True}
    assert found[1].reason == "so\nit is"


def test_annotations_that_say_nothing_are_told() -> None:
    skipped = {"was_cancelled": True, "result": [chosen("abuse", "yes")]}
    content = task(
        {"result": []}, skipped, {"result": None}, {"result": [chosen("abuse", "so so")]}
    )
    found = errors("json", content)
    assert [line.split(":")[0] for line in found] == [
        f"task 1, annotation {number}" for number in (1, 2, 3, 4)
    ]
    assert "skipped" in found[1]
    of_others = task({"result": [chosen("labels", "rude")]}, {"result": [chosen("labels", "none")]})
    assert errors("json", of_others) == [
        "task 1, annotation 1: \"labels\" is 'rude': its choices are abuse, threat, accusation, none",
        "",
    ]
    unlabelled = '[{"data": {"text": "a"}, "annotations": []}, {"data": {"text": "a"}}, 7]'
    assert [line.split(":")[0] for line in errors("json", unlabelled)] == ["task 2", "task 3"]


def test_the_configuration_has_a_control_for_every_label() -> None:
    assert set(CONTROLS) == set(NAMES)
    told = CliRunner().invoke(main, ["feedback", "configuration"])
    assert told.output == configuration()
    for name in (*NAMES, "reviewer", "reason"):
        assert f'name="{name}" toName="text"' in told.output
    assert told.output.count('<Choice value="yes"/>') == 3 + len(SIGNS)


def test_a_prediction_comes_with_each_judged_message(company: Company) -> None:
    fill(company)
    with company.database.read() as connection:
        tasks = json.loads("".join(write_tasks(read_all(connection))))
    assert len(tasks) == 3
    judged = [one for one in tasks if "predictions" in one]
    assert len(judged) == 2
    assert judged[0]["predictions"][0]["model_version"] == "fake"
    assert all(len(one["annotations"]) == 2 for one in tasks)
    assert "completed_by" not in json.dumps(tasks)
