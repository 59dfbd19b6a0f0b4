"""The lexical part: its features against a slow reference, and what it learns from toy rows."""

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.labels import LABELS, OUTPUTS, SENTIMENTS
from tests.training import small
from training import recipe
from training.data import Data
from training.lexical import BUCKETS, FIRST, MIXING_WEIGHT, SECOND, Lexical, features, fit_lexical
from training.rows import Row
from training.run import Run

VOCABULARY = 40_000
BEGIN, END = 0, 2
ABUSE, THREAT = LABELS.index("abuse"), LABELS.index("threat")
many_ids = st.lists(
    st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=9), min_size=1, max_size=5
)


def slow_features(ids: list[int], vocabulary: int) -> dict[int, float]:
    """Python's integers do not overflow."""
    pairs = [vocabulary + (a * FIRST + b * SECOND) % BUCKETS for a, b in itertools.pairwise(ids)]
    found = [*ids, *pairs]
    return {feature: n / len(found) ** 0.5 for feature, n in Counter(found).items()}


def marked(*ids: int) -> list[int]:
    return [BEGIN, *ids, END]


@settings(max_examples=50)
@given(many_ids)
def test_features_are_those_of_each_text_alone_by_a_slow_reference(ids: list[list[int]]) -> None:
    found = features(ids, VOCABULARY)
    assert found.shape == (len(ids), VOCABULARY + BUCKETS)
    for i, text in enumerate(ids):
        row = found[i]
        got = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
        assert got == pytest.approx(slow_features(text, VOCABULARY))


def test_logits_are_the_sum_of_rows_by_the_root_of_their_number() -> None:
    lexical = small.lexical()
    texts = [marked(5, 6, 5), marked(7), marked(*range(4, 40))]
    logits = lexical.logits(texts)
    assert logits.shape == (3, len(OUTPUTS))
    assert logits.dtype == np.float32
    for text, found in zip(texts, logits, strict=True):
        by_hand = slow_features(text, lexical.vocabulary).items()
        expected = sum((n * lexical.table[f] for f, n in by_hand), lexical.bias)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        np.testing.assert_allclose(lexical.logits([text])[0], found, atol=1e-6)


def toy(holds: int, ids: list[int]) -> tuple[Row, list[int]]:
    return small.row("x", *(["abuse"] if holds else [])), ids


def fit_toy(made: list[tuple[Row, list[int]]]) -> Lexical:
    return fit_lexical([row for row, _ in made], [ids for _, ids in made], VOCABULARY)


def fillers(i: int) -> tuple[int, int]:
    return 100 + i % 7, 200 + i % 5


def words(count: int = 60) -> list[tuple[Row, list[int]]]:
    """Rows of which piece 10 tells abuse."""
    made = []
    for i in range(count):
        left, right = fillers(i)
        made.append(toy(i % 2, marked(left, 10 if i % 2 else 11, right)))
    return made


def logit_of(lexical: Lexical, output: int, *ids: int) -> float:
    return float(lexical.logits([marked(*ids)])[0, output])


def test_a_word_is_learned() -> None:
    lexical = fit_toy(words())
    assert logit_of(lexical, ABUSE, 150, 10) > 0.05 > -0.05 > logit_of(lexical, ABUSE, 150, 11)
    assert lexical.table[10, ABUSE] > 0 > lexical.table[11, ABUSE]
    assert abs(lexical.table[10, ABUSE]) > 3 * abs(lexical.table[100, ABUSE])


def test_a_pair_is_learned_whose_pieces_tell_nothing() -> None:
    made = []
    for i in range(60):
        left, right = fillers(i // 2)
        pair = (10, 11) if i % 2 else (11, 10)
        made.append(toy(i % 2, marked(left, *pair, right)))
    lexical = fit_toy(made)
    np.testing.assert_allclose(lexical.table[:VOCABULARY, ABUSE], 0, atol=1e-3)
    assert logit_of(lexical, ABUSE, 150, 10, 11) > 0.05
    assert logit_of(lexical, ABUSE, 150, 11, 10) < -0.05


def test_a_sentiment_is_learned_against_the_others() -> None:
    feelings = [SENTIMENTS[i % 3] for i in range(90)]
    rows = [small.row("x", sentiment=feeling) for feeling in feelings]
    ids = [marked(fillers(i)[0], 10 + i % 3) for i in range(90)]
    untold = [small.row("x", sentiment=None)] * 9
    lexical = fit_lexical(rows + untold, [*ids, *[marked(10)] * 9], VOCABULARY)
    told = lexical.logits([marked(10), marked(11), marked(12)])[:, -len(SENTIMENTS) :]
    assert told.argmax(1).tolist() == [0, 1, 2]
    same = fit_lexical(rows, ids, VOCABULARY).logits([marked(10)])[0, -len(SENTIMENTS) :]
    np.testing.assert_allclose(told[0], same, atol=0.05)


def test_rows_that_do_not_tell_a_label_are_skipped_for_it() -> None:
    made = words()
    untold = [(replace(row, labels={"threat": 0}), marked(10)) for row, _ in made]
    lexical = fit_toy(made + untold)
    assert lexical.table[10, ABUSE] > 0
    assert logit_of(lexical, ABUSE, 150, 10) > 0.05


@pytest.mark.parametrize(("positives", "fit"), [(19, False), (20, True), (40, True), (41, False)])
def test_an_output_with_few_rows_of_a_class_adds_nothing(positives: int, fit: bool) -> None:
    made = [toy(int(i < positives), marked(10 if i < positives else 11)) for i in range(60)]
    lexical = fit_toy(made)
    assert bool(lexical.table[:, ABUSE].any()) == fit
    assert not lexical.table[:, THREAT].any()
    assert lexical.bias[THREAT] == 0


def test_a_feature_of_one_text_is_left_out() -> None:
    lexical = fit_toy([*words(), toy(1, marked(10, 99, 10))])
    assert not lexical.table[99].any()
    assert lexical.table[100].any()


def test_a_rows_weight_counts() -> None:
    made = [toy(i % 2, marked(10 + i % 4 // 2)) for i in range(80)]
    heavier = [
        (replace(row, weight=0.1) if (10 in ids) == bool(row.labels["abuse"]) else row, ids)
        for row, ids in made
    ]
    assert fit_toy(made).table[10, ABUSE] == pytest.approx(0, abs=1e-3)
    assert fit_toy(heavier).table[10, ABUSE] < -0.05


def test_the_mixing_weight_is_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    lexical = fit_toy(words())
    monkeypatch.setattr("training.lexical.MIXING_WEIGHT", 2 * MIXING_WEIGHT)
    twice = fit_toy(words())
    np.testing.assert_allclose(twice.table, 2 * lexical.table, rtol=1e-4)
    np.testing.assert_allclose(twice.bias, 2 * lexical.bias, rtol=1e-4)


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "lexical.npz"
    small.lexical().save(path)
    loaded = Lexical.load(path)
    np.testing.assert_array_equal(loaded.table, small.lexical().table)
    np.testing.assert_array_equal(loaded.bias, small.lexical().bias)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_kill_while_it_is_saved_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: NDArray[np.float32]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", killed)
    run = Run(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run.keep_lexical(small.lexical())
    assert run.lexical() is None


def test_the_recipe_fits_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path)
    small.tokenizer().save(str(tmp_path / "tokenizer.json"))
    small.config().save_pretrained(tmp_path)
    rows = [
        small.row(f"{'idiot' if i % 2 else 'thanks'} agent", *["abuse"] * (i % 2))
        for i in range(60)
    ]
    recipe.train_lexical(run, Data(rows, [], []))
    lexical = run.lexical()
    assert lexical
    assert lexical.vocabulary == small.tokenizer().get_vocab_size()
    assert lexical.table[small.tokenizer().token_to_id("▁idiot"), ABUSE] > 0.1
    monkeypatch.delattr(recipe, "fit_lexical")
    recipe.train_lexical(run, Data([], [], []))
