"""Text preparation: what it undoes, what it leaves, and that it is idempotent and linear."""

from __future__ import annotations

import gc
import sys
import unicodedata
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.preparation import prepare

_SPECIAL = (
    *"abls هلابح",
    *"ااا",
    *"@$!0€",
    *".-_*•·~|/\\,+،#",
    *" \t\n\r\x00\x85\u00a0\u2028\u3000",
    *"аеоѕυνхі",
    *"\u0301\u0308\u0653\u0654\u064e\u0651\u0670\ufe0f\u20dd\u093c\u3099",
    *"ـ\u200b\u200c\u200d\u2060\u202e\u200f\u00ad\ufeff",
    *"19٣۴५",
    *":()?!«»",
    *"ﷺ゛¨…ﬀßİＡ①½ﻼ가각क़",
    *"😂👍\U0001f3fb\ud800\udfff\ufffd",
    "http://",
    "www.",
    "a@b.c",
    "@user",
    "url",
    "ببب",
    "f.u.c.k",
    "ح م ا ر",
)
_anything = st.text(st.characters(exclude_categories=()), max_size=30)
_nasty = st.lists(st.sampled_from(_SPECIAL), max_size=25).map("".join)
_few_nasty = st.lists(st.sampled_from(_SPECIAL), min_size=1, max_size=4).flatmap(
    lambda few: st.lists(st.sampled_from(few), max_size=16).map("".join)
)
texts = st.one_of(_anything, _nasty, _few_nasty, st.tuples(_nasty, _anything).map("".join))


@settings(max_examples=1500)
@given(texts)
@example("ا.ا.ا.ببب.ت.ت.ت")
@example("1@@@b@1.c")
@example("@ا.ا.ا")
@example("һttp://x")
@example("ا ا ا ا ب")
@example("a!!!!.b")
@example("x.y.a!i")
@example("a!i.b.c")
@example("İ\u0307")
def test_is_idempotent(text: str) -> None:
    once = prepare(text).text
    assert prepare(once).text == once


@settings(max_examples=1000)
@given(texts)
@example("ﷺ")
@example("a゛")
@example("a ﷺ b")
def test_every_character_has_a_span_of_the_original_in_order(text: str) -> None:
    prepared = prepare(text)
    spans = list(zip(prepared.starts, prepared.ends, strict=True))
    assert len(spans) == len(prepared.text)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert list(prepared.starts) == sorted(prepared.starts)
    assert list(prepared.ends) == sorted(prepared.ends)


@given(texts.filter(lambda text: prepare(text).text), st.data())
def test_a_span_maps_to_one_that_holds_its_characters_spans(text: str, data: st.DataObject) -> None:
    prepared = prepare(text)
    start = data.draw(st.integers(0, len(prepared.text) - 1))
    end = data.draw(st.integers(start + 1, len(prepared.text)))
    first, last = prepared.original_span(start, end)
    inner = [prepared.original_span(i, i + 1) for i in range(start, end)]
    assert (first, last) == (min(s for s, _ in inner), max(e for _, e in inner))


@settings(max_examples=500)
@given(texts)
def test_nothing_invisible_is_left(text: str) -> None:
    prepared = prepare(text).text
    assert {unicodedata.category(c) for c in prepared} & {"Cc", "Cf", "Cs", "Zl", "Zp"} == set()
    assert " ".join(prepared.split()) == prepared


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("حـمــــار", "حمار", id="tatweel"),
        pytest.param("حِمَارٌ", "حمار", id="diacritics"),
        pytest.param("i\u0336d\u0336iot", "idiot", id="marks that do not compose"),
        pytest.param("ح\u200bم\u200cا\u2060ر", "حمار", id="zero width"),
        pytest.param("\u202eid\u200fiot\u202c", "idiot", id="bidirectional marks"),
        pytest.param("حماااااار", "حمار", id="stretched Arabic letter"),
        pytest.param("stuuuuupid", "stuupid", id="stretched Latin letter"),
        pytest.param("ههههههه", "هه", id="laughter"),
        pytest.param("!!!!!!!!", "!!!", id="repeated signs"),
        pytest.param("f.u.c.k", "fuck", id="dots"),
        pytest.param("f..u--c__k you", "fuck you", id="two separators"),
        pytest.param("ح.م.ا.ر", "حمار", id="Arabic dots"),
        pytest.param("ح م ا ر", "حمار", id="spaces"),
        pytest.param("you i d i o t s", "you idiots", id="spaces after a word"),
        pytest.param("حـ.ـم.ا.ر", "حمار", id="tatweel and dots"),
        pytest.param("ححح.ممم.ااا.ررر", "حمار", id="stretched and dotted"),
        pytest.param("id!ot", "idiot", id="sign for a letter"),
        pytest.param("stup!d", "stupid", id="sign for a letter before one letter"),
        pytest.param("terrible!never again", "terrible!never again", id="no blank after the sign"),
        pytest.param("late!!and rude", "late!!and rude", id="two signs are no letters"),
        pytest.param(
            "https://x.example/a،انت_حمار", "https://x.example/a،انت_حمار", id="word on a link"
        ),
        pytest.param("انت@حمار.كبير", "انت@حمار.كبير", id="no address"),
        pytest.param("a$$hole", "asshole", id="two signs"),
        pytest.param("st0pid", "stopid", id="zero for a letter"),
        pytest.param("ѕtuріd", "stupid", id="Cyrillic look-alikes"),
        pytest.param("ｉｄｉｏｔ", "idiot", id="full width"),
        pytest.param("𝕚𝕕𝕚𝕠𝕥", "idiot", id="mathematical letters"),
        pytest.param("ﺣﻤﺎﺭ", "حمار", id="presentation forms"),
        pytest.param("حمار 👍🏽", "حمار 👍", id="skin tone"),
        pytest.param("رقم ٣٤٥ و ۷۸", "رقم 345 و 78", id="Arabic digits"),
        pytest.param("أحمد إلى الآن", "احمد الى الان", id="alefs"),
        pytest.param("کیف", "كيف", id="Persian letters"),
        pytest.param("don’t “go”…", 'don\'t "go"...', id="quotes"),
        pytest.param("  a\t\tb\r\nc  ", "a b c", id="blanks"),
        pytest.param("a\x00b\x07c", "a b c", id="control characters"),
        pytest.param("a\ud800b", "a\ufffdb", id="lone surrogate"),
        pytest.param("see https://x.example/a?b=c now", "see url now", id="link"),
        pytest.param("www.example.com", "url", id="link without a scheme"),
        pytest.param("(a.b@c.example),", "email", id="address"),
        pytest.param("@some_body hi", "@user hi", id="user"),
        pytest.param("call +20-100-123-4567", "call number", id="phone number"),
        pytest.param("اتصل ٠١٠٠١٢٣٤٥٦٧", "اتصل number", id="phone number in Arabic digits"),
        pytest.param("", "", id="empty"),
        pytest.param(" \u200b\n", "", id="nothing visible"),
    ],
)
def test_undoes(text: str, expected: str) -> None:
    assert prepare(text).text == expected


@pytest.mark.parametrize(
    "text",
    [
        "e.g. this",
        "a.m. or p.m.",
        "3.5 or 3,5",
        "1000000",
        "00000",
        "12345678",
        "2024-01-01",
        "الله",
        "الحمد لله",
        "و انا",
        "a b c",
        "@",
        "wow! really?",
        "c++ and c#",
        "50% off",
        "well-known",
        "don't",
        "привет мир",
        "καλημερα",
        "नमस्ते",
        "你好",
        "😂😂",
        "url email number @user",
    ],
)
def test_leaves_alone(text: str) -> None:
    assert prepare(text).text == text


def test_an_abbreviation_of_three_letters_stays_readable() -> None:
    assert prepare("the U.S.A. office").text == "the usa. office"


@pytest.mark.parametrize(
    ("text", "found", "original"),
    [
        ("you f.u.c.k off", "fuck", "f.u.c.k"),
        ("انت حـمـــاااار والله", "حمار", "حـمـــاااار"),
        ("ya ح م ا ر ya", "حمار", "ح م ا ر"),
        ("يا حمارررر", "حمار", "حمارررر"),
        ("what!!!!!", "!!!", "!!!!!"),
        ("write to me@x.example, now", "email", "me@x.example,"),
        ("e\u0301tat", "é", "e\u0301"),
        ("قال ﷺ", "صلى الله عليه وسلم", "ﷺ"),
    ],
)
def test_shows_a_span_on_what_was_written(text: str, found: str, original: str) -> None:
    prepared = prepare(text)
    start = prepared.text.index(found)
    first, last = prepared.original_span(start, start + len(found))
    assert text[first:last] == original


@pytest.mark.parametrize(("start", "end"), [(0, 0), (2, 1), (-1, 2), (0, 6), (5, 6)])
def test_refuses_a_span_that_is_empty_or_outside(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="empty or outside 0:5"):
        prepare("hello").original_span(start, end)


_NESTS = [
    "!a", "@", "a.", "a\u0301", "\u0301", "ا.ا.ا.ببب.", "a!!", "a.b.c...", "1", "0a", "x@",
    "a ", "ا ", "://", "_a_", "a\u200b", "a.@", "@a.", "- ", "www", "ه",
]  # fmt: skip


@pytest.mark.usefixtures("no_quadratic_time")
@pytest.mark.parametrize("nest", _NESTS)
def test_hand_made_nests_of_100_000_characters_settle(nest: str) -> None:
    once = prepare(nest * (100_000 // len(nest))).text
    assert prepare(once).text == once


@pytest.mark.usefixtures("no_quadratic_time")
def test_signs_after_a_long_word_settle() -> None:
    once = prepare("abcdefgh" * 2_500 + "0a!b" * 5_000).text
    assert prepare(once).text == once


@pytest.mark.parametrize("nest", _NESTS)
def test_work_grows_with_the_length_and_never_with_the_depth(nest: str) -> None:
    """Counted in function calls, those into C included; not in seconds."""
    prepare(nest * 200)  # fills the cache of characters
    calls, depth = _work(nest * 200)
    more_calls, more_depth = _work(nest * 400)
    assert more_calls <= 2.1 * calls + 50
    assert more_depth == depth


def _work(text: str) -> tuple[int, int]:
    """Function calls made to prepare a text, and the deepest stack of them."""
    calls = depth = deepest = 0

    def count(_: FrameType, event: str, __: Any) -> None:
        nonlocal calls, depth, deepest
        calls += event in ("call", "c_call")
        depth += {"call": 1, "return": -1}.get(event, 0)
        deepest = max(deepest, depth)

    gc.disable()  # its callbacks would be counted too
    sys.setprofile(count)
    try:
        prepare(text)
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls, deepest
