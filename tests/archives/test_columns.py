"""Which column is what, and the messages that the rows then hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any

import pytest

from serving.archives.column_names import plain_name
from serving.archives.meaning import Meaning, understand
from serving.archives.row import ArchiveError, Message, ReadOptions, Row
from tests.archives.tables import Table, table

AT = datetime(2024, 3, 1, 12, 30, tzinfo=UTC).timestamp()


def meaning_of(archive: Table, **options: Any) -> Meaning:
    (meaning,) = understand([archive], ReadOptions(**options))
    return meaning


def roles(archive: Table, **options: Any) -> dict[str, str]:
    return {role: f.column for role, f in meaning_of(archive, **options).columns.items()}


def first(archive: Table, **options: Any) -> Message:
    found = meaning_of(archive, **options).message(next(archive.rows()))
    assert isinstance(found, Message), found
    return found


# --- by name ---


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("Customer_ID", "customerid"),
        ("customerId", "customerid"),
        (" CUSTOMER  id ", "customerid"),
        ("رقم العميل", "رقمعميل"),
        ("رَقْم_العَمِيل", "رقمعميل"),
        ("تاريخ الإرسال", "تاريخارسال"),
        ("الرسالــة", "رساله"),
        ("وال", "وال"),
    ],
)
def test_names_are_compared_without_how_they_are_written(written: str, plain: str) -> None:
    assert plain_name(written) == plain


@pytest.mark.parametrize(
    ("text", "identity", "customer", "sent_at", "channel"),
    [
        ("text", "id", "customer_id", "sent_at", "channel"),
        ("Body", "Message ID", "Client", "Created At", "Platform"),
        ("الرساله", "مسلسل", "رقم العميل", "التاريخ", "القناة"),
        ("Comment Text", "comment_id", "userName", "Timestamp", "via"),
        ("نص الشكوى", "رقم", "الزبون", "تاريخ ووقت", "المصدر"),
        ("review", "UUID", "phone", "date", "inbox"),
    ],
)
def test_columns_by_their_names_in_both_languages(
    text: str, identity: str, customer: str, sent_at: str, channel: str
) -> None:
    columns = [channel, sent_at, "شيء آخر", identity, customer, "other", text]
    assert roles(Table([dict.fromkeys(columns, "a b c")], columns)) == {
        "text": text,
        "id": identity,
        "customer": customer,
        "sent_at": sent_at,
        "channel": channel,
    }


def test_columns_that_the_service_and_the_readers_of_chats_name() -> None:
    names = (
        "id | customer_id | sent_at | direction | channel | ticket_id | agent_id | sender | text"
    )
    found = roles(table(names, "1 | c | 2024-03-01 | in | chat | t | a | Salma | hello"))
    named = {"customer": "customer_id", "ticket": "ticket_id", "agent": "agent_id"}
    same = {role: role for role in ("text", "id", "sent_at", "direction", "channel")}
    assert found == same | named | {"name": "sender"}


def test_a_good_name_beats_a_weak_one() -> None:
    header = "name | email | customer_id | notes | message | updated_at | created_at"
    found = roles(table(header, "a | b | c | d | e | f | g"))
    best = {"text": "message", "customer": "customer_id", "sent_at": "created_at"}
    assert found == best | {"name": "name"}


def test_no_column_has_two_roles() -> None:
    archive = table("sender | message", "customer | hello", "agent | hi")
    assert roles(archive) == {"text": "message", "direction": "sender"}
    archive = table("sender | message", "Salma | hello", "Omar | hi")
    assert roles(archive) == {"text": "message", "customer": "sender"}


# --- the customer's name ---


def name_column(header: str, *lines: str, **options: Any) -> str | None:
    return roles(table(header, *lines), **options).get("name")


@pytest.mark.parametrize(
    ("customer", "name"),
    [
        ("customer_id", "customer_name"),
        ("phone", "Client Name"),
        ("رقم العميل", "اسم العميل"),
        ("رقم الجوال", "الاسم"),
        ("email", "full name"),
        ("account id", "customer"),
        ("requester_id", "requesterName"),
    ],
)
def test_names_of_customers_are_known_by_the_column(customer: str, name: str) -> None:
    found = roles(table(f"text | {name} | {customer}", "a | Salma | 1", "b | Omar | 2"))
    assert (found["customer"], found["name"]) == (customer, name)


@pytest.mark.parametrize("name", ["name", "الاسم", "sender", "customer"])
def test_names_of_agents_and_products_are_not_taken_for_customers(name: str) -> None:
    header = f"customer_id | {name} | text"
    agents = [f"c{n} | {('Huda', 'Nour')[n % 2]} | hello" for n in range(20)]
    assert name_column(header, *agents) is None
    products = [f"c{n % 3} | Blender {'abcdefghi'[n]} | hello" for n in range(9)]
    assert name_column(header, *products) is None
    numbers = [f"c{n} | A-{n} | hello" for n in range(9)]
    assert name_column(header, *numbers) is None


def test_other_peoples_names_are_never_a_customers() -> None:
    for name in ("agent_name", "product name", "اسم الموظف", "اسم المنتج", "store_name"):
        assert name_column(f"customer_id | {name} | text", "1 | Salma | a", "2 | Omar | b") is None


def test_the_senders_name_is_the_customers_where_the_customer_writes() -> None:
    archive = table(
        "customer_id | sender_name | direction | text",
        *("1 | Salma | in | a", "1 | Huda | out | b", "2 | Omar | in | c", "2 | Huda | out | d"),
    )
    meaning = meaning_of(archive)
    assert meaning.columns["name"].column == "sender_name"
    found = [m for row in archive.rows() if isinstance(m := meaning.message(row), Message)]
    assert [m.name for m in found] == ["Salma", None, "Omar", None]


def test_a_name_is_told_like_the_other_roles() -> None:
    lines = ("1 | x | Salma | a",)
    told = {"columns": {"name": "who"}}
    assert name_column("customer_id | name | who | text", *lines, **told) == "who"
    told = {"columns": {"name": ""}}
    assert name_column("customer_id | name | who | text", *lines, **told) is None


def test_where_a_name_is_all_there_is_it_is_the_id_and_the_name() -> None:
    message = first(table("اسم العميل | text", "سلمى عادل | hello"))
    assert (message.customer, message.name) == ("سلمى عادل", "سلمى عادل")
    message = first(table("customer | text", "c-1 | hello"))
    assert (message.customer, message.name) == ("c-1", None)


# --- one customer in several archives ---


def customers(*archives: Table) -> list[str | None]:
    """Of the first row of each."""
    meanings = understand(archives, ReadOptions())
    found = [
        meaning.message(next(archive.rows()))
        for archive, meaning in zip(archives, meanings, strict=True)
    ]
    return [message.customer for message in found if isinstance(message, Message)]


def test_one_customer_has_one_id_in_all_archives() -> None:
    phones = [
        table("customer_id | text", "+20 100 123 4567 | a"),
        table("customer | text", "00201001234567 | a"),
        Table([{"phone": 201001234567, "text": "a"}]),
        Table([{"رقم الواتساب": 201001234567.0, "text": "a"}]),
    ]
    assert customers(*phones) == ["+201001234567"] * 4
    emails = [table("email | text", f"{one} | a") for one in ("S@x.com", "s@X.COM", " s@x.com")]
    assert customers(*emails) == ["s@x.com"] * 3


def test_the_id_as_it_is_written_is_kept_where_it_differs() -> None:
    message = first(table("email | text", "S@x.com | a"))
    assert (message.customer, message.customer_written) == ("s@x.com", "S@x.com")
    assert first(table("email | text", "s@x.com | a")).customer_written is None


def test_the_same_name_in_archives_of_another_kind_is_another_customer() -> None:
    form = table("name | text", "Omar | a")
    desk = table("customer name | message", "Omar | a")
    chat = replace(table("customer_id | text", "Omar | a"), format="whatsapp")
    crm = table("customer | text", "Omar | a")
    assert customers(form, desk, chat, crm) == [
        *("Omar (name)", "Omar (customer name)", "Omar (whatsapp)", "Omar")
    ]
    assert customers(form, form) == ["Omar", "Omar"]
    assert customers(chat, chat) == ["Omar", "Omar"]
    numbered = replace(table("customer_id | text", "+20 100 123 4567 | a"), format="whatsapp")
    assert customers(crm, numbered) == ["Omar", "+201001234567"]


# --- by content, or told ---


def test_the_column_with_the_longest_varied_words_is_the_text() -> None:
    archive = table(
        "a | b | c | d",
        "1 | الطلب وصل متأخر جدا | one | sent by our web form on the contact page",
        "2 | فين الفلوس اللي دفعتها | two | sent by our web form on the contact page",
        "3 | شكرا على الرد السريع | one | sent by our web form on the contact page",
    )
    meaning = meaning_of(archive)
    assert (meaning.columns["text"].column, meaning.columns["text"].by) == ("b", "content")


def test_without_a_column_of_words_it_is_asked_for() -> None:
    with pytest.raises(ArchiveError, match=r"--column text=NAME.* of a, b"):
        meaning_of(table("a | b", "1 | 2"))


def test_an_archive_without_rows_is_no_error() -> None:
    assert meaning_of(Table([])).columns == {}
    late = meaning_of(Table([Row({"raw": "{"}, error="not JSON")])).message(Row({"text": "hello"}))
    assert late == "no column is known as the text"


def test_told_columns_win() -> None:
    archive = table("id | customer_id | text | remark", "1 | c1 | first | second")
    told = {"text": "remark", "customer": ""}
    assert roles(archive, columns=told) == {"text": "remark", "id": "id"}
    assert meaning_of(archive, columns=told).columns["text"].by == "told"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"text": "Body"}, "there is no column 'Body'; the columns are id, text"),
        ({"words": "text"}, "there is no role 'words'; the roles are text, id, customer"),
    ],
)
def test_what_is_told_must_be_there(told: dict[str, str], message: str) -> None:
    with pytest.raises(ArchiveError, match=f"messages.csv: {message}"):
        meaning_of(table("id | text", "1 | x"), columns=told)


def test_columns_of_json_lines_are_those_of_all_first_rows() -> None:
    archive = Table([{"text": "a"}, {"text": "b", "client": 7}])
    assert roles(archive) == {"text": "text", "customer": "client"}


# --- direction ---


@pytest.mark.parametrize(
    ("column", "value", "direction"),
    [
        ("direction", "in", "in"),
        ("direction", "Outbound", "out"),
        ("type", "incoming", "in"),
        ("sender_type", "Agent", "out"),
        ("role", "end_user", "in"),
        ("الاتجاه", "وارد", "in"),
        ("الاتجاه", "صادرة", "out"),
        ("المرسل", "العميل", "in"),
        ("المرسل", "خدمة العملاء", "out"),
        ("from_me", "1", "out"),
        ("from_me", "false", "in"),
        ("is incoming", "TRUE", "in"),
    ],
)
def test_directions_in_words(column: str, value: str, direction: str) -> None:
    message = first(Table([{column: value, "text": "hello"}]))
    assert (message.direction, message.unread) == (direction, ())


def test_a_direction_in_numbers_is_not_guessed_but_told() -> None:
    archive = table("type | text", "0 | hello", "1 | hi")
    assert "direction" not in roles(archive)
    meaning = meaning_of(archive, incoming=frozenset({"0"}))
    found = [meaning.message(row) for row in archive.rows()]
    assert [m.direction for m in found if isinstance(m, Message)] == ["in", "out"]


def test_a_direction_that_is_not_understood_is_noted() -> None:
    archive = table("direction | text", "in | a", "out | b", "sideways | c", " | d")
    meaning = meaning_of(archive)
    found = [m for row in archive.rows() if isinstance(m := meaning.message(row), Message)]
    assert [m.direction for m in found] == ["in", "out", "in", "in"]
    assert [m.unread for m in found] == [(), (), ("direction",), ()]


# --- the message in a row ---


def test_a_message_with_all_its_parts() -> None:
    archive = table(
        "id | العميل | التاريخ | الاتجاه | القناة | ticket | agent | text",
        "7 | c1 | 01/03/2024 12:30 م | صادر | واتساب | t1 | a1 | تم",
    )
    assert first(archive) == Message(
        "تم", "7", "c1", AT, "out", "whatsapp", "t1", "a1", has_side=True
    )


@pytest.mark.parametrize("value", [12345, 12345.0, "12345", " 12345.0 ", "\u200e12345\u200f"])
def test_ids_are_the_same_however_they_are_typed(value: Any) -> None:
    assert first(Table([{"customer": value, "text": "x"}])).customer == "12345"


@pytest.mark.parametrize("value", [None, "", "  ", "\u200f", float("nan")])
def test_an_empty_id_is_none(value: Any) -> None:
    assert first(Table([{"customer": value, "id": value, "text": "x"}])).customer is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (5.0, "5"),
        (0.5, "0.5"),
        (b"\xd9\x86\xd8\xb9\xd9\x85", "نعم"),
        (["لا"], '["لا"]'),
        ("  spaces stay ", "  spaces stay "),
        ("half \ud83d", "half \ufffd"),
    ],
)
def test_a_text_of_another_type(value: Any, text: str) -> None:
    assert first(Table([{"text": value}])).text == text


def test_rows_without_a_message() -> None:
    archive = Table([{"body": "hello"}])
    meaning = meaning_of(archive)
    assert meaning.message(Row({"body": "  "})) == "column body is empty"
    assert meaning.message(Row({})) == "column body is empty"
    assert meaning.message(Row({"raw": "x"}, error="3 cells, not 2")) == "3 cells, not 2"
    assert meaning.message(Row({"body": "X joined"}, silent=True)) is None


def test_a_time_that_cannot_be_read_is_no_error_but_noted() -> None:
    message = first(table("date | text", "last week | hello"))
    assert (message.at, message.unread) == (None, ("sent_at",))
    message = first(table("date | text", " | hello"))
    assert (message.at, message.unread) == (None, ())


# --- times ---


def test_the_order_of_the_date_is_proved_by_any_row() -> None:
    archive = table("date | text", "01/02/2024 | a", "01/25/2024 | b")
    meaning = meaning_of(archive)
    assert (meaning.moments.order, meaning.order_by) == ("mdy", "found")
    told = meaning_of(archive, date_order="dmy")
    assert (told.moments.order, told.order_by) == ("dmy", "told")


def test_an_archive_that_proves_no_order_is_read_like_the_others() -> None:
    unsure = table("date | text", "01/02/2024 | a")
    american = table("date | text", "01/25/2024 | a")
    alone, *_ = understand([unsure], ReadOptions())
    assert (alone.moments.order, alone.order_by) == ("dmy", "default")
    together = understand([unsure, american], ReadOptions(timezone="Asia/Riyadh"))
    assert [(m.moments.order, m.order_by) for m in together] == [
        ("mdy", "others"),
        ("mdy", "found"),
    ]
    assert together[0].moments.timezone == "Asia/Riyadh"
    european = table("date | text", "25/01/2024 | a")
    disagreeing = understand([unsure, american, european], ReadOptions())
    assert [m.moments.order for m in disagreeing] == ["dmy", "mdy", "dmy"]


def test_the_day_and_the_hour_may_have_a_column_each() -> None:
    assert first(table("التاريخ | الوقت | النص", "01/03/2024 | 12:30 م | x")).at == AT
    cells = {"date": datetime(2024, 3, 1), "time": time(12, 30), "text": "x"}
    assert first(Table([cells])).at == AT
    archive = table(
        "date | time | text", "2024-03-01 | 12:30 | x", "2024-03-02 | ? | x", "- | 9:00 | x"
    )
    meaning = meaning_of(archive)
    times = [m.at for row in archive.rows() if isinstance(m := meaning.message(row), Message)]
    assert times == [AT, None, None]
    archive = table("date | time | text", "2024-03-01 12:30 | 9:00 | x")
    assert first(archive).at == AT


def test_a_folder_of_different_files_has_a_meaning_each() -> None:
    one, other = understand(
        [table("text | client", "a | c"), table("client | review", "c | b")], ReadOptions()
    )
    assert one.columns["text"].column == "text"
    assert other.columns["text"].column == "review"
    assert replace(other, columns=one.columns) == one
