"""Augmentation: obfuscation, Arabizi spelling and joined messages, drawn anew for every epoch."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace

from model.labels import LABELS
from training.perturb import PERTURBATIONS, UNSEEN, perturb, to_arabizi
from training.rows import Row

_SHORT = 240  # characters
_SEEN = tuple(name for name in PERTURBATIONS if name not in UNSEEN)


def augment(rows: list[Row], share: float, arabizi_share: float, seed: int) -> list[Row]:
    """Replace about `share` of the texts by a perturbed one, `arabizi_share` of the Arabic-script
    customer messages by a Latin spelling; labels stay.
    """
    chance = random.Random(seed)
    return [_augment_row(row, share, arabizi_share, chance) for row in rows]


def join_messages(rows: list[Row], share: float, seed: int) -> list[Row]:
    """The rows, and `share` more (0 to 1; fewer where too few can be paired): two short messages of one
    origin, language and dialect, sent as one; no message is joined twice.

    A joined message carries what either carries, so that one line of abuse in a long fair message is
    found, and two fair ones stay fair. Its sentiment is known when both have the same.
    """
    if not share:
        return rows
    chance = random.Random(seed)
    alike: dict[tuple[str | None, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if len(row.text) <= _SHORT and row.labels.keys() >= set(LABELS):
            alike[row.source, row.origin, row.language, row.dialect].append(row)
    orders = [chance.sample(members, len(members) // 2 * 2) for members in alike.values()]
    joined = [
        _join(first, second, chance)
        for order in orders
        for first, second in zip(order[::2], order[1::2], strict=True)
    ]
    return rows + chance.sample(joined, min(len(joined), round(share * len(rows))))


def _join(first: Row, second: Row, chance: random.Random) -> Row:
    labels = {
        name: max(first.labels[name], second.labels[name])
        for name in first.labels.keys() & second.labels.keys()
    }
    between = (" ", ". ") if first.text[-1:].isalnum() else (" ",)
    return replace(
        first,
        id="",
        text=first.text + chance.choice(between) + second.text,
        labels=labels,
        sentiment=first.sentiment if first.sentiment == second.sentiment else None,
        weight=min(first.weight, second.weight),
        group="",
    )


def _augment_row(row: Row, share: float, arabizi_share: float, chance: random.Random) -> Row:
    draw = chance.random()
    if row.language == "ar" and row.dialect != "msa" and draw < arabizi_share:
        return replace(row, text=to_arabizi(row.text, chance))
    if draw > 1 - share:
        name = chance.choice(_SEEN)
        return replace(row, text=perturb(row.text, name, chance, chance.uniform(0.1, 0.6)))
    return row
