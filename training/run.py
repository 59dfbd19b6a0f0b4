"""A training run's folder: tokenizer, configuration, weights of each stage, curves."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import BertConfig

from training.base import Base, load_base
from training.corpora import CORPORA
from training.network import Network, empty_network
from training.rows import Row
from training.vocabulary import add_emoji, build_tokenizer, count_emoji, count_pieces, trim

SOURCES = {name: i for i, name in enumerate(("own", *CORPORA))}


class Run:
    """Reads and writes one run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, base: str, rows: list[Row]) -> None:
        """Trim the base to the rows' texts and keep tokenizer and start weights; once only."""
        if self.weights("start").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        texts = [row.text for row in rows]
        full = load_base(base)
        trimmed = add_emoji(trim(full, count_pieces(full, texts)), count_emoji(texts))
        self._start(trimmed, base)

    def _start(self, base: Base, name: str) -> None:
        build_tokenizer(base.pieces, base.scores).save(str(self.folder / "tokenizer.json"))
        base.encoder.config.save_pretrained(self.folder)
        (self.folder / "base.json").write_text(json.dumps({"base": name}))
        torch.manual_seed(0)
        self.keep(Network(base.encoder, len(SOURCES)), "start")

    def keep(self, network: Network, stage: str) -> None:
        """Write a stage's weights; a kill leaves the whole file or none."""
        part = self.weights(stage).with_suffix(".part")
        torch.save(network.state_dict(), part)
        part.replace(self.weights(stage))

    def weights(self, stage: str) -> Path:
        return self.folder / f"{stage}.pt"

    def tokenizer(self) -> Tokenizer:
        return Tokenizer.from_file(str(self.folder / "tokenizer.json"))

    def config(self) -> BertConfig:
        config = BertConfig.from_pretrained(self.folder)
        config._attn_implementation = "eager"  # faster than sdpa on a CPU in bf16
        return config

    def network(self, stage: str) -> Network:
        network = empty_network(self.config(), len(SOURCES))
        state = torch.load(self.weights(stage), map_location="cpu", weights_only=True)
        network.load_state_dict(state)
        return network.eval()
