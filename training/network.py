"""The multi-task network: one encoder, one linear head for all outputs, one sentence vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel
from transformers.models.bert.modeling_bert import (
    BertEmbeddings,
    BertOutput,
    BertSelfAttention,
    BertSelfOutput,
)

from model.labels import OUTPUTS

MIDDLE_LAYER = 8
VECTOR_SIZE = 256
_DROPOUT = 0.1


class FeatureDropout(nn.Dropout):
    """Dropout of whole features: one mask for all tokens of a text (Gal and Ghahramani 2016).

    Drawing a mask for each token takes two fifths of a training step on a CPU.
    """

    def forward(self, states: Tensor) -> Tensor:
        """`states` [batch, tokens, width], a share of the features of each text zeroed."""
        if not self.training:
            return states
        mask = states.new_ones(states.shape[0], 1, states.shape[2])
        return states * nn.functional.dropout(mask, self.p)


class Network(nn.Module):
    """Encoder, [mean; max] pooling over tokens, and a linear head.

    `offsets` holds a learned shift of each output's logit per source. It takes up a corpus's own
    base rate and threshold in training, and is left out at inference.
    """

    def __init__(self, encoder: BertModel, sources: int) -> None:
        super().__init__()
        hidden = encoder.config.hidden_size
        self.encoder = _with_feature_dropout(encoder)
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


def _with_feature_dropout(encoder: BertModel) -> BertModel:
    """The encoder with `FeatureDropout` after embeddings and sublayers, none on attention."""
    for module in list(encoder.modules()):
        if isinstance(module, (BertEmbeddings, BertSelfOutput, BertOutput)):
            module.dropout = FeatureDropout(_DROPOUT)
        elif isinstance(module, BertSelfAttention):
            module.dropout = nn.Dropout(0.0)
    return encoder


def _mean(states: Tensor, keep: Tensor) -> Tensor:
    return (states * keep).sum(1) / keep.sum(1)


def _max(states: Tensor, keep: Tensor) -> Tensor:
    return (states - (1.0 - keep) * 1e4).amax(1)


def empty_network(config: BertConfig, sources: int) -> Network:
    """A network of the given shape with random weights, to load a checkpoint into."""
    return Network(BertModel(config, add_pooling_layer=False), sources)
