"""Logits and features of many texts with the torch network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from rich.progress import track
from tokenizers import Tokenizer
from torch import Tensor

from training.batches import encode, pad, plan
from training.fit import device
from training.network import Network

_TOKEN_BUDGET = 8192


@torch.inference_mode()
def predict(
    network: Network, tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int = 256
) -> tuple[Tensor, Tensor]:
    """Logits [texts, 16] and features [texts, 768], float32, on the CPU."""
    network = network.eval().to(device())
    ids = encode(tokenizer, texts, max_tokens)
    batches = plan([len(i) for i in ids], _TOKEN_BUDGET, 256, seed=0)
    logits = torch.empty(len(ids), network.head.out_features)
    features = torch.empty(len(ids), network.project.in_features)
    for batch in track(batches, "reading", transient=True):
        padded, mask = pad([ids[i] for i in batch])
        batch_logits, batch_features = network(padded.to(device()), mask.to(device()))
        logits[batch], features[batch] = batch_logits.cpu(), batch_features.cpu()
    return logits, features
