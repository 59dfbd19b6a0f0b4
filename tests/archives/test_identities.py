"""One customer, however the id is written; nobody merged by chance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.archives.identities import customer_key, display_name, is_address


@pytest.mark.parametrize(
    "written",
    [
        "+201001234567",
        "+20 100 123 4567",
        "+20 (0)100-123-4567",
        "\u202a+20\u00a0100\u00a0123\u20114567\u202c",
        "00201001234567",
        "0020 100 123 4567",
        "+٢٠١٠٠١٢٣٤٥٦٧",
        "٠٠٢٠١٠٠١٢٣٤٥٦٧",
        "+۲۰۱۰۰۱۲۳۴۵۶۷",
        "tel:+20-100-123-4567",
        "whatsapp:+201001234567",
        "201001234567@s.whatsapp.net",
        "201001234567@c.us",
    ],
)
def test_a_number_with_its_country_is_the_same_in_all_forms(written: str) -> None:
    assert customer_key(written) == "+201001234567"
    assert is_address(customer_key(written))


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("Salma.Adel@Example.com", "salma.adel@example.com"),
        ("mailto:salma@example.com", "salma@example.com"),
        ("ＳＡＬＭＡ＠example.com", "salma@example.com"),
        ("١٢٣", "123"),
        ("Ｃ-１", "C-1"),
        ("c\u200b-\u061c1", "c-1"),
        ("سلمى   عادل", "سلمى عادل"),
    ],
)
def test_other_ids_are_the_same_without_how_they_are_typed(written: str, key: str) -> None:
    assert customer_key(written) == key


@pytest.mark.parametrize(
    "written",
    [
        "01001234567",
        "201001234567",
        "0012345678",
        "00001001234567",
        "+1",
        "C-1",
        "Salma",
        "salma@home",
        "@Salma",
    ],
)
def test_what_is_not_sure_stays_as_it_is(written: str) -> None:
    assert customer_key(written) == written
    assert not is_address(written)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("201001234567", "+201001234567"),
        ("20 100 123 4567", "+201001234567"),
        ("96650010199", "+96650010199"),
        ("01001234567", "01001234567"),
        ("1001234567", "1001234567"),
        ("c-1", "c-1"),
    ],
)
def test_a_spreadsheet_loses_the_plus_of_a_phone(written: str, key: str) -> None:
    assert customer_key(written, in_phones=True) == key


@given(st.text(max_size=40), st.booleans())
def test_a_key_is_its_own_key(written: str, in_phones: bool) -> None:
    key = customer_key(written, in_phones)
    assert customer_key(key, in_phones) == key


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (" Salma\n Adel ", "Salma Adel"),
        ("أم عمر", "أم عمر"),
        ("Shop 24", "Shop 24"),
        ("+20 100 123 4567", None),
        ("salma@example.com", None),
        ("", None),
        (None, None),
        ("so " * 50, None),
    ],
)
def test_a_name_is_one_line_with_letters(written: str | None, name: str | None) -> None:
    assert display_name(written) == name
