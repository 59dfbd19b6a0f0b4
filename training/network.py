"""The multi-task network: one encoder, one linear head for all outputs, one sentence vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from model.labels import OUTPUTS

MIDDLE_LAYER = 8
VECTOR_SIZE = 256
_DROPOUT = 0.1


class Network(nn.Module):
    """Encoder, [mean; max] pooling over tokens, and a linear head.

    `offsets` holds a learned shift of each output's logit per source. It takes up a corpus's own
    base rate and threshold in training, and is left out at inference.
    """

    def __init__(self, encoder: BertModel, sources: int) -> None:
        super().__init__()
        hidden = encoder.config.hidden_size
        self.encoder = encoder
        self.dropout = nn.Dropout(_DROPOUT)
        self.head = nn.Linear(2 * hidden, len(OUTPUTS))
        self.offsets = nn.Embedding(sources, len(OUTPUTS))
        self.project = nn.Linear(2 * hidden, VECTOR_SIZE, bias=False)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [batch, 16] and sentence features [batch, 768] for ids and mask [batch, tokens]."""
        states = self.encoder(
            input_ids=ids, attention_mask=mask, output_hidden_states=True
        ).hidden_states
        keep = mask.unsqueeze(-1).to(states[-1].dtype)
        pooled = torch.cat([_mean(states[-1], keep), _max(states[-1], keep)], dim=-1)
        features = torch.cat([_mean(states[MIDDLE_LAYER], keep), _mean(states[-1], keep)], dim=-1)
        return self.head(self.dropout(pooled)), features

    def vectors(self, features: Tensor) -> Tensor:
        """L2-normalised sentence vectors [batch, 256] of features [batch, 768]."""
        return nn.functional.normalize(self.project(features), dim=-1)


def _mean(states: Tensor, keep: Tensor) -> Tensor:
    return (states * keep).sum(1) / keep.sum(1)


def _max(states: Tensor, keep: Tensor) -> Tensor:
    return (states - (1.0 - keep) * 1e4).amax(1)


def empty_network(config: BertConfig, sources: int) -> Network:
    """A network of the given shape with random weights, to load a checkpoint into."""
    return Network(BertModel(config, add_pooling_layer=False), sources)
