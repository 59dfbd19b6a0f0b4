"""WhatsApp's exports of both phones in both languages: each message once, whole, and no line lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.archives.meaning import understand
from serving.archives.row import ArchiveError, ReadOptions, Row
from serving.archives.whatsapp import WhatsAppArchive, looks_like

FIXTURES = sorted((Path(__file__).parent / "fixtures" / "whatsapp").glob("*.txt"))
LRM, RLM, NARROW = "\u200e", "\u200f", "\u202f"
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


@dataclass(frozen=True)
class Export:
    """An export that lies in memory."""

    text: str | bytes
    name: str = "_chat.txt"
    path: Path = field(default=Path("_chat.txt"))

    def open(self) -> BinaryIO:
        return BytesIO(self.text if isinstance(self.text, bytes) else self.text.encode())

    def fingerprint(self) -> str:
        return ""


def read(text: str | bytes, name: str = "_chat.txt", **options: Any) -> WhatsAppArchive:
    return WhatsAppArchive(Export(text, name), "utf-8", ReadOptions(**options))


def rows(text: str | bytes, name: str = "_chat.txt", **options: Any) -> list[Row]:
    return list(read(text, name, **options).rows())


def column(name: str, found: list[Row]) -> list[Any]:
    return [row.fields[name] for row in found]


SARA, NOOR = "Sara Adel", "Noor Store"
SARA_AR, NOOR_AR = "سارة عادل", "متجر نور"
_ORDER = "Hello, where is my order 4471?\n\nIt was promised for 10:30 - and nobody called: nothing."
_TIMELINE = (
    "Timeline:\n12/03/2024 I paid\n13/03/2024, 10:00 you promised\nNoor Store: never answered"
)
_ORDER_AR = "السلام عليكم، وين طلبي رقم ٤٤٧١؟\n\nوعدتوني الساعة 10:30 - وما حد اتصل: ولا رد"
_TIMELINE_AR = "الترتيب:\n12/03/2024 دفعت\n13/03/2024، 10:00 وعدتوني\nمتجر نور: ما رد أحد"
_THANKS = "شكرا, thank you 🙏"
TIMES = [
    "2024-03-14T09:04:11",
    "2024-03-14T09:05:33",
    "2024-03-14T12:00:00",
    "2024-03-14T21:07:02",
    "2024-03-15T00:10:59",
    "2024-03-15T00:10:59",
    "2024-03-31T23:59:59",
    "2024-04-02T10:20:30",
    "2024-04-02T10:21:00",
    "2024-04-02T10:21:00",
    "2024-04-02T10:22:07",
    "2024-04-03T08:00:00",
]
STORIES: dict[str, list[tuple[Any, ...]]] = {
    "android_en": [
        (None, None, "system", "Messages and calls are end-to-end encrypted", None),
        (SARA, "in", "message", _ORDER, None),
        (NOOR, "out", "message", "Sorry: we are looking into it", None),
        (SARA, "in", "media", "", "<Media omitted>"),
        (SARA, "in", "media", "This is the receipt", "IMG-20240315-WA0007.jpg (file attached)"),
        (SARA, "in", "message", _TIMELINE, None),
        (NOOR, None, "system", "This message was deleted", None),
        (NOOR, "out", "message", "Refund sent", None),
        (None, None, "system", "Sara Adel changed their phone number", None),
        (None, None, "system", "Missed voice call", None),
        (SARA, "in", "media", "", "PTT-20240402-WA0001.opus (file attached)"),
        (SARA, "in", "message", _THANKS, None),
    ],
    "ios_en": [
        (SARA, None, "system", "Messages and calls are end-to-end encrypted", None),
        (SARA, "in", "message", _ORDER, None),
        (NOOR, "out", "message", "Sorry: we are looking into it", None),
        (SARA, "in", "media", "", "image omitted"),
        (
            *(SARA, "in", "media", "This is the receipt"),
            "<attached: 00000005-PHOTO-2024-03-15-00-10-59.jpg>",
        ),
        (SARA, "in", "message", _TIMELINE, None),
        (NOOR, None, "system", "You deleted this message.", None),
        (NOOR, "out", "message", "Refund sent", None),
        (SARA, None, "system", "Sara Adel changed their phone number", None),
        (SARA, None, "system", "Missed voice call", None),
        (SARA, "in", "media", "", f"receipt.pdf • {LRM}2 pages {LRM}document omitted"),
        (SARA, "in", "message", _THANKS, None),
    ],
    "android_ar": [
        (None, None, "system", "الرسائل والمكالمات مشفّرة تمامًا بين الطرفين", None),
        (SARA_AR, "in", "message", _ORDER_AR, None),
        (NOOR_AR, "out", "message", "نعتذر: جاري المتابعة", None),
        (SARA_AR, "in", "media", "", "<تم استبعاد الوسائط>"),
        (SARA_AR, "in", "media", "هذا الإيصال", "IMG-20240315-WA0007.jpg (الملف مرفق)"),
        (SARA_AR, "in", "message", _TIMELINE_AR, None),
        (NOOR_AR, None, "system", "تم حذف هذه الرسالة", None),
        (NOOR_AR, "out", "message", "تم إرجاع المبلغ", None),
        (None, None, "system", "غيّرت سارة عادل رقم هاتفها", None),
        (None, None, "system", "مكالمة صوتية فائتة", None),
        (SARA_AR, "in", "media", "", "PTT-20240402-WA0001.opus (الملف مرفق)"),
        (SARA_AR, "in", "message", _THANKS, None),
    ],
    "ios_ar": [
        (SARA_AR, None, "system", "الرسائل والمكالمات مشفرة تمامًا بين الطرفين", None),
        (SARA_AR, "in", "message", _ORDER_AR, None),
        (NOOR_AR, "out", "message", "نعتذر: جاري المتابعة", None),
        (SARA_AR, "in", "media", "", "لم يتم إدراج الصورة"),
        (
            *(SARA_AR, "in", "media", "هذا الإيصال"),
            "<المُرفق: 00000005-PHOTO-2024-03-15-00-10-59.jpg>",
        ),
        (SARA_AR, "in", "message", _TIMELINE_AR, None),
        (NOOR_AR, None, "system", "لقد حذَفت هذه الرسالة.", None),
        (NOOR_AR, "out", "message", "تم إرجاع المبلغ", None),
        (SARA_AR, None, "system", "غيّرت سارة عادل رقم هاتفها", None),
        (SARA_AR, None, "system", "مكالمة صوتية فائتة", None),
        (SARA_AR, "in", "media", "", f"receipt.pdf • {RLM}صفحتان ٢ {RLM}لم يتم إدراج المستند"),
        (SARA_AR, "in", "message", _THANKS, None),
    ],
}
"""What the fixtures say, by phone and language: sender, direction, kind, text, media."""


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.stem)
def test_every_phone_tells_the_same_story(fixture: Path) -> None:
    story = next(story for name, story in STORIES.items() if fixture.stem.startswith(name))
    customer = SARA if "_en" in fixture.stem else SARA_AR
    name = (
        f"WhatsApp Chat with {customer}.txt"
        if customer == SARA
        else f"دردشة واتساب مع {customer}.txt"
    )
    assert looks_like(fixture.read_text()[:200])
    found = rows(fixture.read_bytes(), name)
    times = TIMES if "ios" in fixture.stem else [f"{time[:-3]}:00" for time in TIMES]
    assert column("sent_at", found) == times
    for row, (sender, direction, kind, text, media) in zip(found, story, strict=True):
        fields = row.fields
        assert (fields["sender"], fields["direction"], fields["kind"]) == (sender, direction, kind)
        assert fields["media"] == media
        assert fields["text"].startswith(text) if kind == "system" else fields["text"] == text
        assert fields["customer_id"] == (customer if direction else None)
        assert fields["agent_id"] == (sender if direction == "out" else None)
        assert row.silent == (kind == "system" or not text)
        assert row.error is None


def test_the_fixtures_are_many() -> None:
    assert len(FIXTURES) >= 12
    assert {path.stem.split("_")[0] + path.stem.split("_")[1] for path in FIXTURES} == {
        *("androiden", "androidar", "iosen", "iosar")
    }


def test_the_columns_are_understood() -> None:
    archive = read(FIXTURES[0].read_bytes(), f"محادثة واتساب مع {SARA_AR}.zip/_chat.txt")
    meaning = understand([archive], ReadOptions(timezone="Asia/Riyadh"))[0]
    messages = [meaning.message(row) for row in archive.rows()]
    assert sum(message is None for message in messages) == 6
    first = messages[1]
    assert first is not None and not isinstance(first, str)
    assert (first.text, first.customer, first.direction, first.channel) == (
        *(_ORDER_AR, SARA_AR, "in", "whatsapp"),
    )
    assert first.at == datetime.fromisoformat("2024-03-14T09:05:00+03:00").timestamp()


# Every variant, at random


def _half(at: datetime, am: str, pm: str) -> str:
    return am if at.hour < 12 else pm


def _hour(at: datetime) -> int:
    return at.hour % 12 or 12


WRITERS: dict[str, Callable[[datetime], str]] = {
    "US Android": lambda t: (
        f"{t.month}/{t.day}/{t:%y}, {_hour(t)}:{t:%M}{NARROW}{_half(t, 'AM', 'PM')} - "
    ),
    "UK Android": lambda t: f"{t:%d/%m/%Y, %H:%M} - ",
    "Canadian Android": lambda t: f"{t:%Y-%m-%d}, {_hour(t)}:{t:%M} {_half(t, 'a.m.', 'p.m.')} - ",
    "Spanish Android": lambda t: (
        f"{t.day}/{t.month}/{t.year}, {_hour(t)}:{t:%M}\u00a0{_half(t, 'a. m.', 'p. m.')} - "
    ),
    "German Android": lambda t: f"{t:%d.%m.%y, %H:%M} - ",
    "dashed Android": lambda t: f"{t:%d-%m-%Y %H:%M} – ",
    "Saudi Android": lambda t: (
        f"{t.day}{RLM}/{t.month}{RLM}/{t.year}، {_hour(t)}:{t:%M} {_half(t, 'ص', 'م')} - {RLM}"
    ).translate(ARABIC),
    "Moroccan Android": lambda t: f"{t.day}/{t.month}/{t.year}، {t:%H:%M} - ",
    "Persian digits": lambda t: f"{t:%Y/%m/%d}،{RLM} {t:%H:%M} - ".translate(PERSIAN),
    "US iPhone": lambda t: (
        f"[{t.month}/{t.day}/{t:%y}, {_hour(t)}:{t:%M:%S}{NARROW}{_half(t, 'AM', 'PM')}] "
    ),
    "UK iPhone": lambda t: f"{LRM}[{t:%d/%m/%Y, %H:%M:%S}] ",
    "Finnish iPhone": lambda t: f"[{t.day}.{t.month}.{t.year} {t:%H.%M.%S}] ",
    "Swedish iPhone": lambda t: f"[{t:%Y-%m-%d %H:%M:%S}] ",
    "Egyptian iPhone": lambda t: (
        f"{RLM}[{t.day}{RLM}/{t.month}{RLM}/{t.year}، {_hour(t)}:{t:%M:%S} {_half(t, 'ص', 'م')}] "
    ).translate(ARABIC),
    "Emirati iPhone": lambda t: f"[{t.day}/{t.month}/{t.year}، {t:%H:%M:%S}] ",
}
"""The beginning of a line, as phones of different regions write it."""

_ORDER_OF = {"US Android": "mdy", "US iPhone": "mdy"}
_YEAR_FIRST = {"Canadian Android", "Persian digits", "Swedish iPhone"}
_NAMES = ("Sara Adel", "متجر نور", "أم خالد 🌸", "+966 55 010 0199", "O'Neil & Co. (sales)")
_PIECES = st.sampled_from(
    [
        *("12/03/2024", "[", "]", " - ", "Sara Adel: ", "متجر نور:", "10:15", "٣ م", "😡", "", " "),
        *(
            "شو هالخدمة",
            "nobody answers",
            "\u2028",
            "\t",
            "،",
            "\r",
            "http://a.example/?x=1:2",
            "a",
        ),
        *("- item", "1. x", "٤٤٧١", "\u2066mention\u2069", "é", "#", '"', "{}", "null", "PM", "ص"),
    ]
)
_LIKE_A_BEGIN = re.compile(r"\W*\d+\W?[/.-]")
_LINE = st.lists(_PIECES, max_size=6).map(" ".join)
_BODY = st.lists(_LINE, min_size=1, max_size=4).filter(
    lambda lines: not any(_LIKE_A_BEGIN.match(line) and "10:15" in line for line in lines)
)


@st.composite
def _chats(draw: st.DrawFn) -> list[tuple[datetime, str, str]]:
    """Time, sender and body of messages in order of time, from a day that shows the order of dates."""
    at, chat = datetime(2024, 1, 13, 0, 0), []
    for _ in range(draw(st.integers(1, 12))):
        chat.append((at, draw(st.sampled_from(_NAMES)), "\n".join(draw(_BODY))))
        at += timedelta(seconds=draw(st.integers(0, 2_000_000)))
    return chat


def _trimmed(text: str) -> str:
    return text.strip(" \t\r\n\u2028").replace("\r\n", "\n")


@settings(max_examples=150)
@given(_chats(), st.sampled_from(sorted(WRITERS)), st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_is_read(
    chat: list[tuple[datetime, str, str]], writer: str, end: str
) -> None:
    begin = WRITERS[writer]
    text = "".join(f"{begin(at)}{sender}: {body}{end}" for at, sender, body in chat)
    archive = read(text)
    found = list(archive.rows())
    seconds = "%S" if "iPhone" in writer else "00"
    assert column("sent_at", found) == [
        f"{at:%Y-%m-%dT%H:%M}:{at.strftime(seconds)}" for at, _, _ in chat
    ]
    assert column("sender", found) == [sender for _, sender, _ in chat]
    written = [_trimmed(re.sub(r"\r+(?=\n|$)", "", body)) for _, _, body in chat]
    assert list(map(_trimmed, column("text", found))) == written
    assert set(column("kind", found)) == {"message"}
    order = "ymd" if writer in _YEAR_FIRST else _ORDER_OF.get(writer, "dmy")
    assert {"dmy": "day/", "mdy": "month/", "ymd": "year/"}[order] in archive.understood[1]
    assert len(set(column("id", found))) == len(chat)
    assert found == list(archive.rows())


# Lines


@pytest.mark.parametrize(
    "said", ["[13/03/24, 10:15:33] Agent: pay or else", "2024-03-12 10:15 - x: y"]
)
def test_a_pasted_line_of_another_phone_stays_in_its_message(said: str) -> None:
    text = f"14/03/2024, 09:05 - Sara: look what he wrote:\n{said}\n14/03/2024, 09:06 - Sara: so?\n"
    archive = read(text)
    assert column("text", list(archive.rows())) == [f"look what he wrote:\n{said}", "so?"]
    assert any("messages of another phone: 1;" in one for one in archive.understood)


def test_a_pasted_line_of_the_same_phone_is_taken_for_a_message() -> None:
    text = "14/03/2024, 09:05 - Sara: he wrote\n13/03/2024, 10:15 - Agent: pay\n"
    assert column("sender", rows(text)) == ["Sara", "Agent"]


def test_lines_above_the_first_message_are_an_error_row_and_kept() -> None:
    found = rows("rest of a message\ncut off\n14/03/2024, 09:05 - Sara: hello\n")
    assert found[0].fields == {"raw": "rest of a message\ncut off"}
    assert "export it again" in (found[0].error or "")
    assert found[1].fields["text"] == "hello"


def test_a_file_without_messages_is_refused() -> None:
    with pytest.raises(ArchiveError, match="no WhatsApp export"):
        rows("dear diary\n12/03/2024 was a good day\n")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("\n14/03/2024, 09:05 - Sara: hello\n", True),
        (
            "rest\n14/03/2024, 09:05 - S: a\n14/03/2024, 09:05 - S: a\n14/03/2024, 09:05 - S: a",
            True,
        ),
        ("rest\n14/03/2024, 09:05 - S: a\n", False),
        ("date,text\n14/03/2024 09:05,hello\n", False),
        ('{"text": "14/03/2024, 09:05 - Sara: hello"}\n', False),
        ('[{"sent_at": "14/03/2024, 09:05"}]', False),
        ("", False),
    ],
)
def test_an_export_is_known_by_its_lines(text: str, is_one: bool) -> None:
    assert looks_like(text) == is_one


def test_windows_1256_and_utf_16_read_the_same() -> None:
    text = f"14/03/2024، 9:05 م - {SARA_AR}: وين طلبي\n"
    for encoding in ("utf-8", "cp1256", "utf-16-le"):
        archive = WhatsAppArchive(Export(text.encode(encoding)), encoding, ReadOptions())
        assert column("text", list(archive.rows())) == ["وين طلبي"]


@pytest.mark.parametrize(
    "piece",
    [" ", "[ ", "<attached: ", "1/", "a.b ", "غير ", LRM, "<", ":", ": ", " changed", "12/3/24 "],
)
def test_long_lines_are_read_in_no_time(piece: str) -> None:
    line = piece * (65_000 // len(piece))
    for body in (line, f"Your security code with {line}", f"x\n{line}<"):
        found = rows(f"14/03/2024, 09:05 - {SARA}: {body}\n{line}\n14/03/2024, 09:06 - {line}\n")
        assert len(found) == 2


# Dates


@pytest.mark.parametrize(
    ("dates", "months", "by"),
    [
        (["03/04/2024", "14/04/2024"], [4, 4], "found out"),
        (["3/4/24", "4/14/24"], [3, 4], "found out"),
        (["3/4/24", "3/9/24", "4/1/24"], [3, 3, 4], "found out"),
        (["1/2/2024", "9/2/2024", "1/3/2024"], [2, 2, 3], "found out"),
        (["03/04/2024"], [4], "assumed"),
        (["2024/03/04", "2024/04/01"], [3, 4], "found out"),
    ],
)
def test_the_order_of_day_and_month_is_found_out(
    dates: list[str], months: list[int], by: str
) -> None:
    archive = read("".join(f"{date}, 09:05 - Sara: hello\n" for date in dates))
    assert [int(sent_at[5:7]) for sent_at in column("sent_at", list(archive.rows()))] == months
    assert by in archive.understood[1]


def test_the_order_that_is_told_holds_and_impossible_dates_lose_no_message() -> None:
    text = "03/04/2024, 09:05 - Sara: one\n14/04/2024, 09:05 - Sara: two\n"
    archive = read(text, date_order="mdy")
    assert column("sent_at", list(archive.rows())) == ["2024-03-04T09:05:00", None]
    assert column("text", list(archive.rows())) == ["one", "two"]
    assert any(
        "dates that cannot be, or of another calendar: 1;" in one for one in archive.understood
    )


def test_dates_of_another_calendar_are_no_times() -> None:
    archive = read("[١٤٤٥/٩/٣، ٩:٠٥:٠٠ م] سارة: وين طلبي\n")
    (row,) = archive.rows()
    assert (row.fields["sent_at"], row.fields["text"]) == (None, "وين طلبي")
    assert any("Gregorian" in one for one in archive.understood)


@pytest.mark.parametrize(
    ("hour", "read_as"),
    [("12:05 AM", "00:05"), ("12:05 PM", "12:05"), ("1:05 م", "13:05"), ("12:05 ص", "00:05")],
)
def test_noon_and_midnight(hour: str, read_as: str) -> None:
    assert column("sent_at", rows(f"14/03/2024, {hour} - S: x\n")) == [f"2024-03-14T{read_as}:00"]


# Senders, customers and the company


CHAT = f"14/03/2024, 09:05 - {SARA}: hello\n14/03/2024, 09:06 - {NOOR}: hi\n"


@pytest.mark.parametrize(
    "name",
    [
        "WhatsApp Chat with Sara Adel.txt",
        "exports/WhatsApp Chat with Sara Adel (2).txt.gz",
        "WhatsApp Chat - Sara Adel.zip/_chat.txt",
        "محادثة واتساب مع Sara Adel.txt",
        "دردشة واتساب مع \u200fSara Adel.txt",
        "دردشة في واتساب مع sara adel.zip/chat.txt",
        "years/WhatsApp Chat - Sara Adel/_chat.txt",
        "دردشة واتساب مع Sara Adel",
    ],
)
def test_the_customer_is_whom_the_file_is_named_after(name: str) -> None:
    found = rows(CHAT, name)
    assert column("direction", found) == ["in", "out"]
    assert column("customer_id", found) == [SARA, SARA]
    assert column("agent_id", found) == [None, NOOR]


def test_a_number_is_the_same_customer_with_and_without_marks() -> None:
    text = "14/03/2024, 09:05 - \u202a+966\u00a055\u00a0010\u20110199\u202c: hello\n"
    found = rows(
        text + f"14/03/2024, 09:06 - {NOOR}: hi\n", "WhatsApp Chat with +966 55 010-0199.txt"
    )
    assert column("customer_id", found) == ["+966 55 010-0199"] * 2


def test_the_name_of_a_customer_is_that_of_the_contacts() -> None:
    assert column("customer_name", rows(CHAT, f"WhatsApp Chat with {SARA}.txt")) == [SARA, SARA]
    text = "14/03/2024, 09:05 - +966 55 010 0199: hello\n14/03/2024, 09:06 - ~ Huda: hi\n"
    assert column("customer_name", rows(text)) == [None, "Huda"]


def test_the_company_can_be_told() -> None:
    archive = read(CHAT, company=frozenset({" noor store "}))
    assert column("direction", list(archive.rows())) == ["in", "out"]
    assert column("customer_id", list(archive.rows())) == [SARA, SARA]
    assert f"customer: {SARA}; company: {NOOR}" in archive.understood


def test_in_a_group_every_sender_but_the_company_is_a_customer() -> None:
    text = CHAT + "14/03/2024, 09:07 - Huda: me too\n"
    told = rows(text, "WhatsApp Chat with Buyers.txt", company=frozenset({NOOR}))
    assert column("customer_id", told) == [SARA, None, "Huda"]
    assert column("direction", told) == ["in", "out", "in"]
    untold = read(text, "WhatsApp Chat with Buyers.txt")
    assert column("customer_id", list(untold.rows())) == [SARA, NOOR, "Huda"]
    assert any("--company" in one for one in untold.understood)


def test_without_a_name_an_iphones_first_notice_tells_the_customer() -> None:
    text = (
        f"[14/03/2024, 09:05:00] {SARA}: {LRM}Messages and calls are end-to-end encrypted. No one\n"
        f"[14/03/2024, 09:06:00] {NOOR}: hi\n[14/03/2024, 09:07:00] {SARA}: hello\n"
    )
    assert column("direction", rows(text)) == [None, "out", "in"]


def test_a_name_with_a_colon_is_known_if_it_is_told() -> None:
    text = "14/03/2024, 09:05 - Noor: Sales: hi: there\n"
    assert column("sender", rows(text)) == ["Noor"]
    found = rows(text, company=frozenset({"Noor: Sales"}))
    assert (column("sender", found), column("text", found)) == (["Noor: Sales"], ["hi: there"])


def test_people_who_are_no_contacts_are_read_without_their_sign() -> None:
    assert column("sender", rows(f"[14/03/2024, 09:05:00] ~{NARROW}Sara: hello\n")) == ["Sara"]


# What the app wrote


@pytest.mark.parametrize(
    "line",
    [
        f'{SARA} created group "Orders: Riyadh"',
        f'{SARA} changed the group name from "a: b" to "c"',
        f'أنشأ {SARA_AR} المجموعة "طلبات: الرياض"',
        "This business uses a secure service from Meta to manage this chat. Tap to learn more.",
        f"{SARA} left",
        "تغيّر رمز أمانك المُستخدَم مع سارة عادل. انقر هنا لمعرفة المزيد.",
    ],
)
def test_a_notice_of_android_has_no_sender(line: str) -> None:
    (row,) = rows(f"14/03/2024, 09:05 - {line}\n")
    assert (row.silent, row.fields["sender"], row.fields["kind"]) == (True, None, "system")
    assert row.fields["text"] == line


@pytest.mark.parametrize(
    "body",
    [
        f"{LRM}{SARA} left",
        f"{LRM}{SARA} created this group",
        f"{LRM}You blocked this contact",
        f"{LRM}You added Huda",
        f"{RLM}غادرت {SARA}",
        f"{LRM}Video call, {LRM}5 min",
        f"{LRM}Waiting for this message. This may take a while.",
        "This message was deleted by admin Huda.",
    ],
)
def test_a_notice_of_an_iphone_is_silent_though_it_has_a_sender(body: str) -> None:
    (row,) = rows(f"[14/03/2024, 09:05:00] {SARA}: {body}\n")
    assert (row.silent, row.fields["kind"]) == (True, "system")


@pytest.mark.parametrize(
    "text",
    [
        "This message was deleted by mistake, I repeat: refund me",
        "This business is now a joke",
        "Waiting for this message since yesterday",
        "Missed voice call again? call me back",
        "هذه الدردشة مع موظفكم سيئة",
        "إن الرسائل التي ترسلها شركتكم مزعجة",
        "غير معقول هذا التأخير",
        "تم حذف هذه الرسالة ليش؟",
        "Sara Adel left your shop angry",
        "the image omitted the price",
        "see the <attached: nothing",
        "My location is https://maps.google.com/?q=1,2 come here",
    ],
)
@pytest.mark.parametrize("mark", ["", RLM])
def test_people_may_use_the_apps_words(text: str, mark: str) -> None:
    (row,) = rows(f"[14/03/2024, 09:05:00] {SARA}: {mark}{text}\n")
    assert (row.silent, row.fields["kind"], row.fields["text"]) == (False, "message", text)


@pytest.mark.parametrize(
    ("body", "caption"),
    [
        ("<Media omitted>", ""),
        ("<Media omitted>\ninvoice 2024.pdf", ""),
        ("<Media omitted>\nit came broken", "it came broken"),
        (f"{LRM}VID-20240314-WA0001.mp4 (file attached)\nلاحظ\nالكسر", "لاحظ\nالكسر"),
        (f"{RLM}صورة غير مدرجة", ""),
        (f"{LRM}تم استبعاد الصورة", ""),
        (f"وصل مكسور {LRM}تم استبعاد الفيديو", "وصل مكسور"),
        (f"{LRM}video note omitted", ""),
        (f"it came broken {LRM}image omitted", "it came broken"),
        (f"terms.docx • {LRM}12 pages {LRM}<attached: 00000002-terms.docx>", ""),
        (f"{LRM}Location: https://maps.google.com/?q=24.7,46.6", ""),
        ("location: https://maps.google.com/?q=24.7,46.6", ""),
        ("Contact card omitted", ""),
        (f"look {LRM}<attached: 1.jpg> {LRM}<This message was edited>", "look"),
    ],
)
def test_media_are_silent_without_a_caption(body: str, caption: str) -> None:
    (row,) = rows(f"[14/03/2024, 09:05:00] {SARA}: {body}\n")
    assert (row.fields["kind"], row.fields["text"], row.silent) == ("media", caption, not caption)
    assert row.fields["media"]


# Ids


def test_a_longer_export_gives_the_same_ids() -> None:
    name = "WhatsApp Chat with Sara Adel.txt"
    more = f"14/03/2024, 09:06 - {NOOR}: hi\n15/03/2024, 09:06 - {SARA}: hi\n"
    before, after = rows(CHAT, name), rows(CHAT + more, name)
    ids = column("id", after)
    assert column("id", before) == ids[:2]
    assert len(set(ids)) == 4


def test_the_same_words_to_two_customers_have_two_ids() -> None:
    text = f"14/03/2024, 09:06 - {NOOR}: we open at nine\n"
    first, second = (
        rows(f"14/03/2024, 09:05 - {who}: hello\n{text}", f"WhatsApp Chat with {who}.txt")
        for who in ("Sara", "Huda")
    )
    assert first[1].fields["id"] != second[1].fields["id"]
