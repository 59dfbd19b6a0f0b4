"""Training on: from a released model's weights, with a company's rows and a replay of known ones.

What was tried, and what 50, 200 and 1,000 rows give: docs/retraining.md.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from model.manifest import load_manifest
from training.augment import augment
from training.data import Data
from training.export import export
from training.fit import FitSettings, fit
from training.linked import linked
from training.mixture import build_training_rows, shingles, text_key
from training.network import Network
from training.recipe import FINAL, MESSAGES_STAGE
from training.rows import Row
from training.run import SOURCES, Run

STAGE = "retrain"
_HELD_OUT = 0.3
_JUDGED = 100


@dataclass(frozen=True)
class Recipe:
    """How a model is trained on.

    Attributes:
        head_only: the encoder stays as it is.
        replay: known rows an epoch, beside each new one once, so that nothing is forgotten.
        kept: weight of the old weights in the mean of old and new ones (Wortsman et al. 2022).
        perturbed, arabizi: shares of rows that augmentation changes.
    """

    head_only: bool
    replay: int
    kept: float
    fit: FitSettings
    perturbed: float = 0.15
    arabizi: float = 0.06


_FIT = FitSettings(
    epochs=3,
    rate=1e-4,
    token_budget=2560,
    max_tokens=256,
    average=0.98,
    same_complaint=0.1,
    checkpoint_seconds=30.0,
)
RECIPES = {
    "full": Recipe(head_only=False, replay=800, kept=0.3, fit=_FIT),
    "head": Recipe(
        head_only=True,
        replay=800,
        kept=0.3,
        fit=replace(_FIT, rate=1e-3, same_complaint=0.0),
    ),
}


def train_on(run: Run, new: Sequence[Row], known: list[Row], recipe: Recipe) -> None:
    """Train the run's `start` weights on and keep the final ones; resumes where it was stopped."""
    if run.weights(FINAL).exists():
        return
    network = run.network("start")
    if recipe.head_only:
        network.encoder.requires_grad_(False)

    def epoch_rows(epoch: int) -> list[Row]:
        rows = epoch_of(new, known, recipe, epoch)
        return augment(rows, recipe.perturbed, recipe.arabizi, 200 + epoch)

    fit(network, run.tokenizer(), epoch_rows, SOURCES, recipe.fit, run.folder, STAGE)
    mix_weights(network.to("cpu"), run.network("start"), recipe.kept)
    run.keep(network, FINAL)


def epoch_of(new: Sequence[Row], known: list[Row], recipe: Recipe, epoch: int) -> list[Row]:
    """The new rows, and known ones, of which a situation comes as a whole.

    A new row's group is a customer or a ticket, no situation: it says nothing of the sentence vector.
    """
    replayed = _whole_groups(MESSAGES_STAGE.sample(known, epoch), recipe.replay, epoch)
    return [replace(row, group="") for row in new] + replayed


def _whole_groups(rows: list[Row], count: int, seed: int) -> list[Row]:
    """About `count` rows, at random by group."""
    chance = random.Random(seed)
    place = {row.group: chance.random() for row in rows if row.group}
    keyed = [(place.get(row.group) or chance.random(), i) for i, row in enumerate(rows)]
    return [rows[i] for _, i in sorted(keyed)[:count]]


def mix_weights(network: Network, old: Network, kept: float) -> None:
    """Replace the network's weights by the mean of both, in which the old ones weigh `kept`."""
    before = old.state_dict()
    state = {
        name: torch.lerp(after, before[name], kept) if after.is_floating_point() else after
        for name, after in network.state_dict().items()
    }
    network.load_state_dict(state)


def held_out_share(rows: int) -> float:
    """30 % of the rows, and 100 of them at least where there are 150: the gate wants so many."""
    return max(_HELD_OUT, _JUDGED / rows) if rows >= 1.5 * _JUDGED else _HELD_OUT


def split_rows(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """New rows to train on, and those to be judged by; equal texts are one row, and rows of one group,
    or that share eight words in a row, stay together.

    What is held out follows from the texts, not from their order. As a file grows, its held-out share
    does not, so that rows that trained a model before are hardly ever held out later.
    """
    merged = build_training_rows(rows, ())
    groups: dict[int, list[Row]] = defaultdict(list)
    marks = [[row.group, *shingles(text_key(row.text))] for row in merged]
    for row, number in zip(merged, linked(marks), strict=True):
        groups[int(number)].append(row)
    wanted = round(len(merged) * held_out_share(len(merged)))
    train: list[Row] = []
    fresh: list[Row] = []
    for members in sorted(groups.values(), key=_shuffled):
        fits = len(fresh) < wanted and len(members) <= max(1, wanted // 2)
        (fresh if fits else train).extend(members)
    return train, fresh


def _shuffled(members: Sequence[Row]) -> str:
    return min(hashlib.sha256(row.group.encode()).hexdigest() for row in members)


def known_rows(rows: Iterable[Row], new: Iterable[Row], fresh: Sequence[Row]) -> list[Row]:
    """Rows to replay: none whose text a company labels itself, or that tells what is held out."""
    own = {text_key(row.text) for row in new}
    return build_training_rows((row for row in rows if text_key(row.text) not in own), fresh)


def make_candidate(run: Run, data: Data, parent: str, version: str, fingerprint: str) -> Path:
    """Export the run's final weights into its folder `candidate`, calibrated on dev rows.

    Raises:
        GateError: the export is not the trained network, or too large.
    """
    folder = run.folder / "candidate"
    export(run, data, folder, version)
    replace(load_manifest(folder), parent=parent, data=fingerprint).write(folder)
    return folder
