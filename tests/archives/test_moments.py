"""Times as archives write them: read for certain, or not at all."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.archives.moments import DMY, MDY, YMD, Moments, find_order


def seconds(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]


HALF_PAST_NOON = seconds(2024, 3, 1, 12, 30)


@pytest.mark.parametrize(
    "written",
    [
        "2024-03-01T12:30:00Z",
        "2024-03-01 12:30",
        "2024/3/1 12:30:00",
        "2024-03-01T15:30:00.000+03:00",
        "2024-03-01 07:30 -0500",
        "2024-03-01 12:30:00 UTC",
        "20240301T123000Z",
        "20240301123000",
        "01/03/2024 12:30",
        "1.3.24, 12.30",
        "01-03-2024 12:30 PM",
        "1/3/2024 12:30 م",
        "١/٣/٢٠٢٤، ١٢:٣٠ م",
        "\u200f01\u200f/03\u200f/2024 12:30 مساءً",
        "۱/۳/۲۰۲۴ ۱۲:۳۰",
        "01/03/2024 - 12:30",
        "Fri, 01 Mar 2024 15:30:00 +0300",
        "Fri Mar 01 2024 15:30:00 GMT+0300 (Arabian Standard Time)",
        "March 1st, 2024 at 12:30 pm",
        "1-Mar-2024 12:30",
        "الجمعة، ١ مارس ٢٠٢٤، ١٢:٣٠ م",
        "1 آذار 2024 12:30",
        "1709296200",
        "1709296200000",
        1709296200,
        1709296200.0,
        1709296200000,
        1709296200000000,
        Decimal(1709296200),
        datetime(2024, 3, 1, 12, 30),
        datetime(2024, 3, 1, 15, 30, tzinfo=timezone(timedelta(hours=3))),
    ],
)
def test_one_instant_however_it_is_written(written: Any) -> None:
    assert Moments().read(written) == HALF_PAST_NOON


@pytest.mark.parametrize(
    ("written", "hour"),
    [("12:05 ص", 0), ("9:05 ص", 9), ("12:05 م", 12), ("9:05 مساء", 21), ("9:05 a.m.", 9)],
)
def test_halves_of_the_day(written: str, hour: int) -> None:
    assert Moments().read(f"01/03/2024 {written}") == seconds(2024, 3, 1, hour, 5)


@pytest.mark.parametrize(
    "month", ["August", "Aug", "أغسطس", "اغسطس", "آب", "أوت", "تشرين الثاني", "كانون الأول", "sept"]
)
def test_months_by_name(month: str) -> None:
    numbers = {"تشرين الثاني": 11, "كانون الأول": 12, "sept": 9}
    assert Moments().read(f"15 {month} 2024") == seconds(2024, numbers.get(month, 8), 15)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "yesterday",
        "-",
        "12:30",
        "12345",
        42,
        3.5,
        True,
        None,
        [],
        float("nan"),
        float("inf"),
        "2024-02-30",
        "31/04/2024",
        "2024-03-01 25:00",
        "01/03/2024 13:30 PM",
        "5 Foo 2024",
        "2024-W10",
        "01/03-2024",
        "2024-03-01 12:30 and more",
    ],
)
def test_what_is_no_time_for_certain_is_none(written: Any) -> None:
    assert Moments().read(written) is None


def test_the_order_of_numbers_is_that_of_the_archive() -> None:
    assert Moments(DMY).read("04/03/2024") == seconds(2024, 3, 4)
    assert Moments(MDY).read("04/03/2024") == seconds(2024, 4, 3)
    assert Moments(YMD).read("24/03/04") == seconds(2024, 3, 4)
    assert Moments(MDY).read("2024-03-04") == seconds(2024, 3, 4)


def test_a_date_that_does_not_fit_the_order_is_not_turned_around() -> None:
    assert Moments(DMY).read("03/25/2024") is None
    assert Moments(MDY).read("25/03/2024") is None
    assert Moments(YMD).read("25/03/2024") is None


def test_numbers_above_12_prove_the_order() -> None:
    assert find_order(["01/02/2024", "13/02/2024"]) == {DMY}
    assert find_order(["01/02/2024 10:00", "١/٢٥/٢٠٢٤"]) == {MDY}
    assert find_order(["45/02/01"]) == {YMD}
    assert find_order(["13/02/2024", "02/13/2024"]) == {DMY, MDY}
    assert find_order(["01/02/2024", "2024-02-25", None, 5, "1.2.3.4"]) == set()


def test_times_without_a_zone_are_in_the_one_told() -> None:
    cairo = Moments(timezone="Africa/Cairo")
    assert cairo.read("2024-03-01 14:30") == HALF_PAST_NOON
    assert cairo.read(datetime(2024, 3, 1, 14, 30)) == HALF_PAST_NOON
    assert cairo.read(date(2024, 3, 1)) == seconds(2024, 2, 29, 22)
    assert cairo.read("2024-03-01T12:30Z") == HALF_PAST_NOON
    assert cairo.read("2024-08-01 15:30") == seconds(2024, 8, 1, 12, 30)  # in summer


_ZONES = st.sampled_from(["UTC", "Asia/Riyadh", "Africa/Cairo", "Africa/Casablanca"])


@given(
    at=st.datetimes(datetime(1975, 1, 1), datetime(2200, 1, 1)).map(
        lambda at: at.replace(second=0, microsecond=0)
    ),
    zone=_ZONES,
    order=st.sampled_from([DMY, MDY]),
    form=st.sampled_from(["{} %H:%M", "{} %I:%M %p", "{}, %H:%M:%S"]),
)
def test_what_a_phone_or_a_spreadsheet_writes_is_read_back(
    at: datetime, zone: str, order: str, form: str
) -> None:
    date_form = {DMY: "%d/%m/%Y", MDY: "%m/%d/%Y"}[order]
    expected = at.replace(tzinfo=zoneinfo.ZoneInfo(zone)).timestamp()
    assert Moments(order, zone).read(at.strftime(form.format(date_form))) == expected


@given(st.text() | st.integers() | st.floats() | st.dates() | st.binary())
def test_nothing_breaks_it(value: Any) -> None:
    found = Moments(timezone="Asia/Riyadh").read(value)
    assert found is None or isinstance(found, float)
    find_order([value])
