import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training import small
from training.batches import PAD, cut, encode, make_batch, pad, plan
from training.run import SOURCES

LENGTHS = st.lists(st.integers(1, 300), max_size=120)


@given(LENGTHS, st.integers(1, 600), st.integers(1, 40), st.integers(0, 9), st.booleans())
def test_a_plan_has_every_row_once_and_keeps_its_budgets(
    lengths: list[int], budget: int, most_rows: int, seed: int, grouped: bool
) -> None:
    groups = [("", "a", "b", "c")[(length + i) % 4] for i, length in enumerate(lengths)]
    batches = plan(lengths, budget, most_rows, seed, groups if grouped else ())
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= most_rows
        tokens = len(batch) * max(lengths[i] for i in batch)
        assert tokens <= budget or len(batch) == 1


@given(LENGTHS, st.integers(0, 9))
def test_a_plan_follows_from_its_seed(lengths: list[int], seed: int) -> None:
    assert plan(lengths, 300, 8, seed) == plan(lengths, 300, 8, seed)


def test_rows_of_a_group_stay_together() -> None:
    lengths = [10, 90, 50, 11, 12, 49, 70, 13]
    groups = ["a", "a", "", "b", "", "b", "", ""]
    together = plan(lengths, 200, 2, 0, groups)
    assert [0, 1] in map(sorted, together)
    assert [3, 5] in map(sorted, together)
    apart = plan(lengths, 200, 2, 0)
    assert [0, 1] not in map(sorted, apart)


def test_another_seed_gives_another_order() -> None:
    lengths = [5] * 40
    assert plan(lengths, 20, 8, seed=1) != plan(lengths, 20, 8, seed=2)


def test_texts_of_similar_length_share_a_batch() -> None:
    batches = plan([2, 50, 3, 49], 120, 2, seed=0)
    assert sorted(map(sorted, batches)) == [[0, 2], [1, 3]]


@given(st.lists(st.integers(4, 99), min_size=1, max_size=40), st.integers(2, 30))
def test_a_cut_keeps_the_begin_and_the_end_mark(inner: list[int], most: int) -> None:
    ids = [0, *inner, 2]
    short = cut(ids, most)
    assert len(short) == min(len(ids), most)
    assert (short[0], short[-1]) == (0, 2)
    assert short[1:-1] == inner[: len(short) - 2]


def test_encode_reads_prepared_texts() -> None:
    plain, hidden, long = encode(small.tokenizer(), ["idiot", "I.D.I.O.T", "idiot " * 50], 16)
    assert plain == hidden
    assert len(long) == 16
    assert long[-1] == 2


def test_pad_fills_to_the_longest_and_masks_it() -> None:
    ids, mask = pad([[0, 7, 2], [0, 2]])
    assert ids.tolist() == [[0, 7, 2], [0, 2, PAD]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_a_batch_holds_labels_weights_and_sources() -> None:
    rows = [
        small.row("idiot", "abuse", sentiment="negative", weight=0.5, source="olid"),
        small.row("thanks", sentiment=None),
    ]
    del rows[1].labels["threat"]
    batch = make_batch(rows, [[0, 5, 2], [0, 2]], SOURCES)
    assert batch.labels[:, 0].tolist() == [1.0, 0.0]
    assert batch.labels.isnan().nonzero().tolist() == [[1, 1]]
    assert batch.sentiment.tolist() == [0, -1]
    assert batch.weight.tolist() == [0.5, 1.0]
    assert batch.source.tolist() == [SOURCES["olid"], 0]
    assert batch.labels.dtype == torch.float32


def test_a_batch_numbers_its_groups() -> None:
    rows = [small.row("x", group=group) for group in ("s1", "", "s2", "s1", "")]
    one, none, two, again, other = make_batch(rows, [[0, 2]] * 5, SOURCES).group.tolist()
    assert one == again != two
    assert none == other == -1
    assert min(one, two) >= 0


def test_a_source_that_the_run_does_not_know_is_an_error() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        make_batch([small.row("a", source="nowhere")], [[0, 2]], SOURCES)
