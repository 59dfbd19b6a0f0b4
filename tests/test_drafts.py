"""Drafts and reasons: complete in both languages, and nothing in them that the reading does not hold."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from serving.index import words
from serving.index.drafts import Facts, drafts, sentence
from serving.index.ladder import STEPS, Decision, Money, Reason, Suggestion, suggest
from serving.index.reading import CALM, DRAINING, HURT, INFLAMED, Contribution, Reading
from serving.index.settings import DAY, IndexSettings
from serving.index.signs import SIGNS, Sign

NOW = 20_576.5 * DAY  # 3 May 2026
SETTINGS = IndexSettings()
QUADRANTS = (CALM, HURT, DRAINING, INFLAMED)
SENT = [step for step in STEPS if step != "none"]
FAULTS = ("unanswered", "late_replies", "unresolved", "reopened", "handoffs", "false_resolutions")
KNOWN = Facts("Nile Shop", 500.0, "SAR", "Basic")

FORBIDDEN = {
    "en": "maybe perhaps might may could possibly probably unfortunately sorry regret toxic toxicity"
    " abusive score index draining hurt inflamed repelling",
    "ar": "ربما قد لقد وقد لعل للأسف نأسف محتمل يحتمل سام سامة سمية مؤشر استنزاف مستنزف",
}


def ids(count: int) -> tuple[str, ...]:
    return tuple(f"m{n}" for n in range(count))


def reading(quadrant: str = DRAINING, days: float = 43, count: int = 4) -> Reading:
    """One in which every sign stands and everything went wrong, with `count` messages of each."""
    return Reading(
        at=NOW,
        index=61.37,
        low=54.21,
        high=68.93,
        contributions=(Contribution("language", 61.37, ids(count)),),
        pain=41.58,
        pain_contributions=tuple(Contribution(name, 6.93, ids(count)) for name in FAULTS),
        quadrant=quadrant,
        signs=tuple(Sign(name, True, NOW - days * DAY, NOW, ids(count)) for name in SIGNS),
        together_since=NOW - days * DAY,
        grave_at=NOW - 3 * DAY,
        grave_ids=ids(2),
        messages=21.7,
    )


def bare(quadrant: str = DRAINING) -> Reading:
    """One in which nothing stands."""
    return replace(
        reading(quadrant),
        pain_contributions=tuple(Contribution(name, 0.4, ids(4)) for name in FAULTS),
        signs=tuple(Sign(name, False) for name in SIGNS),
        together_since=None,
        grave_at=None,
        grave_ids=(),
    )


def draft(step: str, language: str, found: Reading, facts: Facts = KNOWN) -> str:
    return drafts(Suggestion(step, False, (), ()), found, facts)[language]


STEP_AND_LANGUAGE = list(itertools.product(SENT, words.LANGUAGES))


@pytest.mark.parametrize(("step", "language"), STEP_AND_LANGUAGE)
@pytest.mark.parametrize("quadrant", QUADRANTS)
@pytest.mark.parametrize("facts", [KNOWN, Facts()])
@pytest.mark.parametrize("make", [reading, bare])
def test_every_step_has_a_text_without_doubt_blame_or_score(
    step: str, language: str, quadrant: str, facts: Facts, make: Callable[[str], Reading]
) -> None:
    text = draft(step, language, make(quadrant), facts)
    said = text.replace("May 2026", "")
    found = set(re.findall(r"\w+", said.lower()))
    assert not found & set(FORBIDDEN[language].split())
    assert 100 < len(text) < 1_500
    assert text.count("[") == text.count("]") >= 2
    assert "\n\n\n" not in text
    assert "None" not in text
    letters = re.sub(r"\[.*?\]|Nile Shop|Basic|SAR", "", text)
    foreign = "[a-zA-Z]" if language == "ar" else "[\u0600-\u06ff]"
    assert not re.search(foreign, letters)


def test_nothing_to_do_has_no_text() -> None:
    assert drafts(Suggestion("none", False, (), ()), reading(), KNOWN) == {"ar": "", "en": ""}


def figures(text: str) -> set[str]:
    return set(re.findall(r"\d[\d,.]*\d|\d", text))


@pytest.mark.parametrize(("step", "language"), STEP_AND_LANGUAGE)
@pytest.mark.parametrize("count", [1, 4, 7])
def test_no_figure_is_invented(step: str, language: str, count: int) -> None:
    found = reading(count=count)
    text = draft(step, language, found)
    for at in (found.signs[0].since, found.grave_at):
        assert at is not None
        text = text.replace(words.date(at, language), "")
    known = {str(count), "2"}  # messages of each kind, messages with a threat
    if step == "repelling_price":
        known |= {"500", "1,500", "2,000"}
    if step == "separation":
        known |= {"30", "60"}
    assert figures(text) <= known


@pytest.mark.parametrize(("step", "language"), STEP_AND_LANGUAGE)
def test_with_nothing_known_no_figure_is_named(step: str, language: str) -> None:
    known = {"30", "60"} if step == "separation" else set()
    assert figures(draft(step, language, bare(), Facts())) == known


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_the_evidence_is_a_bounded_list_so_a_full_one_is_a_lower_bound(language: str) -> None:
    text = draft("repair", language, reading(count=12))
    assert "12" not in text
    assert {"en": "10 or more", "ar": "10 أو أكثر"}[language] in text


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_repair_names_the_faults_that_are_felt(language: str) -> None:
    one = replace(
        bare(HURT),
        pain_contributions=(
            Contribution("late_replies", 0.6, ids(3)),
            Contribution("reopened", 20.0),
        ),
    )
    lines = [line for line in draft("repair", language, one).splitlines() if line.startswith("-")]
    assert len(lines) == 1
    assert {"en": "open again", "ar": "أُعيد فتحه"}[language] in lines[0]


@pytest.mark.parametrize("step", ["listen", "repair"])
@pytest.mark.parametrize("language", words.LANGUAGES)
def test_where_the_company_speaks_of_itself_the_customer_is_not_accused(
    step: str, language: str
) -> None:
    text = draft(step, language, reading(INFLAMED))
    for word in ("insult", "threat", "accusation", "إهانة", "تهديد", "اتهام"):
        assert word not in text


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_separation_gives_notice_and_help_and_no_reproach(language: str) -> None:
    text = draft("separation", language, reading())
    assert {"en": "30 to 60 days", "ar": "30 إلى 60 يومًا"}[language] in text
    assert {"en": "help you with the move", "ar": "نساعدكم في الانتقال"}[language] in text
    assert words.date(NOW - 43 * DAY, language) not in text
    for word in ("insult", "threat", "إهانة", "تهديد"):
        assert word not in text


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_criticism_stays_welcome(language: str) -> None:
    for step in ("boundary", "warning"):
        assert {"en": "Criticism", "ar": "نقد خدمتنا"}[language] in draft(step, language, reading())


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_who_insulted_nobody_reads_nothing_of_insults(language: str) -> None:
    insult = {"en": "insult", "ar": "الإهانة"}[language]
    assert insult not in draft("boundary", language, bare())
    assert insult in draft("boundary", language, reading())


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_without_a_plan_nothing_speaks_of_an_agreement(language: str) -> None:
    """A shop's customer has bought something, and has no contract."""
    contract = {"en": ("agreement", "plan", "renew"), "ar": ("اتفاق", "باق", "التجديد")}[language]
    for step in ("listen", "repelling_price", "step_down", "separation"):
        text = draft(step, language, bare(), Facts())
        assert not [word for word in contract if word in text.split("\n", 1)[1]]
        assert any(word in draft(step, language, bare(), Facts(plan="Gold")) for word in contract)


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_name_is_one_line_and_is_never_read_as_a_template(language: str) -> None:
    text = draft("listen", language, bare(), Facts(name="Nile\n{{ 7 * 7 }}\tShop", plan="  "))
    assert "Nile {{ 7 * 7 }} Shop" in text.splitlines()[0]


REASONS = [
    Reason("toxic", {"index": 61.37, "low": 54.21, "high": 68.93}),
    Reason("pain", {"pain": 41.58}),
    Reason("grave", {"days": 0.0}),
    Reason("grave", {"days": 3.0}),
    *(Reason("sign", {"sign": sign, "days": days}) for sign in SIGNS for days in (0.0, 43.0)),
    Reason("together", {"days": 43.0, "needed": 42.0}),
    Reason("cost", {"minutes": 340.5}),
    Reason("own_fault", {"pain": 41.58}),
    Reason("few_messages", {"messages": 2.4}),
    Reason("unsure", {"low": 34.21, "high": 48.93}),
    Reason("value", {"value": 1500.0, "currency": "SAR"}),
    Reason("value", {"value": 1500.0, "currency": ""}),
    Reason("untried", {"steps": "boundary, warning, repelling_price, step_down"}),
]


@pytest.mark.parametrize("language", words.LANGUAGES)
@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: f"{reason.fact}")
def test_every_fact_has_a_sentence(reason: Reason, language: str) -> None:
    text = sentence(reason, language)
    assert text.endswith(".")
    assert "\n" not in text
    assert "_" not in text
    rounded = {str(round(v)) for v in reason.figures.values() if isinstance(v, float)}
    assert figures(text.replace(",", "").replace("80", "")) - {"2.4"} <= rounded


def every_suggestion() -> Iterator[Suggestion]:
    for quadrant, few, decided in itertools.product(QUADRANTS, (0.5, 30.0), (False, True)):
        for low, money in itertools.product((20.0, 54.0), (Money(), Money(500.0, "SAR", 340.0))):
            found = replace(reading(quadrant), messages=few, low=low)
            taken = [Decision("boundary", NOW - 30 * DAY)] if decided else []
            yield suggest(found, taken, money, SETTINGS)


def test_the_ladder_yields_no_fact_without_a_sentence() -> None:
    """And the list above holds all that it yields."""
    yielded = set()
    for suggestion in every_suggestion():
        for reason in (*suggestion.reasons_for, *suggestion.reasons_against):
            yielded.add(reason.fact)
            for language in words.LANGUAGES:
                assert sentence(reason, language)
    assert yielded == {reason.fact for reason in REASONS}


def test_an_unknown_fact_is_an_error() -> None:
    with pytest.raises(ValueError, match="weather"):
        sentence(Reason("weather"), "en")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "يوم واحد"),
        (2, "يومين"),
        (3, "3 أيام"),
        (10, "10 أيام"),
        (11, "11 يومًا"),
        (99, "99 يومًا"),
        (100, "100 يوم"),
        (102, "102 يوم"),
        (105, "105 أيام"),
        (1_111, "1,111 يومًا"),
    ],
)
def test_days_agree_with_their_number_in_arabic(number: int, said: str) -> None:
    assert words.days(number, "ar") == said


def test_words_are_known_in_both_languages() -> None:
    assert set(words.NAMES["ar"]) == set(words.NAMES["en"])
    for word in (*STEPS, *SIGNS, *QUADRANTS, *FAULTS):
        assert words.name_of(word, "ar") != word
    assert words.date(NOW, "en") == "3 May 2026"
    assert words.date(NOW, "ar") == "3 مايو 2026"
    assert words.amount(1234.5, "SAR") == "1,234.50 SAR"
