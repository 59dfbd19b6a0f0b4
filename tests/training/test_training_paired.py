import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.metrics import auroc, expected_calibration_error, f1, rate
from training.paired import (
    Weights,
    auroc_of,
    average_of,
    calibration_error_of,
    draw_weights,
    f1_of,
    lower_bound,
    mean_of,
    over_draws,
    upper_bound,
)

row = st.tuples(
    st.integers(0, 1), st.sampled_from(np.linspace(0, 1, 9).tolist()), st.integers(0, 3)
)
rows = st.lists(row, min_size=2, max_size=30)


def same(found: float, expected: float) -> None:
    assert found == pytest.approx(expected, nan_ok=True)


@settings(deadline=None)
@given(rows)
def test_a_weighted_figure_is_the_figure_of_repeated_rows(
    drawn: list[tuple[int, float, int]],
) -> None:
    truth, score, times = (np.array(column, float) for column in zip(*drawn, strict=True))
    weights = np.array([times], np.float32)
    again = np.repeat(np.arange(len(drawn)), times.astype(int))
    flags = score >= 0.5
    same(auroc_of(truth, score)(weights)[0], auroc(truth[again], score[again]))
    same(mean_of(score)(weights)[0], rate(score[again]))
    same(f1_of(truth, flags)(weights)[0], _f1(truth[again], flags[again]))
    error = expected_calibration_error(truth[again], score[again])
    found = calibration_error_of(truth, score)(weights)[0]
    assert found == pytest.approx(error, abs=1e-6, nan_ok=True)


def _f1(truth: np.ndarray, flags: np.ndarray) -> float:
    if not truth.any():  # F1 is then 0 where something is flagged, and undefined elsewhere
        return 0.0 if flags.any() else math.nan
    return f1(truth, flags)


def test_rows_of_unknown_truth_do_not_count() -> None:
    truth, score = np.array([1, 0, np.nan, 1, 0]), np.array([0.9, 0.2, 0.5, 0.1, 0.4])
    known = ~np.isnan(truth)
    ones = np.ones((1, 5), np.float32)
    assert auroc_of(truth, score)(ones)[0] == auroc(truth[known], score[known])
    assert f1_of(truth, score > 0.3)(ones)[0] == f1(truth[known], score[known] > 0.3)
    error = expected_calibration_error(truth[known], score[known])
    assert calibration_error_of(truth, score)(ones)[0] == pytest.approx(error)


def test_sums_over_several_values_a_row() -> None:
    sums, counts = np.array([3.0, 1.0]), np.array([2.0, 1.0])
    assert mean_of(sums, counts)(np.array([[1, 1], [2, 0]], np.float32)).tolist() == pytest.approx(
        [4 / 3, 1.5]
    )


def test_an_average_of_figures() -> None:
    both = average_of([mean_of(np.array([0.0, 1.0])), mean_of(np.array([1.0, 1.0]))])
    assert both(np.ones((1, 2), np.float32)).tolist() == [0.75]


def test_rows_of_a_cluster_are_drawn_together_and_as_many_clusters_as_there_are() -> None:
    clusters = np.array([0, 1, 0, 2, 1, 3])
    weights = draw_weights(clusters, 200, seed=1)
    assert weights.shape == (201, 6)
    assert (weights[0] == 1).all()
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, [0, 1, 3, 5]].sum(1) == 4).all()
    assert (weights == draw_weights(clusters, 200, seed=1)).all()
    assert (weights != draw_weights(clusters, 200, seed=2)).any()


def test_no_rows_have_no_weights() -> None:
    assert draw_weights(np.array([], int), 3, seed=0).shape == (4, 0)


def test_a_row_may_be_counted_twice() -> None:
    weights = np.array([[1, 2], [0, 3]], np.float32)
    values = np.array([0.0, 0.0, 1.0])
    found = over_draws(mean_of(values), weights, np.array([0, 0, 1]))
    assert found.tolist() == [0.5, 1.0]


def test_bounds_are_draws_on_the_safe_side() -> None:
    draws = np.array([*range(100), np.nan])
    assert (lower_bound(draws, 0.05), upper_bound(draws, 0.05)) == (4, 95)
    assert lower_bound(draws, 0.001) == 0


def _draw_pair(chance: np.random.Generator, clusters: int) -> tuple[np.ndarray, ...]:
    """Two equally good models on rows of which two share a cluster, and what is hard in it."""
    truth = np.repeat(chance.integers(0, 2, clusters), 2).astype(float)
    hard = np.repeat(chance.normal(size=clusters), 2)
    first, second = (
        truth + 0.7 * hard + 0.5 * np.repeat(chance.normal(size=clusters), 2) for _ in range(2)
    )
    return truth, first, second


def test_the_bound_errs_as_often_as_it_says() -> None:
    """In 500 made-up tests of equal models, the lower bound of the difference is above zero in about
    the stated share, although rows come in alike pairs.
    """
    chance = np.random.default_rng(5)
    trials, clusters = 500, 120
    members = np.repeat(np.arange(clusters), 2)
    errors = {0.05: 0, 0.01: 0}
    for trial in range(trials):
        truth, first, second = _draw_pair(chance, clusters)
        weights: Weights = draw_weights(members, 300, seed=trial)
        gains = auroc_of(truth, first)(weights) - auroc_of(truth, second)(weights)
        for risk in errors:
            errors[risk] += lower_bound(gains[1:], risk) > 0
    for risk, count in errors.items():
        spread = 3 * math.sqrt(risk * (1 - risk) / trials)
        assert risk / 3 <= count / trials <= risk + spread
