import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.classifier import chance_of_error
from model.labels import LABELS, OUTPUTS, SENTIMENTS, YES_NO
from model.manifest import BALANCED, FEW_FALSE_ALARMS
from tests.training import small
from training.calibrate import choose_thresholds, column_of, fit_calibration, logit
from training.rows import Row

Array = NDArray[np.float32]
ROWS = 4000


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-x)))


def simulate(
    scale: float, shift: float, temperature: float = 1.0, seed: int = 0, rows: int = ROWS
) -> tuple[list[Row], Array]:
    """Rows drawn by true probabilities, and probabilities of a model that distorts their logits.

    True logit = scale · model's logit + shift for yes/no outputs; sentiment powers = model's ^ temperature.
    """
    chance = np.random.default_rng(seed)
    model = chance.normal(scale=2, size=(rows, len(YES_NO)))
    truth = chance.random(model.shape) < sigmoid(scale * model + shift)
    powers = np.exp(chance.normal(size=(rows, len(SENTIMENTS))))
    feeling = powers / powers.sum(1, keepdims=True)
    true_feeling = feeling**temperature / (feeling**temperature).sum(1, keepdims=True)
    drawn = [SENTIMENTS[chance.choice(3, p=p)] for p in true_feeling]
    made = [
        small.row("x", *(n for n, t in zip(YES_NO, flags, strict=True) if t), sentiment=s)
        for flags, s in zip(truth, drawn, strict=True)
    ]
    return made, np.concatenate([sigmoid(model), feeling], axis=1).astype(np.float32)


def test_calibration_recovers_a_known_distortion() -> None:
    calibration = fit_calibration(*simulate(0.6, -1.2, temperature=0.7))
    yes_no = slice(len(YES_NO))
    np.testing.assert_allclose(calibration.scale[yes_no], 0.6, atol=0.08)
    np.testing.assert_allclose(calibration.shift[yes_no], -1.2, atol=0.15)
    np.testing.assert_allclose(calibration.scale[-3:], 0.7, atol=0.1)
    assert (calibration.shift[-3:] == 0).all()


def test_calibrated_probabilities_stay_as_they_are() -> None:
    calibration = fit_calibration(*simulate(1.0, 0.0))
    np.testing.assert_allclose(calibration.scale, 1.0, atol=0.12)
    np.testing.assert_allclose(calibration.shift, 0.0, atol=0.12)


def test_an_output_with_few_positives_and_unknown_labels_are_left_alone() -> None:
    rows, probabilities = simulate(0.5, 1.0, rows=300)
    for i, row in enumerate(rows):
        row.labels["distress"] = int(i < 14)
        del row.labels["leaving"]
        row.sentiment = None
    calibration = fit_calibration(rows, probabilities)
    for name in ("distress", "leaving", *SENTIMENTS):
        assert calibration.scale[column_of(name)] == 1.0
        assert calibration.shift[column_of(name)] == 0.0
    assert calibration.scale[column_of("abuse")] != 1.0


def test_calibration_on_no_rows_changes_nothing() -> None:
    calibration = fit_calibration([], np.empty((0, len(OUTPUTS)), np.float32))
    assert (calibration.scale == 1).all()
    assert (calibration.shift == 0).all()


def false_alarms(
    rows: list[Row], probabilities: Array, menu: dict[str, dict[str, float]], name: str
) -> list[float]:
    """Share of fair rows flagged: for each label, then for any of the three."""
    fair = probabilities[[row.is_fair for row in rows]][:, : len(LABELS)]
    flagged = fair >= np.array([menu[label][name] for label in LABELS])
    return [*flagged.mean(0), flagged.any(1).mean()]


@settings(deadline=None, max_examples=25)
@given(
    st.floats(0.2, 2.0), st.floats(-2, 2), st.integers(0, 1000), st.sampled_from([40, 300, 1200])
)
def test_thresholds_keep_their_promises(scale: float, shift: float, seed: int, count: int) -> None:
    rows, probabilities = simulate(scale, shift, seed=seed, rows=count)
    thresholds = choose_thresholds(rows, probabilities)
    menu = thresholds.menu
    assert set(menu) == set(YES_NO)
    assert all(0 < value < 1 for entry in menu.values() for value in entry.values())
    for name in LABELS:
        assert menu[name][FEW_FALSE_ALARMS] >= menu[name][BALANCED]
    if any(row.is_fair for row in rows):
        assert false_alarms(rows, probabilities, menu, BALANCED)[-1] <= 0.05
        assert max(false_alarms(rows, probabilities, menu, FEW_FALSE_ALARMS)[:-1]) <= 0.009


def test_review_holds_its_share_of_rows() -> None:
    rows, probabilities = simulate(1.0, -1.0)
    thresholds = choose_thresholds(rows, probabilities)
    cuts = np.array([thresholds.menu[name][BALANCED] for name in LABELS])
    chances = chance_of_error(probabilities[:, : len(LABELS)], cuts)
    assert 0.085 < (chances > thresholds.review_above).mean() <= 0.095


def test_no_part_has_more_than_its_share_to_review() -> None:
    rows, probabilities = simulate(1.0, -1.0)
    for row in rows[::2]:
        row.source = "customers_relabelled"
    probabilities[::2, : len(LABELS)] = 0.25 + probabilities[::2, : len(LABELS)] / 2
    thresholds = choose_thresholds(rows, probabilities)
    cuts = np.array([thresholds.menu[name][BALANCED] for name in LABELS])
    chances = chance_of_error(probabilities[:, : len(LABELS)], cuts)
    shares = [(chances[i::2] > thresholds.review_above).mean() for i in (0, 1)]
    assert 0.085 < max(shares) <= 0.095
    assert min(shares) < 0.05


def test_balanced_is_near_the_best_f1_where_nothing_else_limits_it() -> None:
    chance = np.random.default_rng(1)
    probabilities = np.full((400, len(OUTPUTS)), 0.02, np.float32)
    truth = np.arange(400) < 100
    probabilities[:, 0] = np.where(
        truth, chance.uniform(0.7, 0.9, 400), chance.uniform(0.1, 0.5, 400)
    )
    rows = [small.row("x", *(["abuse"] if t else [])) for t in truth]
    assert 0.5 < choose_thresholds(rows, probabilities).menu["abuse"][BALANCED] < 0.7


def test_an_output_with_few_positives_has_a_half() -> None:
    rows = [small.row("x", "distress")] * 14 + [small.row("y")] * 50
    probabilities = np.full((64, len(OUTPUTS)), 0.3, np.float32)
    assert choose_thresholds(rows, probabilities).menu["distress"] == {BALANCED: 0.5}


def test_without_fair_rows_there_are_still_thresholds() -> None:
    rows, probabilities = (
        [small.row("x", "abuse")] * 20,
        np.full((20, len(OUTPUTS)), 0.7, np.float32),
    )
    menu = choose_thresholds(rows, probabilities).menu
    assert 0 < menu["abuse"][BALANCED] <= menu["abuse"][FEW_FALSE_ALARMS] < 1


@pytest.mark.parametrize("probability", [0.0, 1e-9, 0.5, 1.0])
def test_logits_are_finite(probability: float) -> None:
    assert np.isfinite(logit(np.array([probability]))).all()
    assert logit(np.array([0.5]))[0] == 0
