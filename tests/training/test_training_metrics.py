import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import f1_score, roc_auc_score

from training.metrics import (
    auroc,
    average_precision,
    bootstrap,
    expected_calibration_error,
    f1,
    macro_f1,
    rate,
)

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
pairs = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(np.linspace(0, 1, 9).tolist())), min_size=2
).map(lambda rows: (np.array([float(t) for t, _ in rows]), np.array([s for _, s in rows])))


@settings(deadline=None)
@given(pairs)
def test_auroc_is_the_share_of_pairs_in_the_right_order(pair: Pair) -> None:
    truth, score = pair
    positive, negative = score[truth == 1], score[truth == 0]
    found = auroc(truth, score)
    if not (len(positive) and len(negative)):
        assert math.isnan(found)
        return
    wins = [(p > n) + 0.5 * (p == n) for p, n in itertools.product(positive, negative)]
    assert found == pytest.approx(np.mean(wins))


def test_average_precision_by_hand() -> None:
    truth, score = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.9, 0.8, 0.7, 0.1])
    assert average_precision(truth, score) == pytest.approx((1 + 2 / 3) / 2)
    assert math.isnan(average_precision(np.zeros(3), score[:3]))


def test_f1_by_hand() -> None:
    truth = np.array([1, 1, 1, 0, 0], float)
    predicted = np.array([1, 1, 0, 1, 0], float)
    assert f1(truth, predicted) == pytest.approx(4 / 6)
    assert f1(truth, np.zeros(5)) == 0.0
    assert math.isnan(f1(np.zeros(5), predicted))


def test_macro_f1_is_over_the_classes_of_the_truth() -> None:
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])
    assert macro_f1(truth, predicted) == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert macro_f1(truth, truth) == 1.0
    assert math.isnan(macro_f1(np.zeros(3), predicted[:3]))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=3))
def test_macro_f1_is_sklearns_where_all_classes_occur(rows: list[tuple[int, int]]) -> None:
    truth, predicted = (np.array(side) for side in zip(*rows, (0, 0), (1, 1), (2, 2), strict=True))
    assert macro_f1(truth, predicted) == pytest.approx(f1_score(truth, predicted, average="macro"))


def test_rate_of_flags_and_of_none() -> None:
    assert rate(np.array([True, False, False, False])) == 0.25
    assert math.isnan(rate(np.array([], bool)))


def test_calibration_error_by_hand() -> None:
    score = np.array([0.05, 0.05, 0.95, 0.95])
    assert expected_calibration_error(np.array([0.0, 0.0, 1.0, 1.0]), score) == pytest.approx(0.05)
    assert expected_calibration_error(np.array([1.0, 0.0, 1.0, 1.0]), score) == pytest.approx(
        0.5 * 0.45 + 0.5 * 0.05
    )
    assert math.isnan(expected_calibration_error(np.array([]), np.array([])))


def test_a_probability_of_one_lies_in_the_last_bin() -> None:
    assert expected_calibration_error(np.ones(4), np.ones(4)) == 0.0


def test_bootstrap_brackets_the_value_and_narrows_with_rows() -> None:
    chance = np.random.default_rng(0)
    widths = []
    for rows in (60, 1500):
        truth = chance.integers(0, 2, rows).astype(float)
        score = truth + chance.normal(size=rows)
        estimate = bootstrap(auroc, truth, score)
        assert estimate is not None
        assert estimate == bootstrap(auroc, truth, score)
        assert estimate.low < estimate.value == auroc(truth, score) < estimate.high
        assert estimate.rows == rows
        widths.append(estimate.high - estimate.low)
    assert widths[1] < 0.5 * widths[0]


def test_alike_rows_are_drawn_together() -> None:
    """A hundred rows that are ten copies of ten tell no more than the ten."""
    values = np.repeat(np.array([0, 0, 0, 1, 1, 1, 1, 1, 0, 1], float), 10)
    clusters = np.repeat(np.arange(10), 10)
    chance = np.random.default_rng(0).permutation(100)
    alike = bootstrap(rate, values[chance], clusters=clusters[chance])
    apart, ten = bootstrap(rate, values), bootstrap(rate, values[::10])
    assert alike is not None
    assert apart is not None
    assert ten is not None
    assert alike.value == apart.value == 0.6
    assert alike.high - alike.low == pytest.approx(ten.high - ten.low, abs=0.11)
    assert alike.high - alike.low > 2 * (apart.high - apart.low)


def test_bootstrap_is_none_where_the_metric_is_undefined() -> None:
    assert bootstrap(auroc, np.ones(5), np.ones(5)) is None
    assert bootstrap(rate, np.array([], float)) is None


def test_an_estimate_is_rounded_for_the_report() -> None:
    estimate = bootstrap(rate, np.array([1.0, 0.0, 0.0]))
    assert estimate is not None
    assert estimate.as_dict() == {"value": 0.3333, "low": 0.0, "high": 1.0, "rows": 3}


@settings(deadline=None)
@given(pairs, st.floats(0, 1))
def test_the_counted_metrics_are_those_of_scikit_learn(pair: Pair, threshold: float) -> None:
    truth, score = pair
    if 0 < truth.sum() < len(truth):
        assert auroc(truth, score) == pytest.approx(roc_auc_score(truth, score))
    if truth.any():
        predicted = score >= threshold
        expected = f1_score(truth, predicted, zero_division=0.0)
        assert f1(truth, predicted) == pytest.approx(expected)
