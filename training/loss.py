"""The masked multi-task loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from model.labels import LABELS, SENTIMENTS, SIGNS, THREAT_KINDS, YES_NO

_TASK_WEIGHT = (
    dict.fromkeys(LABELS, 1.0) | dict.fromkeys(THREAT_KINDS, 0.3) | dict.fromkeys(SIGNS, 0.3)
)
SENTIMENT_WEIGHT = 0.5


def multi_task_loss(
    logits: Tensor, labels: Tensor, sentiment: Tensor, weight: Tensor, smoothing: float = 0.0
) -> Tensor:
    """Mean over rows of the weighted sum of the losses of the labels that each row tells.

    Args:
        logits: [batch, 16].
        labels: [batch, 13], 1, 0 or NaN where unknown.
        sentiment: [batch], class index or -1 where unknown.
        weight: [batch], of each row.
        smoothing: moves the yes/no targets by so much towards one half.
    """
    yes_no = logits[:, : len(YES_NO)].float()
    known = ~labels.isnan()
    target = torch.where(known, labels, 0.0) * (1 - smoothing) + smoothing / 2
    task = torch.tensor([_TASK_WEIGHT[name] for name in YES_NO])
    per_label = binary_cross_entropy_with_logits(yes_no, target, reduction="none") * known * task
    per_row = per_label.sum(1) + SENTIMENT_WEIGHT * cross_entropy(
        logits[:, -len(SENTIMENTS) :].float(), sentiment, ignore_index=-1, reduction="none"
    )
    return (per_row * weight).sum() / weight.sum()
