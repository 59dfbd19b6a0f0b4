import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.labels import THREAT_KINDS
from tests.training import small
from training.corpora import CORPORA, RELABELLED
from training.mixture import build_training_rows, sample_epoch, shingles, text_key
from training.rows import Row

LONG = "the third engineer gave me the third different answer about my router"


def corpus_row(text: str, source: str = "olid", **labels: int) -> Row:
    return Row(text, labels, source=source, weight=CORPORA[source].weight)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Your service is BAD!!!", "your service is bad"),
        ("خدمة سيئة جداً", "خدمه سيئه جدا"),
        ("order 4431 is late 😡", "order 9902 is late"),
        ("f.u.c.k you", "fuck you"),
        ("جـــدا متأخر", "جدا متاخر"),
    ],
)
def test_texts_that_differ_only_in_spelling_have_one_key(one: str, other: str) -> None:
    assert text_key(one) == text_key(other)


def test_other_words_have_another_key() -> None:
    assert text_key("refund my money") != text_key("refund my order")


@pytest.mark.parametrize("text", ["😡😡", "12345678", "???"])
def test_a_text_without_letters_still_has_a_key(text: str) -> None:
    assert text_key(text)


@given(st.lists(st.sampled_from(small.WORDS), max_size=14))
def test_shingles_are_the_runs_of_eight_words(words: list[str]) -> None:
    key = " ".join(words)
    found = list(shingles(key))
    assert len(found) == max(0, len(words) - 7)
    assert set(found) <= set(shingles("before " + key + " after"))


def test_a_held_out_text_does_not_train_in_any_corpus() -> None:
    held = [corpus_row("You are THIEVES!", "davidson", abuse=1)]
    rows = [
        corpus_row("you are thieves", abuse=1),
        small.row("You are thieves."),
        corpus_row("you are not", abuse=0),
    ]
    assert [row.text for row in build_training_rows(rows, held)] == ["you are not"]


def test_a_near_duplicate_by_eight_words_does_not_train() -> None:
    held = [corpus_row(LONG, abuse=0)]
    near = corpus_row("Honestly: " + LONG + " and nobody calls back", abuse=0)
    seven = corpus_row(" ".join(LONG.split()[:7]) + " again", abuse=0)
    assert build_training_rows([near, seven], held) == [seven]


def test_labels_in_conflict_are_masked_and_others_are_joined() -> None:
    rows = [
        Row("so late", {"abuse": 1, "threat": 0}, "negative", source="olid"),
        Row("So late!", {"abuse": 0, "accusation": 0}, None, source="davidson"),
    ]
    (merged,) = build_training_rows(rows, [])
    assert merged.labels == {"threat": 0, "accusation": 0}
    assert merged.sentiment == "negative"


def test_kinds_go_with_a_threat_in_conflict() -> None:
    no_threat = dict.fromkeys(("threat", *THREAT_KINDS), 0)
    rows = [
        Row("i will come", {**no_threat, "abuse": 0}, source="olid"),
        corpus_row("I will come.", "davidson", threat=1),
    ]
    (merged,) = build_training_rows(rows, [])
    assert merged.labels == {"abuse": 0}


def test_a_text_with_nothing_but_conflicts_is_left_out() -> None:
    rows = [
        Row("so late", {"abuse": 1}, "negative", source="olid"),
        Row("so late", {"abuse": 0}, "positive", source="davidson"),
    ]
    assert build_training_rows(rows, []) == []


def test_the_most_trusted_source_decides() -> None:
    ours = small.row("idiot", "abuse")
    real = corpus_row("idiot!", RELABELLED, abuse=0)
    other = corpus_row("Idiot", abuse=0, accusation=0)
    assert build_training_rows([other, real, ours], [])[0].source == "own"
    (merged,) = build_training_rows([other, real], [])
    assert merged.source == RELABELLED
    assert merged.labels == {"abuse": 0}


def test_of_equal_trust_the_heavier_row_stays() -> None:
    light, heavy = (
        corpus_row("idiot", "davidson", abuse=1),
        corpus_row("idiot", "convabuse", abuse=1),
    )
    (merged,) = build_training_rows([light, heavy], [])
    assert (merged.source, merged.weight) == ("convabuse", CORPORA["convabuse"].weight)


def test_rows_given_are_not_changed() -> None:
    rows = [corpus_row("so late", abuse=1, threat=0), corpus_row("so late", "davidson", abuse=0)]
    build_training_rows(rows, [])
    assert rows[0].labels == {"abuse": 1, "threat": 0}


def test_an_epoch_has_all_relabelled_messages() -> None:
    rows = [corpus_row(f"text {i}", RELABELLED, abuse=0) for i in range(300)]
    assert sample_epoch(rows, 0.001, seed=1) == rows
    assert len(sample_epoch(rows, 0.001, seed=1, relabelled=0.5)) == 150


def test_an_epoch_has_all_own_rows_and_a_quota_of_each_corpus() -> None:
    quota = CORPORA["mlma_en"].rows
    rows = [corpus_row(f"text {i}", "mlma_en", abuse=0) for i in range(quota + 300)]
    few = [corpus_row(f"few {i}", "olid", abuse=0) for i in range(7)]
    own = [small.row(f"own {i}") for i in range(50)]
    epoch = sample_epoch(rows + few + own, 1.0, seed=1)
    assert sum(row.source == "mlma_en" for row in epoch) == quota
    assert [row for row in epoch if row.source == "own"] == own
    assert [row for row in epoch if row.source == "olid"] == few
    assert len({row.text for row in epoch}) == len(epoch)
    half = sample_epoch(rows, 0.5, seed=1)
    assert len(half) == quota // 2


def test_an_epoch_is_drawn_anew_and_follows_from_its_seed() -> None:
    rows = [corpus_row(f"text {i}", "mlma_en", abuse=0) for i in range(900)]
    assert sample_epoch(rows, 0.2, seed=1) == sample_epoch(rows, 0.2, seed=1)
    assert sample_epoch(rows, 0.2, seed=1) != sample_epoch(rows, 0.2, seed=2)
