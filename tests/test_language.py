"""Language and script by rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.language import detect_language, detect_script
from model.preparation import prepare


def language(text: str) -> str:
    return detect_language(prepare(text).text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("الأوردر متأخر أسبوع ومحدش بيرد", "ar"),
        ("كلمت support بخصوص الفاتورة امبارح", "ar"),
        ("راسلوني على @brand_eg او https://x.example", "ar"),
        ("entom nassabeen w msh hatdfa3o 7aga", "arabizi"),
        ("ya gama3a el order met2akhar awi w mafesh 7ad byrod", "arabizi"),
        ("the order is ten days late and nobody answers", "en"),
        ("refund", "en"),
        ("I sent you the invoice yesterday وما حد رد عليا لين الحين please fix it", "mixed"),
        ("please call me back today msh 3aref a3mel eh ba2a", "mixed"),
        ("Ich warte seit zwei Wochen auf meine Bestellung", "other"),
        ("Здравствуйте, где мой заказ", "other"),
        ("הזמנה שלי מאחרת", "other"),
        ("", "other"),
        ("😡😡😡", "other"),
        ("123 456", "other"),
        ("?!...", "other"),
        ("https://x.example a@b.example @user 0123456789", "other"),
    ],
)
def test_language(text: str, expected: str) -> None:
    assert language(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("مرحبا", "Arab"),
        ("ﻣﺮﺣﺒﺎ", "Arab"),
        ("Hello", "Latn"),
        ("مرحبا hello", "Mixed"),
        ("123 😡", "Zyyy"),
        ("Привет", "Zyyy"),
        ("", "Zyyy"),
    ],
)
def test_script(text: str, expected: str) -> None:
    assert detect_script(prepare(text).text) == expected


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_any_text_has_a_language_and_a_script(text: str) -> None:
    prepared = prepare(text).text
    assert detect_language(prepared) in ("ar", "arabizi", "mixed", "en", "other")
    assert detect_script(prepared) in ("Arab", "Latn", "Mixed", "Zyyy")


@pytest.mark.usefixtures("no_quadratic_time")
@pytest.mark.parametrize("part", ["1", "1'", "a", "a1", "ا", "ا ", "é", "7a "])
def test_long_texts_take_linear_time(part: str) -> None:
    assert language(part * (200_000 // len(part))) in ("ar", "arabizi", "en", "other")
