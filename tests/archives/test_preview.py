"""What is told before a run: how the archives were understood, and what cannot be computed."""

from __future__ import annotations

from typing import Any

from serving.archives.meaning import understand
from serving.archives.pipeline import Reading
from serving.archives.preview import brief, preview
from serving.archives.row import ReadOptions, Row
from serving.archives.whatsapp import WhatsAppArchive
from tests.archives.tables import NoFile, Table, table
from tests.archives.test_whatsapp import CHAT, NOOR, SARA, Export


def readings(*archives: Table, **options: Any) -> list[Reading]:
    return list(map(Reading, archives, understand(archives, ReadOptions(**options))))


def told(*archives: Table, **options: Any) -> str:
    return preview(readings(*archives, **options))


def test_an_archive_with_everything() -> None:
    archive = Table(
        [
            {
                "id": 1,
                "العميل": "c1",
                "التاريخ": "13/03/2024 12:30 م",
                "الاتجاه": "وارد",
                "القناة": "واتساب",
                "الرسالة": "فين الطلب؟ " * 20,
                "اللون": "أحمر",
            }
        ],
        source=NoFile("export.csv"),
        understood=["Windows-1256", "semicolons between columns"],
    )
    assert told(archive, timezone="Asia/Riyadh").splitlines() == [
        "export.csv: CSV, Windows-1256, semicolons between columns",
        "  text       الرسالة (by its name)",
        "  id         id (by its name)",
        "  customer   العميل (by its name)",
        "  sent_at    التاريخ (by its name); no zone is named: read as Asia/Riyadh (--timezone);"
        " day first (a number above 12 proves it)",
        "  direction  الاتجاه (by its name); وارد → in",
        "  channel    القناة (by its name)",
        "  not used   اللون",
        "  e.g. 2024-03-13T09:30:00Z · customer c1 · in · whatsapp · “فين الطلب؟ فين الطلب؟ فين الطلب؟"
        " فين الطلب؟ فين الطلب؟ فين…”",
    ]


def test_what_is_missing_is_told_with_what_mends_it() -> None:
    found = told(table("a | b", "1 | where is my order", "2 | it never came"))
    assert "  text       b (by its content: the most words that vary)" in found
    assert "no ranking of customers (--column customer=NAME)" in found
    assert "no index, and no figures over time (--column sent_at=NAME)" in found
    assert "every message is taken as a customer's (--column direction=NAME)" in found


def test_nothing_is_said_of_zones_and_orders_that_do_not_matter() -> None:
    found = told(table("date | text", "2024-03-04T10:00:00Z | hello", "1709296200 | hi"))
    assert "  sent_at    date (by its name)\n" in found
    assert "--timezone" not in told(table("date | text", "Fri, 1 Mar 2024 12:30 GMT | x"))
    assert "day first (no date proves it" in told(table("date | text", "04/03/2024 | hello"))
    assert "month first (as told)" in told(
        table("date | text", "04/03/2024 | hello"), date_order="mdy"
    )


def test_directions_that_are_no_words_are_shown_and_not_guessed() -> None:
    archive = table("type | text", "0 | hello", "1 | hi")
    found = told(archive)
    assert "type may be the direction, but says 0, 1" in found
    assert "(--column direction=type --incoming VALUE)" in found
    assert "may be the direction" not in told(archive, incoming=frozenset("0"))


def test_what_the_first_rows_do_not_tell_is_counted() -> None:
    archive = table(
        "date | direction | text",
        "2024-03-01 | in | hello",
        "last week | in | hello",
        "2024-03-01 | sideways | hello",
        "2024-03-01 | in | ",
    )
    lines = told(archive).splitlines()
    assert (
        "  ! sent_at is not understood in 1 of the first 4 rows: last week (--date-order)." in lines
    )
    assert (
        "  ! direction is not understood in 1 of the first 4 rows: sideways (--incoming VALUE)."
        in lines
    )
    assert "  ! 1 of the first 4 rows: column text is empty." in lines


def test_silent_and_broken_rows_are_no_examples() -> None:
    archive = Table(
        [Row({"text": None}, silent=True), Row({"raw": "x"}, error="not JSON"), {"text": "hello"}]
    )
    lines = told(archive).splitlines()
    assert [line for line in lines if "e.g." in line] == ["  e.g. “hello”"]
    assert "  ! 1 of the first 3 rows: not JSON." in lines


def test_archives_that_are_understood_alike_are_told_together() -> None:
    chats = [table("text | date", f"hello {n} | 2024-03-01") for n in range(3)]
    found = told(*chats, table("review | date", "good | 2024-03-01"))
    assert [line for line in found.splitlines() if "messages.csv" in line] == [
        "messages.csv and 2 more like it: CSV",
        "messages.csv: CSV",
    ]


def chat(text: str, name: str = "chat.txt", **options: Any) -> WhatsAppArchive:
    return WhatsAppArchive(Export(text, name), "utf-8", ReadOptions(**options))


def test_a_chat_whose_company_is_not_known_says_so() -> None:
    found = list(map(Reading, [chat(CHAT)], understand([chat(CHAT)], ReadOptions())))
    warning = (
        f"  ! Nothing tells who of {SARA}, {NOOR} is the company: every sender is taken as a customer"
        ' (--company "NAME").'
    )
    assert warning in brief(found).splitlines()
    assert warning in preview(found).splitlines()
    assert "  id         " in preview(found)
    assert "  ticket     " not in preview(found)


def test_a_company_that_nobody_is_called_is_told() -> None:
    known = chat(CHAT, company=frozenset({NOOR, "Nobody"}))
    found = list(map(Reading, [known], understand([known], ReadOptions())))
    warning = f"  ! No sender is called Nobody; senders are {SARA}, {NOOR} (--company)."
    assert [line for line in brief(found).splitlines() if "!" in line] == [warning]
    assert warning in preview(found).splitlines()


def test_chats_of_two_companies_are_told_apart() -> None:
    name = f"WhatsApp Chat with {SARA}.txt"
    chats = [chat(CHAT, name), chat(CHAT, name), chat(CHAT.replace(NOOR, "Other"), name)]
    found = brief(list(map(Reading, chats, understand(chats, ReadOptions()))))
    assert "and 1 more like it" in found
    assert "company: Other" in found


def test_what_each_direction_means_is_told() -> None:
    found = told(table("direction | text", "زبون | hello", "موظف | hi", "x | hi"))
    assert "زبون → in; موظف → out; x → not known: taken as the customer's" in found


def test_columns_that_no_row_has_and_empty_files() -> None:
    found = told(table("id | text", " | hello"))
    assert "  id  " not in found
    assert "  ! It is empty: there is nothing to score." in told(table("id | text")).splitlines()


def test_in_short_it_is_a_line_an_archive_and_the_warnings() -> None:
    archive = table("a | العميل", "where is my order | c1", "it never came | c2")
    assert brief(readings(archive)).splitlines() == [
        "messages.csv: CSV; text: a (by its content); customer: العميل",
        "  ! No column of times: there will be no index, and no figures over time"
        " (--column sent_at=NAME).",
        "  ! No column of directions: every message is taken as a customer's"
        " (--column direction=NAME).",
    ]
