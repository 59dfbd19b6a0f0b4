"""Windows of long texts, batches of them, and what is made of several results."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.labels import OUTPUTS, YES_NO
from model.windows import (
    BEGIN,
    END,
    PAD,
    cut_windows,
    merge_probabilities,
    merge_vectors,
    pad,
    plan_batches,
)


@given(st.integers(0, 300), st.integers(4, 40), st.integers(0, 20), st.integers(1, 12))
def test_windows_hold_the_text_in_order(count: int, size: int, overlap: int, most: int) -> None:
    overlap = min(overlap, size - 3)
    windows = cut_windows(range(10, 10 + count), size, overlap, most)
    assert 1 <= len(windows.ids) <= most
    assert all(w[0] == BEGIN and w[-1] == END and len(w) <= size for w in windows.ids)
    seen = [i for w in windows.ids for i in w[1:-1]]
    covered = sorted(set(seen))
    assert covered == list(range(10, 10 + len(covered)))
    assert windows.truncated == (len(covered) < count)


@given(st.integers(30, 300))
def test_neighbours_overlap_and_all_windows_of_a_long_text_are_full(count: int) -> None:
    windows = cut_windows(range(10, 10 + count), size=20, overlap=5, most=100).ids
    assert {len(w) for w in windows} == {20}
    assert all(len(set(a[1:-1]) & set(b[1:-1])) >= 5 for a, b in pairwise(windows))


def test_a_short_text_is_one_window() -> None:
    assert cut_windows([7, 8], 10, 2, 4).ids == [[BEGIN, 7, 8, END]]
    assert cut_windows([], 10, 2, 4).ids == [[BEGIN, END]]


def test_the_last_window_reaches_back() -> None:
    assert cut_windows(range(10, 17), 7, 2, 4).ids == [
        [BEGIN, 10, 11, 12, 13, 14, END],
        [BEGIN, 12, 13, 14, 15, 16, END],
    ]


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 200))
def test_batches_hold_each_row_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = plan_batches(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    padded = [len(batch) * max(lengths[i] for i in batch) for batch in batches]
    assert all(
        size <= budget or len(batch) == 1 for size, batch in zip(padded, batches, strict=True)
    )
    assert [lengths[i] for batch in batches for i in batch] == sorted(lengths)


def test_a_batch_may_fill_the_budget() -> None:
    assert plan_batches([5, 3, 5], 15) == [[1, 0, 2]]
    assert plan_batches([5, 3, 5], 14) == [[1, 0], [2]]


def test_rows_are_padded_at_the_end() -> None:
    ids, mask = pad([[0, 5, 2], [0, 2]])
    assert ids.tolist() == [[0, 5, 2], [0, 2, PAD]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_one_window_decides_a_label_and_all_of_them_the_sentiment() -> None:
    quiet = np.full(len(OUTPUTS), 0.1, np.float32)
    loud = quiet.copy()
    loud[0] = 0.9
    quiet[-3:], loud[-3:] = [0, 1, 0], [1, 0, 0]
    merged = merge_probabilities(np.stack([quiet, loud]), tokens=[30, 10])
    assert merged[0] == pytest.approx(0.9)
    assert merged[1 : len(YES_NO)] == pytest.approx(0.1)
    assert merged[-3:] == pytest.approx([0.25, 0.75, 0])


def test_vectors_are_averaged_by_length_to_a_length_of_one() -> None:
    merged = merge_vectors(np.array([[1, 0], [0, 1]], np.float32), tokens=[3, 4])
    assert merged == pytest.approx([0.6, 0.8])


def test_opposite_vectors_make_no_division_by_zero() -> None:
    merged = merge_vectors(np.array([[1, 0], [-1, 0]], np.float32), tokens=[1, 1])
    assert merged.tolist() == [0, 0]
