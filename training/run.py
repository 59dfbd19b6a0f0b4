"""A training run's folder: tokenizer, configuration, weights of each stage, lexical part, curves."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import BertConfig

from training.base import Base, load_base
from training.corpora import CORPORA
from training.fit import CheckpointError
from training.lexical import Lexical
from training.network import Network, empty_network
from training.rows import Row, fingerprint
from training.vocabulary import add_emoji, build_tokenizer, count_emoji, count_pieces, trim

SOURCES = {name: i for i, name in enumerate(("own", *CORPORA))}


class Run:
    """Reads and writes one run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, base: str, rows: list[Row]) -> None:
        """Trim the base to the rows' texts and keep tokenizer and start weights; once only.

        Raises:
            CheckpointError: the folder holds a run of another base or other rows.
        """
        if self.weights("start").exists():
            self.check(base, rows)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        texts = [row.text for row in rows]
        full = load_base(base)
        trimmed = add_emoji(trim(full, count_pieces(full, texts)), count_emoji(texts))
        self._start(trimmed, {"base": base, "data": fingerprint(rows)})

    def check(self, base: str, rows: list[Row]) -> None:
        """Check that the run is of this base and these rows.

        Raises:
            CheckpointError: it is not; rows held out now may have trained it.
        """
        self.check_made_of({"base": base, "data": fingerprint(rows)})

    def check_made_of(self, made_of: dict[str, str]) -> None:
        """The same for what `keep_made_of` noted."""
        if json.loads(self._made_of.read_text()) != made_of:
            raise CheckpointError(
                f"{self.folder} holds a run of another base or other data: give another --run, or"
                " remove it"
            )

    def keep_made_of(self, made_of: dict[str, str]) -> None:
        """Note the base (`base`) and the fingerprint of the rows (`data`), and what else it hangs on."""
        self._made_of.write_text(json.dumps(made_of))

    def _start(self, base: Base, made_of: dict[str, str]) -> None:
        build_tokenizer(base.pieces, base.scores).save(str(self.folder / "tokenizer.json"))
        base.encoder.config.save_pretrained(self.folder)
        self.keep_made_of(made_of)
        torch.manual_seed(0)
        self.keep(Network(base.encoder, len(SOURCES)), "start")

    def keep(self, network: Network, stage: str) -> None:
        """Write a stage's weights; a kill leaves the whole file or none."""
        part = self.weights(stage).with_suffix(".part")
        torch.save(network.state_dict(), part)
        part.replace(self.weights(stage))

    @property
    def _made_of(self) -> Path:
        return self.folder / "base.json"

    def base(self) -> str:
        return str(json.loads(self._made_of.read_text())["base"])

    def weights(self, stage: str) -> Path:
        return self.folder / f"{stage}.pt"

    def keep_lexical(self, lexical: Lexical) -> None:
        lexical.save(self._lexical)

    def lexical(self) -> Lexical | None:
        """None before it is fit, and for a run made when there was no such part."""
        return Lexical.load(self._lexical) if self._lexical.exists() else None

    @property
    def _lexical(self) -> Path:
        return self.folder / "lexical.npz"

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
