"""The masked multi-task loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from model.labels import LABELS, SENTIMENTS, SIGNS, THREAT_KINDS, YES_NO

_TASK_WEIGHT = (
    dict.fromkeys(LABELS, 1.0) | dict.fromkeys(THREAT_KINDS, 0.3) | dict.fromkeys(SIGNS, 0.3)
)
SENTIMENT_WEIGHT = 0.75


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
    task = logits.new_tensor([_TASK_WEIGHT[name] for name in YES_NO], dtype=torch.float32)
    per_label = binary_cross_entropy_with_logits(yes_no, target, reduction="none") * known * task
    per_row = per_label.sum(1) + SENTIMENT_WEIGHT * cross_entropy(
        logits[:, -len(SENTIMENTS) :].float(), sentiment, ignore_index=-1, reduction="none"
    )
    return (per_row * weight).sum() / weight.sum()


def same_complaint_loss(vectors: Tensor, group: Tensor, temperature: float = 0.07) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020): rows of one group near, all others far.

    Args:
        vectors: [batch, width], L2-normalised.
        group: [batch], -1 for rows of no group.
        temperature: divides the cosines.

    Returns:
        Mean over the rows that have a partner in the batch; 0 when none has.
    """
    itself = torch.eye(len(group), dtype=torch.bool, device=group.device)
    similar = (vectors @ vectors.T / temperature).masked_fill(itself, -1e4)
    partner = (group[:, None] == group[None, :]) & (group[:, None] >= 0) & ~itself
    partners = partner.sum(1)
    log_share = similar - similar.logsumexp(1, keepdim=True)
    per_row = -(log_share * partner).sum(1) / partners.clamp(min=1)
    return per_row[partners > 0].mean() if bool(partners.any()) else vectors.sum() * 0.0
