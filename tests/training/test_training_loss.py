import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from torch import Tensor

from model.labels import OUTPUTS, SENTIMENTS, YES_NO
from training.loss import SENTIMENT_WEIGHT, multi_task_loss, same_complaint_loss


@st.composite
def batches(draw: DrawFn) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rows = draw(st.integers(1, 5))
    numbers = st.floats(-8, 8, width=32)
    logits = [[draw(numbers) for _ in OUTPUTS] for _ in range(rows)]
    labels = [[draw(st.sampled_from((0.0, 1.0, math.nan))) for _ in YES_NO] for _ in range(rows)]
    sentiment = [draw(st.integers(-1, len(SENTIMENTS) - 1)) for _ in range(rows)]
    weight = [draw(st.floats(0.125, 1, width=32)) for _ in range(rows)]
    return (
        torch.tensor(logits, requires_grad=True),
        torch.tensor(labels),
        torch.tensor(sentiment),
        torch.tensor(weight),
    )


def gradient(
    logits: Tensor, labels: Tensor, sentiment: Tensor, weight: Tensor, smoothing: float
) -> Tensor:
    loss = multi_task_loss(logits, labels, sentiment, weight, smoothing)
    (found,) = torch.autograd.grad(loss, logits)
    return found


@settings(deadline=None, max_examples=60)
@given(batches())
def test_an_unknown_label_gives_no_gradient_and_a_known_one_does(
    batch: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    logits, labels, sentiment, weight = batch
    found = gradient(logits, labels, sentiment, weight, smoothing=0.02)
    assert found.isfinite().all()
    yes_no = found[:, : len(YES_NO)]
    assert (yes_no[labels.isnan()] == 0).all()
    far_off = (logits[:, : len(YES_NO)].sigmoid() - labels).abs() > 0.1
    assert (yes_no[far_off] != 0).all()
    assert (found[sentiment < 0, -len(SENTIMENTS) :] == 0).all()


@settings(deadline=None, max_examples=30)
@given(batches())
def test_what_is_unknown_does_not_change_the_loss(
    batch: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    logits, labels, sentiment, weight = batch
    moved = logits.detach().clone()
    moved[:, : len(YES_NO)][labels.isnan()] += 3.0
    moved[sentiment < 0, -1] -= 5.0
    before = multi_task_loss(logits, labels, sentiment, weight)
    after = multi_task_loss(moved, labels, sentiment, weight)
    assert torch.equal(before, after)


def test_loss_by_hand() -> None:
    logits = torch.zeros(2, len(OUTPUTS))
    logits[0, 0], logits[1, -1] = 2.0, 1.0
    labels = torch.full((2, len(YES_NO)), math.nan)
    labels[0, 0] = 1.0
    labels[1, YES_NO.index("distress")] = 0.0
    sentiment = torch.tensor([-1, 2])
    weight = torch.tensor([1.0, 0.5])
    first = math.log(1 + math.exp(-2.0))
    second = 0.3 * math.log(2) + SENTIMENT_WEIGHT * (math.log(2 + math.e) - 1)
    expected = (first + 0.5 * second) / 1.5
    assert math.isclose(
        multi_task_loss(logits, labels, sentiment, weight).item(), expected, rel_tol=1e-5
    )


def test_smoothing_moves_the_best_logit_to_its_target() -> None:
    target = math.log(0.99 / 0.01)
    logits = torch.full((1, len(OUTPUTS)), target, requires_grad=True)
    labels, nothing = torch.ones(1, len(YES_NO)), torch.tensor([-1])
    at_target = gradient(logits, labels, nothing, torch.ones(1), smoothing=0.02)
    beyond = gradient(logits, labels, nothing, torch.ones(1), smoothing=0.0)
    assert at_target.abs().max() < 1e-6
    assert (beyond[0, : len(YES_NO)] < -1e-3).all()


def test_loss_is_computed_where_the_logits_are() -> None:
    """On a GPU everything must be there; torch's `meta` device refuses the mixture like one."""
    meta = torch.device("meta")
    logits = torch.zeros(2, len(OUTPUTS), device=meta)
    labels = torch.zeros(2, len(YES_NO), device=meta)
    sentiment = torch.zeros(2, dtype=torch.int64, device=meta)
    loss = multi_task_loss(logits, labels, sentiment, torch.ones(2, device=meta))
    assert loss.device == meta


def test_the_same_complaint_loss_by_hand() -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.6, 0.8]])
    group = torch.tensor([0, 0, -1, 1])
    first = math.log(math.exp(0.0) + math.exp(1.0) + math.exp(0.6)) - 0.0
    second = math.log(math.exp(0.0) + math.exp(0.0) + math.exp(0.8)) - 0.0
    found = same_complaint_loss(vectors, group, temperature=1.0)
    assert math.isclose(found.item(), (first + second) / 2, rel_tol=1e-5)


def test_the_same_complaint_loss_pulls_a_group_together_and_the_rest_away() -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, -0.8]], requires_grad=True)
    loss = same_complaint_loss(vectors, torch.tensor([0, 0, 1]))
    (found,) = torch.autograd.grad(loss, vectors)
    stepped = vectors.detach() - 0.01 * found
    before, after = vectors.detach() @ vectors.detach().T, stepped @ stepped.T
    assert after[0, 1] > before[0, 1]
    assert after[0, 2] < before[0, 2]


@pytest.mark.parametrize("group", [[-1, -1, -1], [0, 1, 2], [0, -1, -1]])
def test_without_partners_the_same_complaint_loss_is_zero(group: list[int]) -> None:
    vectors = torch.eye(3, requires_grad=True)
    loss = same_complaint_loss(vectors, torch.tensor(group))
    (found,) = torch.autograd.grad(loss, vectors)
    assert loss.item() == 0
    assert (found == 0).all()
