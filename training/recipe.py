"""The recipe: which rows each stage sees, and how it is trained. What was tried: docs/training.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from training.augment import augment, join_messages
from training.batches import encode
from training.data import Data
from training.fit import FitSettings, fit
from training.lexical import fit_lexical
from training.mixture import sample_epoch
from training.network import Network
from training.predict import predict
from training.rows import Row
from training.run import SOURCES, Run
from training.vectors import fit_projection


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes:
        share: of each corpus's quota of rows an epoch.
        replay: another share for the corpora named, whose own labels must not be forgotten.
        relabelled: share of the relabelled real messages an epoch.
        written: our own written rows are part of it.
        perturbed, arabizi: shares of rows that augmentation changes.
        joined: of so many rows more, each two messages sent as one.
        drawn_back: share of the pretrained encoder in the weights that the stage starts with.
    """

    name: str
    start: str
    share: float
    written: bool
    perturbed: float
    arabizi: float
    fit: FitSettings
    relabelled: float = 1.0
    joined: float = 0.0
    drawn_back: float = 0.0
    replay: Mapping[str, float] = field(default_factory=dict)

    def sample(self, rows: list[Row], epoch: int = 0) -> list[Row]:
        """The rows of one epoch, as they are: without augmentation."""
        return sample_epoch(rows, self.share, 100 + epoch, self.relabelled, self.replay)


_OSACT4 = "osact4_offenseval2020_ar"
CORPORA_STAGE = Stage(
    name="corpora",
    start="start",
    share=1.0,
    written=False,
    perturbed=0.08,
    arabizi=0.02,
    fit=FitSettings(epochs=1, rate=1.5e-4, token_budget=2560),
)
_CUSTOMER_FIT = FitSettings(
    epochs=2,
    rate=1.5e-4,
    token_budget=2560,
    max_tokens=256,
    average=0.997,
    same_complaint=0.1,
)
CUSTOMERS_STAGE = Stage(
    name="customers",
    start="corpora",
    share=0.4,
    replay={_OSACT4: 1.0},
    written=True,
    perturbed=0.12,
    arabizi=0.04,
    fit=_CUSTOMER_FIT,
)
MESSAGES_STAGE = Stage(
    name="messages",
    start="customers",
    share=0.04,
    replay={_OSACT4: 0.5},
    relabelled=0.5,
    written=True,
    perturbed=0.18,
    arabizi=0.07,
    joined=0.06,
    fit=replace(_CUSTOMER_FIT, epochs=5, rate=1.3e-4, masked=0.15),
)
AGAIN_STAGE = replace(
    MESSAGES_STAGE,
    name="again",
    start="messages",
    drawn_back=0.3,
    arabizi=0.1,
    fit=replace(MESSAGES_STAGE.fit, epochs=4, masked=0.2, sampled=0.5, seed=8),
)
STAGES = (CORPORA_STAGE, CUSTOMERS_STAGE, MESSAGES_STAGE, AGAIN_STAGE)
FINAL = "final"


def train_stage(run: Run, data: Data, stage: Stage) -> None:
    """Train one stage, resuming where it was stopped; nothing to do when its weights are there."""
    if run.weights(stage.name).exists():
        return
    network = _starting(run, stage)
    rows = [row for row in data.train if stage.written or row.source != "own"]

    def epoch_rows(epoch: int) -> list[Row]:
        sampled = join_messages(stage.sample(rows, epoch), stage.joined, 500 + epoch)
        return augment(sampled, stage.perturbed, stage.arabizi, 200 + epoch)

    fit(network, run.tokenizer(), epoch_rows, SOURCES, stage.fit, run.folder, stage.name)
    run.keep(network, stage.name)


def _starting(run: Run, stage: Stage) -> Network:
    """The network that the stage starts with: what was learnt by heart is half forgotten, and learnt
    otherwise, where its encoder is drawn back towards the pretrained one.
    """
    network = run.network(stage.start)
    if stage.drawn_back:
        pretrained = run.network("start").encoder
        with torch.no_grad():
            for weight, before in zip(
                network.encoder.parameters(), pretrained.parameters(), strict=True
            ):
                weight.lerp_(before, stage.drawn_back)
    return network


def train_lexical(run: Run, data: Data) -> None:
    """Fit the lexical part on an epoch of the customers stage; nothing to do when it is there."""
    if run.lexical() is not None:
        return
    rows = CUSTOMERS_STAGE.sample(data.train)
    ids = encode(run.tokenizer(), [row.text for row in rows], CUSTOMERS_STAGE.fit.max_tokens)
    run.keep_lexical(fit_lexical(rows, ids, run.config().vocab_size))


def train_vectors(run: Run, data: Data, stage: str = AGAIN_STAGE.name) -> None:
    """Fit the sentence vector on the written rows and keep the final weights."""
    network = run.network(stage)
    written = [row for row in data.train if row.source == "own"]
    _, features = predict(network, run.tokenizer(), [row.text for row in written])
    fit_projection(network.to("cpu"), written, features)
    run.keep(network, FINAL)


def train(run: Run, data: Data, base: str, epochs: int | None = None) -> None:
    """All stages; without corpora the first has no rows and is passed over.

    The final weights come last: a run that has them is complete.
    """
    run.create(base, data.train)
    has_corpora = any(row.source != "own" for row in data.train)
    for stage in STAGES:
        if not has_corpora and not stage.written:
            _pass_over(run, stage)
        settings = replace(stage.fit, epochs=epochs or stage.fit.epochs)
        train_stage(run, data, replace(stage, fit=settings))
    train_lexical(run, data)
    train_vectors(run, data)


def _pass_over(run: Run, stage: Stage) -> None:
    if not run.weights(stage.name).exists():
        run.keep(run.network(stage.start), stage.name)
