"""The lines of a WhatsApp export: where a message begins, when it was sent and by whom.

Android writes `12/03/2024, 10:15 - Sender: text`, iPhones `[12/03/2024, 10:15:33] Sender: text`,
both in the order, digits, separators and clock of the phone's language and region, strewn with
marks of writing direction. One export is in one style throughout.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

MARKS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
"""Marks of writing direction, and the byte order mark, as they stand in a class of characters."""

_GAP = rf"[\s{MARKS}]*+"
_HALF = r"[AaPp]\.?\s?[Mm]\.?|صباح[\u064b-\u0652ا]*|مساء[\u064b-\u0652ا]*|[صم]"
_BEGIN = re.compile(
    rf"{_GAP}(\[)?{_GAP}"
    rf"(\d{{1,4}}){_GAP}([/.-]){_GAP}(\d{{1,2}}){_GAP}\3{_GAP}(\d{{1,4}})[\s,،{MARKS}]++"
    rf"(\d{{1,2}})[:.](\d\d)(?:[:.](\d\d))?(?:{_GAP}({_HALF}))?{_GAP}(?(1)\]|(?<=\s)[-–](?=\s)){_GAP}"
)
"""Bracket, three numbers of the date with their separator, hour, minute, second, half of the day."""

_COLON = re.compile(rf":(?=[\s{MARKS}]|$)")
_NOTICE_WITH_A_COLON = re.compile(
    r"created (?:this )?group|changed (?:the|this) (?:subject|group)|(?:أنشأ|غيّ?ر)ت? .*مجموعة"
    r"|end-to-end encrypted|مشفّ?رة (?:تمامًا|بالكامل|تشفيرًا)"
)
"""Where these words stand before a colon they are no sender: groups' names, too, have colons."""
_LONGEST_NAME = 100
_MARK = re.compile(f"[{MARKS}]")

Numbers = tuple[int, int, int]


class Style(NamedTuple):
    """What all the lines that begin a message have in common in one export."""

    bracket: bool
    separator: str
    seconds: bool
    halves: bool


class Stamp(NamedTuple):
    """When a message was sent, as written: the date's numbers in the phone's order, 24 hours."""

    numbers: Numbers
    time: Numbers

    def sent_at(self, order: str) -> str | None:
        """`2024-03-12T10:15:00`, the phone's local time; None for a date that there is not, or of
        another calendar.
        """
        day, month, year = _in_order(self.numbers, order)
        try:
            moment = datetime(year, month, day, *self.time)
        except ValueError:
            return None
        return moment.isoformat() if 2000 <= year < 2100 else None


class Begin(NamedTuple):
    """The beginning of a message: its style, its time, and the rest of the line."""

    style: Style
    stamp: Stamp
    rest: str


def read_begin(line: str) -> Begin | None:
    """The beginning of a message, None if the line goes on with the message above it."""
    if (found := _BEGIN.match(line)) is None:
        return None
    bracket, first, separator, second, third, hour, minute, seconds, half = found.groups()
    style = Style(bracket is not None, separator, seconds is not None, half is not None)
    stamp = Stamp(
        (int(first), int(second), int(third)),
        (_hour(int(hour), half), int(minute), int(seconds or 0)),
    )
    return Begin(style, stamp, line[found.end() :])


def _hour(hour: int, half: str | None) -> int:
    if half is None or hour > 12:
        return hour
    return hour % 12 + 12 * (half[0] in "pPم")


def split_sender(rest: str, known: Iterable[str] = ()) -> tuple[str | None, str]:
    """Who wrote it, and the text; no sender for a notice of the app itself.

    Args:
        rest: what stands after the time.
        known: names with a colon in them, which would end too early.
    """
    for name in known:
        if without_marks(rest).startswith(f"{name}: "):
            return name, rest.split(": ", name.count(": ") + 1)[-1]
    colon = _COLON.search(rest, 0, _LONGEST_NAME)
    if colon is None or _NOTICE_WITH_A_COLON.search(rest, 0, colon.start()):
        return None, rest
    return plain_name(rest[: colon.start()]), rest[colon.end() :]


@lru_cache(2**12)
def plain_name(written: str) -> str:
    """A name or number without direction marks, special spaces and hyphens, and the ~ that stands
    before people who are not among the phone's contacts.
    """
    name = without_marks(unicodedata.normalize("NFC", written)).replace("\u2011", "-")
    return " ".join(name.split()).removeprefix("~").strip()


def without_marks(text: str) -> str:
    return _MARK.sub("", text)


def find_order(dates: Sequence[Numbers]) -> tuple[str, bool]:
    """The order of day, month and year, and whether the dates tell.

    A year is first if it has four digits. Of the other two orders it is the one in which more of
    the dates can be, then the one in which time goes back less often, then day, month, year.

    Args:
        dates: in the order of the file.
    """
    if dates and dates[0][0] > 31:
        return "ymd", True
    misfits = {order: _misfits(dates, order) for order in ("dmy", "mdy")}
    return min(misfits, key=lambda order: misfits[order]), misfits["dmy"] != misfits["mdy"]


def _misfits(dates: Sequence[Numbers], order: str) -> tuple[int, int]:
    """How many dates cannot be, and how often one is before the one above it."""
    days = [_in_order(numbers, order)[::-1] for numbers in dates]
    possible = [day for day in days if 1 <= day[1] <= 12]
    backwards = sum(later < day for day, later in pairwise(possible))
    return len(days) - len(possible), backwards


def _in_order(numbers: Numbers, order: str) -> Numbers:
    """Day, month and year."""
    day, month, year = (numbers[order.index(part)] for part in "dmy")
    return day, month, year + 2000 if year < 100 else year


class Written(NamedTuple):
    """A message as the export has it.

    Attributes:
        stamp: when it was sent; None for lines above the first message.
        sender: None for a notice of the app.
        body: its text, with line feeds between its lines.
        strays: how many of its lines look like messages of a phone with another style.
    """

    stamp: Stamp | None
    sender: str | None
    body: str
    strays: int = 0


def read_messages(lines: Iterable[str], known: Collection[str] = ()) -> Iterator[Written]:
    """The messages of an export; each line belongs to one of them.

    The style is that of the first message. A line in another style was pasted by someone and stays
    in its message; one in the same style cannot be told from a message and is taken for one.

    Args:
        lines: with or without their ends.
        known: names of senders with a colon in them.
    """
    style: Style | None = None
    stamp, sender, body, strays = None, None, list[str](), 0
    for line in (line.rstrip("\r\n") for line in lines):
        begin = read_begin(line)
        if begin is None or begin.style != (style or begin.style):
            strays += begin is not None
            body.append(line)
            continue
        if stamp or "".join(body).strip():
            yield Written(stamp, sender, "\n".join(body), strays)
        style, stamp, strays = begin.style, begin.stamp, 0
        sender, text = split_sender(begin.rest, known)
        body = [text]
    if stamp or "".join(body).strip():
        yield Written(stamp, sender, "\n".join(body), strays)
