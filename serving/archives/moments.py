"""Times as archives write them, to seconds since 1970, UTC. What cannot be read is None, never a guess."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

DMY, MDY, YMD = "dmy", "mdy", "ymd"

_DIGITS = {ord(d): str(n % 10) for n, d in enumerate("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹")}
_SIGNS = str.maketrans({"،": ",", "٫": ".", "−": "-", "‐": "-", "–": "-", "٬": None, "ـ": None})

_TIME = r"""(?P<hour>\d{1,2})[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?
    \s*(?P<half>[ap]\.?m\.?|ص|م|صباحا|مساء)?
    \s*(?P<offset>z|(?:utc|gmt)?[+-]\d\d?:?(?:\d\d)?|utc|gmt)?(?:\s*\([^)]*\))?"""
_REST = rf"(?:[t\s,]\s*-?\s*(?:at\s+)?{_TIME})?"
_WEEKDAY = r"(?:[^\W\d]+[,.]?\s+)?"
_DAY = r"(?P<day>\d\d?)(?:st|nd|rd|th)?"
_MONTH = r"(?P<name>[^\W\d]+(?:\s(?:الاول|الثاني))?)\.?"
_FORMS = tuple(
    re.compile(form, re.VERBOSE)
    for form in (
        rf"(?P<year>\d{{4}})(?P<mark>[-/.])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?){_REST}",
        rf"(?P<first>\d\d?)(?P<mark>[-/.])(?P<middle>\d\d?)(?P=mark)(?P<last>\d{{4}}|\d\d){_REST}",
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
        r"(?:t?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)(?P<offset>z)?)?",
        rf"{_WEEKDAY}{_DAY}[\s-]{_MONTH}[\s,-]\s*(?P<year>\d{{4}}){_REST}",
        rf"{_WEEKDAY}{_MONTH}\s{_DAY},?\s(?P<year>\d{{4}}){_REST}",
    )
)
_DATE = re.compile(r"(\d\d?)([-/.])(\d\d?)\2(\d{4}|\d\d)(?!\d)")

_MONTHS = {
    name: place % 12 + 1
    for place, name in enumerate(
        re.findall(
            r"\w+",
            """january february march april may june july august september october november december
        jan feb mar apr may jun jul aug sep oct nov dec
        يناير فبراير مارس ابريل مايو يونيو يوليو اغسطس سبتمبر اكتوبر نوفمبر ديسمبر
        جانفي فيفري مارس افريل ماي جوان جويليه اوت سبتمبر اكتوبر نوفمبر ديسمبر""",
        )
    )
} | {"sept": 9, "يونيه": 6, "يوليه": 7, "كانون الثاني": 1, "تشرين الاول": 10, "تشرين الثاني": 11}
_MONTHS |= {
    "شباط": 2,
    "اذار": 3,
    "نيسان": 4,
    "ايار": 5,
    "حزيران": 6,
    "تموز": 7,
    "اب": 8,
    "ايلول": 9,
}
_MONTHS |= {"كانون الاول": 12}
"""In English, and in the Arabic of Egypt and the Gulf, of the Maghreb, and of the Levant."""

_EPOCHS = ((1e8, 1e10, 1.0), (1e11, 1e13, 1e3), (1e14, 1e16, 1e6), (1e17, 1e19, 1e9))
"""From, to, and how many a second: seconds, milli-, micro-, nanoseconds of the years 1973 to 2286."""


@dataclass(frozen=True)
class Moments:
    """Reads the times of one archive.

    Attributes:
        order: of day, month and year where all are numbers and the year is not first: dmy, mdy, ymd.
        timezone: of times that name none.
    """

    order: str = DMY
    timezone: str = "UTC"
    _zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_zone", ZoneInfo(self.timezone))

    def read(self, value: Any) -> float | None:
        """Seconds since 1970 of a value of a file; None for what is no time for certain.

        A number is one of seconds, milli-, micro- or nanoseconds since 1970, by its size. A date
        without a time is its first instant.
        """
        try:
            return self._read(value)
        except (ValueError, OverflowError):  # the 31st of February, the hour 25
            return None

    def _read(self, value: Any) -> float | None:
        match value:
            case bool() | None:
                return None
            case int() | float() | Decimal():
                return _epoch(float(value))
            case datetime():
                return self._seconds(value)
            case date():
                return self._seconds(datetime(value.year, value.month, value.day))
            case str():
                return self._read_text(plain(value))
        return None

    def _read_text(self, text: str) -> float | None:
        for form in _FORMS:
            if found := form.fullmatch(text):
                return self._build(found.groupdict())
        return _epoch(float(text)) if re.fullmatch(r"\d{9,19}(\.\d+)?", text, re.ASCII) else None

    def _build(self, parts: dict[str, str | None]) -> float | None:
        if (ymd := self._date(parts)) is None:
            return None
        hour = _hour(int(parts.get("hour") or 0), parts.get("half"))
        minute, second = int(parts.get("minute") or 0), int(parts.get("second") or 0)
        leap = second == 60
        micros = int((parts.get("fraction") or "").ljust(6, "0")[:6])
        found = datetime(*ymd, hour, minute, second - leap, micros)
        offset = parts.get("offset")
        return leap + (self._seconds(found) if offset is None else _shifted(found, offset))

    def _date(self, parts: dict[str, str | None]) -> tuple[int, int, int] | None:
        if parts.get("first"):
            numbers = [int(parts[name] or 0) for name in ("first", "middle", "last")]
            if self.order == YMD and len(parts["last"] or "") == 4:
                return None
            year, month, day = (numbers[self.order.index(unit)] for unit in "ymd")
            return year + 2000 if year < 100 else year, month, day
        month_name = parts.get("name")
        if month_name is None:
            month = int(parts["month"] or 0)
        elif (named := _MONTHS.get(month_name)) is None:
            return None
        else:
            month = named
        return int(parts["year"] or 0), month, int(parts["day"] or 0)

    def _seconds(self, found: datetime) -> float:
        return (found if found.tzinfo else found.replace(tzinfo=self._zone)).timestamp()


def _hour(hour: int, half: str | None) -> int:
    """Raises ValueError: the clock has 12 hours, and this is none of them."""
    if half is None:
        return hour
    if hour > 12:
        raise ValueError("no hour of a 12-hour clock")
    return hour % 12 + (12 if half[0] in "pم" else 0)


def _shifted(found: datetime, offset: str) -> float:
    """Seconds of a time with an offset: z, utc, +03:00, gmt+3."""
    digits = re.sub(r"\D", "", offset)
    hours, minutes = (digits[:2], digits[2:]) if len(digits) != 3 else (digits[:1], digits[1:])
    seconds = 3_600 * int(hours or 0) + 60 * int(minutes or 0)
    return found.replace(tzinfo=UTC).timestamp() - (-seconds if "-" in offset else seconds)


def _epoch(number: float) -> float | None:
    for low, high, a_second in _EPOCHS:
        if low <= number < high:
            return number / a_second
    return None


def plain(text: str) -> str:
    """Lower case, ASCII digits, simple spaces and signs; without direction marks and vowel signs."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text).translate(_DIGITS).translate(_SIGNS)
        text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Mn"))
    return " ".join(text.lower().split())


def find_order(values: Iterable[Any]) -> set[str]:
    """Which orders of day, month and year the values prove, by a number that can be no month or no
    day: none, one, or (when they contradict each other) several.
    """
    proved = set()
    for value in values:
        found = _DATE.match(plain(value)) if isinstance(value, str) else None
        if found:
            first, middle = int(found[1]), int(found[3])
            if first > 31:
                proved.add(YMD)
            elif first > 12:
                proved.add(DMY)
            elif middle > 12:
                proved.add(MDY)
    return proved
