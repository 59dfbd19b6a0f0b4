"""Augmentation: obfuscation and Arabizi spelling, drawn anew for every epoch."""

from __future__ import annotations

import random
from dataclasses import replace

from training.perturb import PERTURBATIONS, UNSEEN, perturb, to_arabizi
from training.rows import Row

_SEEN = tuple(name for name in PERTURBATIONS if name not in UNSEEN)


def augment(rows: list[Row], share: float, arabizi_share: float, seed: int) -> list[Row]:
    """Replace about `share` of the texts by a perturbed one, `arabizi_share` of the Arabic-script
    customer messages by a Latin spelling; labels stay.
    """
    chance = random.Random(seed)
    return [_augment_row(row, share, arabizi_share, chance) for row in rows]


def _augment_row(row: Row, share: float, arabizi_share: float, chance: random.Random) -> Row:
    draw = chance.random()
    if row.language == "ar" and row.dialect != "msa" and draw < arabizi_share:
        return replace(row, text=to_arabizi(row.text, chance))
    if draw > 1 - share:
        name = chance.choice(_SEEN)
        return replace(row, text=perturb(row.text, name, chance, chance.uniform(0.1, 0.6)))
    return row
