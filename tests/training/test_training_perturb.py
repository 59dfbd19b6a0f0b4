import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.preparation import prepare
from tests.training import small
from training.augment import augment
from training.perturb import PERTURBATIONS, UNSEEN, perturb, to_arabizi

SPLITS_WORDS = {"spaces", "split"}
"""The only perturbations that may change the number of words: that is what they are."""

MAY_LEAVE_ALONE = {
    "diacritics",
    "invisible",
    "symbols",
    "look_alikes",
    "spelling",
    "swapped",
    "digits",
    "bold",
}
"""Change some letters, or by chance: a word without such letters may stay as it is."""

LATIN = "aeiostbdfghklmnpr"
ARABIC = "ابتحخدرسصطعقكلمنهوي"
TEXTS = (
    "your service is a lazy and dishonest organisation",
    "هذه شركة كاذبة وموظفين قليلين الاحترام",
)
NAMES = pytest.mark.parametrize("name", PERTURBATIONS)
words = st.one_of(st.text(LATIN, min_size=3, max_size=9), st.text(ARABIC, min_size=3, max_size=9))
sentences = st.lists(words, min_size=1, max_size=6).map(" ".join)


@NAMES
@settings(max_examples=40)
@given(text=sentences, seed=st.integers(0, 99))
def test_a_perturbation_follows_from_its_seed_and_keeps_the_word_count(
    name: str, text: str, seed: int
) -> None:
    first = perturb(text, name, random.Random(seed))
    assert first == perturb(text, name, random.Random(seed))
    assert first.split(" ")[0]
    if name in SPLITS_WORDS:
        assert first.count(" ") > text.count(" ")
        assert first.replace(" ", "") == text.replace(" ", "")
    else:
        assert first.count(" ") == text.count(" ")


@NAMES
@settings(max_examples=40)
@given(text=sentences, seed=st.integers(0, 99))
def test_a_perturbation_changes_the_text(name: str, text: str, seed: int) -> None:
    changed = perturb(text, name, random.Random(seed), share=1.0) != text
    assert changed or name in MAY_LEAVE_ALONE


@NAMES
@pytest.mark.parametrize("text", TEXTS)
def test_a_perturbation_changes_real_text_at_every_seed(name: str, text: str) -> None:
    perturbed = [perturb(text, name, random.Random(seed), share=1.0) for seed in range(20)]
    assert all(other != text for other in perturbed)


@NAMES
def test_short_words_and_numbers_stay(name: str) -> None:
    text = "it is 2024 لو ok 15:30"
    assert perturb(text, name, random.Random(0), share=1.0) == text


@NAMES
def test_at_least_one_word_is_perturbed_and_at_a_low_share_not_all(name: str) -> None:
    text = " ".join(TEXTS[0].split() * 4)
    before = text.split(" ")
    if name in SPLITS_WORDS:
        added = perturb(text, name, random.Random(3), share=0.0).count(" ") - text.count(" ")
        assert 1 <= added <= len("organisation")
        return
    after = perturb(text, name, random.Random(3), share=0.0).split(" ")
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


@pytest.mark.parametrize("name", ["dots", "spaces", "tatweel", "diacritics", "invisible"])
def test_preparation_undoes_what_only_hides_letters(name: str) -> None:
    plain = prepare(TEXTS[1]).text.replace(" ", "")
    for seed in range(5):
        hidden = perturb(TEXTS[1], name, random.Random(seed), share=0.4)
        assert prepare(hidden).text.replace(" ", "") == plain


def test_arabizi_is_latin_and_follows_from_its_seed() -> None:
    text = "انتو نصابين وحرامية، رجعوا فلوسي ٥٠٠"
    spelled = to_arabizi(text, random.Random(4))
    assert spelled == to_arabizi(text, random.Random(4))
    assert spelled != to_arabizi(text, random.Random(5))
    assert spelled.count(" ") == text.count(" ")
    assert not any("\u0620" <= char <= "\u064a" for char in spelled)
    assert sum(char in "abcdefghijklmnopqrstuvwxyz" for char in spelled) > 20


def test_augmentation_keeps_labels_and_follows_from_its_seed() -> None:
    rows = [
        small.row(f"{TEXTS[i % 2]} {i}", "abuse", language=("en", "ar")[i % 2]) for i in range(400)
    ]
    first, again = (augment(rows, 0.2, 0.1, seed=3) for _ in range(2))
    assert first == again
    assert first != augment(rows, 0.2, 0.1, seed=4)
    assert [row.labels for row in first] == [row.labels for row in rows]
    changed = sum(a.text != b.text for a, b in zip(first, rows, strict=True))
    assert 0.15 * 400 < changed < 0.35 * 400


def test_augmentation_never_draws_what_is_kept_for_the_evaluation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[str] = []

    def note(text: str, name: str, *_: object) -> str:
        drawn.append(name)
        return text

    monkeypatch.setattr("training.augment.perturb", note)
    augment([small.row("late")] * 2000, 1.0, 0.0, seed=0)
    assert set(UNSEEN) < set(PERTURBATIONS)
    assert set(drawn) == set(PERTURBATIONS) - set(UNSEEN)


def test_without_shares_nothing_is_augmented() -> None:
    rows = [small.row(text, language="ar") for text in TEXTS * 20]
    assert augment(rows, 0.0, 0.0, seed=1) == rows


def test_only_dialect_arabic_becomes_arabizi() -> None:
    english, dialect, standard = (
        small.row(TEXTS[0], dialect="us"),
        small.row(TEXTS[1], language="ar", dialect="egy"),
        small.row(TEXTS[1], language="ar", dialect="msa"),
    )
    made = augment([english, dialect, standard], 0.0, 1.0, seed=1)
    assert made[0] == english
    assert made[2] == standard
    assert made[1].text.isascii()
    assert made[1].labels == dialect.labels
