"""The report of an archive: what it tells, in both languages, what it hides, and that it runs nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.manifest import RELEASED, Manifest, load_manifest
from serving.archives.chunks import Scored
from serving.archives.gathering import gather
from serving.archives.masking import displayed, mask
from serving.archives.ranking import rank
from serving.archives.report import Input, Report, render
from serving.index.words import LANGUAGES, Language
from tests.archives.scored import DAY, NOON, SILENT, failed, line, said

ATTACK = '<script>alert(1)</script><img src=x onerror="alert(2)"> \'"><svg/onload=alert(3)>'
MANIFEST: Manifest = load_manifest(RELEASED)

Json = dict[str, Any]


def report_of(rows: list[Scored], lines: list[Json], *inputs: Input) -> Report:
    ranking = rank(lines)
    figures = gather(rows, MANIFEST.thresholds, ranking.evidence())
    return Report(inputs, figures, ranking, MANIFEST)


def story() -> Report:
    """A hurt customer who swears at the courier, a draining one, and their evidence."""
    rows = [
        said("third week without an answer", customer="Amal Mock", id="m1", at=NOON),
        said("damned courier", "abuse", customer="Amal Mock", id="m2", at=NOON + DAY),
        said("you are idiots", "abuse", customer="Zayd Mock", id="m3", at=NOON + 40 * DAY),
        said("we are sorry", direction="out", customer="Zayd Mock", at=NOON + 41 * DAY),
        SILENT,
        failed("'Zayd' is no time"),
    ]
    lines = [
        line("Zayd Mock", 72, "draining", evidence=["m3"], hostile_language=True),
        line("Amal Mock", 11, "hurt", evidence=["m1", "m2"]),
    ]
    return report_of(rows, lines, Input("chats of Zayd.csv", "csv", {"text": "Notes of Amal"}))


class Elements(HTMLParser):
    """Names and attributes of a page's elements, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: dict[str, list[str | None]] = {}
        self.said = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value)

    def handle_data(self, data: str) -> None:
        self.said += data + " "


def cards(page: str) -> dict[str, str]:
    """The words on the card of each customer, by the first of them."""
    found = [
        " ".join(Elements(part).said.split())
        for part in re.findall(r"<article.*?</article>", page, re.S)
    ]
    return {" ".join(card.split()[:2]): card for card in found}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_people_wrote_is_shown_and_never_run(language: Language) -> None:
    rows = [
        said(ATTACK, "abuse", customer=ATTACK, id=ATTACK, channel=ATTACK, at=NOON),
        failed(f"{ATTACK} is wrong"),
    ]
    lines = [line(ATTACK, 70, "draining", evidence=[ATTACK])]
    page = render(report_of(rows, lines, Input(ATTACK, "csv", {"text": ATTACK})), language, False)
    found = Elements(page)
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(found.names)
    assert found.names.count("svg") == 0  # one message makes no chart, and the attack none either
    assert not {name for name in found.attributes if name.startswith("on")}
    assert not {"src", "href"} & set(found.attributes)
    assert "url(" not in page
    assert "@import" not in page
    assert found.said.count(ATTACK) >= 7


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_needs_nothing_from_elsewhere(language: Language) -> None:
    page = render(story(), language, False)
    found = Elements(page)
    assert not {"script", "link", "img"} & set(found.names)
    assert not re.search(r"(src|href|url|@import)\s*[=(]", page)
    assert any("default-src 'none'" in (text or "") for text in found.attributes["content"])


def test_arabic_runs_from_right_to_left_with_western_digits() -> None:
    arabic = render(story(), "ar", False)
    assert '<html lang="ar" dir="rtl">' in arabic
    assert "القنوات" in arabic
    assert "Channels" not in arabic
    assert not set("٠١٢٣٤٥٦٧٨٩") & set(arabic)
    english = render(story(), "en", False)
    assert '<html lang="en" dir="ltr">' in english
    assert not any("\u0600" <= letter <= "\u06ff" for letter in english)


def test_hurt_customers_are_to_be_repaired_and_bear_no_label() -> None:
    found = cards(render(story(), "en", False))
    hurt, draining = found["Amal Mock"], found["Zayd Mock"]
    assert "hurt" in hurt
    assert "suggested step: repair" in hurt
    assert "damned courier" in hurt
    assert not re.search("abuse|hostile|draining|toxic", hurt)
    assert "draining" in draining
    assert "72 63–81" in draining
    assert "hostile language" in draining
    assert "you are idiots" in draining
    assert "abuse" in draining


def test_a_threat_comes_first_and_no_text_twice() -> None:
    rows = [
        said("you idiots", "abuse", customer="c", id="m1", at=NOON),
        said("you idiots", "abuse", customer="c", id="m2", at=NOON),
        said("I know where you live", "threat", customer="c", id="m3", at=NOON),
    ]
    report = report_of(rows, [line("c", 80, "draining", evidence=["m1", "m2", "m3"])])
    (card,) = cards(render(report, "en", False)).values()
    assert card.count("you idiots") == 1
    assert card.index("I know where you live") < card.index("you idiots")


def test_a_threat_that_weighs_least_is_shown() -> None:
    rows = [said(f"fools {n}", "abuse", customer="c", id=f"m{n}", at=NOON) for n in range(1, 5)] + [
        said("I come to you", "threat", threat_kind="physical", customer="c", id="m5", at=NOON)
    ]
    report = report_of(rows, [line("c", 80, "draining", evidence=["m1", "m2", "m3", "m4", "m5"])])
    (card,) = cards(render(report, "en", False)).values()
    assert "threat of violence" in card
    assert "fools 2" in card
    assert "fools 3" not in card


def test_of_a_hurt_customer_a_threat_is_named_and_what_we_did() -> None:
    rows = [said("answer or I come to you", "threat", customer="c", id="m1", at=NOON)]
    lines = [line("c", 11, "hurt", evidence=["m1"], pain_reasons=["late_replies"])]
    (card,) = cards(render(report_of(rows, lines), "en", False)).values()
    assert "What we did: late replies" in card
    assert "threat" in card


def test_customers_whose_service_is_unknown_stand_beside_the_others() -> None:
    rows = [said("you are idiots", "abuse", customer="u", id="m1", at=NOON)]
    lines = [line("d", 70, "draining", name="Nour Mock"), line("u", 60, None, evidence=["m1"])]
    page = render(report_of(rows, lines), "en", False)
    assert "Not known whether we served them well" in page
    assert "Nour Mock (d)" in page
    assert "you are idiots" in " ".join(cards(page).values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_the_companys_answers_nobody_is_called_draining(language: Language) -> None:
    rows = [said("you are idiots", "abuse", customer="c1", id="m1", at=NOON)]
    lines = [line("c1", 72, None, pain=None, step=None, prepare_separation=None, evidence=["m1"])]
    page = render(report_of(rows, lines), language, False)
    words = {"en": ["draining", "inflamed"], "ar": ["مستنزِفون", "متضررون ومرهِقون"]}[language]
    body = page.split("</style>")[1]
    (card,) = cards(page).values()
    assert "you are idiots" in card
    assert not any(f"<strong>{word}" in body for word in words)
    assert 'class="quadrant' not in body


def test_what_the_model_is_known_to_get_wrong_is_told() -> None:
    page = Elements(render(story(), "en", False)).said
    rate = MANIFEST.metrics["written"]["false_alarms"]["value"]
    assert f"{rate:.1%}" in page
    assert "9.9.9" in page
    assert "Few messages (3)" in page


def test_a_model_without_known_figures_can_be_reported() -> None:
    told = story()
    several: list[Json] = [{}, {"mine": {"rows": 12}}]
    for metrics in several:
        manifest = Manifest("1", "1", [], {}, {}, 0.5, metrics=metrics)
        page = render(Report(told.inputs, told.figures, told.ranking, manifest), "ar", False)
        assert page.endswith("</html>")


PRIVATE = ("Amal", "Zayd", "Mock", "Notes", "chats", "idiots", "courier", "Cairo", "branch")


@pytest.mark.parametrize("language", LANGUAGES)
def test_masked_it_names_nobody_and_quotes_nothing(language: Language) -> None:
    told = story()
    extra = [
        said(
            "call 0501234567 or write to Zayd@example.com",
            "threat",
            channel="Cairo branch",
            at=NOON,
        ),
        failed("column Notes of Amal is empty"),
    ]
    figures = gather(extra, MANIFEST.thresholds)
    for part in (told, Report(told.inputs, figures, told.ranking, MANIFEST)):
        page = Elements(render(part, language, True)).said
        assert not [name for name in PRIVATE if name in page]
        assert "0501234567" not in page
        assert "example" not in page
    assert "#2" in Elements(render(told, language, True)).said  # Amal, by her line


def test_masked_it_keeps_the_names_of_known_channels() -> None:
    rows = [said("x", channel="whatsapp"), said("x", channel="Cairo branch")]
    page = render(report_of(rows, []), "en", True)
    assert "WhatsApp" in page
    assert "channel 1" in page


@given(st.text())
def test_a_masked_text_has_no_letter_and_no_digit(text: str) -> None:
    hidden = mask(text)
    assert not any(letter.isalnum() for letter in hidden)
    assert mask(hidden) == hidden


def test_a_masked_text_keeps_its_shape() -> None:
    assert mask("رقمي 0501234567، call me!! 😡") == "•••• ••••••••••، •••• ••!! 😡"
    assert mask("mona@shop.example 🇪🇬 Ⓐ ① 𝐀") == "••••@••••.••••••• •• • • •"
    assert mask("كَتَبَ") == "•••"


@given(st.text())
def test_a_displayed_text_cannot_change_the_words_around_it(text: str) -> None:
    shown = displayed(text)
    assert not set(
        "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\x00\x1b"
    ) & set(shown)
    shown.encode()


def test_a_displayed_text_keeps_what_letters_and_emoji_need() -> None:
    assert (
        displayed("می\u200cخواهم 👨\u200d👩\u200d👧\n\u202eabc")
        == "می\u200cخواهم 👨\u200d👩\u200d👧\nabc"
    )
    assert displayed("a\udc80b") == "a?b"


def test_a_long_text_is_cut() -> None:
    page = render(report_of([said("x" * 5_000, "abuse")], []), "en", False)
    assert "x" * 400 + "…" in page
    assert "x" * 401 not in page


def bars(page: str, kind: str) -> list[tuple[float, float]]:
    """Place and height of the bars of one kind, as they are drawn."""
    drawn = re.findall(rf'<rect class="{kind}" x="([\d.]+)".*? height="([\d.]+)"', page)
    return [(float(x), float(height)) for x, height in drawn]


def test_the_chart_shows_each_period_within_its_frame() -> None:
    rows = [said(f"{n}", *["abuse"] * (n % 10 == 0), at=NOON + n * DAY / 8) for n in range(200)]
    rows += [said(f"late {n}", "accusation", at=NOON + 24 * DAY) for n in range(30)]
    english, arabic = (render(report_of(rows, []), language, False) for language in ("en", "ar"))
    for kind in ("hostile", "accusing", "messages"):
        drawn = bars(english, kind)
        assert len(drawn) == 4
        assert all(0 <= height <= 100 for _, height in drawn)
        assert [height for _, height in bars(arabic, kind)] == [height for _, height in drawn]
    assert [x for x, _ in bars(english, "messages")] == [0.1, 1.1, 2.1, 3.1]
    assert [x for x, _ in bars(arabic, "messages")] == [3.1, 2.1, 1.1, 0.1]
    assert bars(english, "accusing")[-1][1] > bars(english, "accusing")[0][1] == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_archive_has_a_report(language: Language) -> None:
    page = render(report_of([], []), language, True)
    assert page.startswith("<!DOCTYPE html>")
    assert page.endswith("</html>")


def test_the_same_archive_gives_the_same_page() -> None:
    assert render(story(), "ar", False) == render(story(), "ar", False)
