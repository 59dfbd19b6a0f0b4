"""From rows of many sources to one training set: duplicates, conflicts, leaks, sampling.

Order of trust where texts are equal: our own rows, the relabelled customer messages, then the
other corpora. A text of a dev or test split never trains, in whichever corpus it also occurs.
"""

from __future__ import annotations

import hashlib
import logging
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache

from model.labels import THREAT_KINDS
from model.preparation import prepare
from training.corpora import CORPORA, RELABELLED
from training.rows import Row

log = logging.getLogger(__name__)

_NOT_LETTERS = re.compile(r"[\W\d_]+")
_FOLDED = str.maketrans("ةىؤئ", "هيوي", "ء")
_SHINGLE = 8


@cache
def text_key(text: str) -> str:
    """The same for texts that differ only in punctuation, digits, emoji, case or spelling marks."""
    prepared = prepare(text).text
    letters = _NOT_LETTERS.sub(" ", prepared).translate(_FOLDED).strip()
    return letters or prepared


def shingles(key: str) -> Iterator[int]:
    """Hashes of every run of eight words: two long texts that share one are near-duplicates."""
    words = key.split()
    for i in range(len(words) - _SHINGLE + 1):
        run = " ".join(words[i : i + _SHINGLE])
        yield int.from_bytes(hashlib.blake2b(run.encode(), digest_size=8).digest(), "big")


def build_training_rows(rows: Iterable[Row], held_out: Iterable[Row]) -> list[Row]:
    """Rows fit to train on: no text of `held_out`, one row a text, conflicts masked.

    A near-duplicate shares eight words in a row with a held-out text, and is left out as well.
    """
    held_keys: set[str] = set()
    held_shingles: set[int] = set()
    for row in held_out:
        key = text_key(row.text)
        held_keys.add(key)
        held_shingles.update(shingles(key))
    groups: dict[str, list[Row]] = defaultdict(list)
    leaks = 0
    for row in rows:
        key = text_key(row.text)
        if key in held_keys or not held_shingles.isdisjoint(shingles(key)):
            leaks += 1
        else:
            groups[key].append(row)
    log.info("%d rows share a text with held-out rows and are left out", leaks)
    return [merged for group in groups.values() if (merged := _merge(group)) is not None]


def _trust(row: Row) -> tuple[int, float]:
    return {"own": 2, RELABELLED: 1}.get(row.source, 0), row.weight


def _merge(group: list[Row]) -> Row | None:
    """One row of equal texts: the most trusted tier decides; within it conflicting labels go."""
    best = max(_trust(row)[0] for row in group)
    tier = sorted((row for row in group if _trust(row)[0] == best), key=_trust, reverse=True)
    labels: dict[str, int] = {}
    conflicts = set()
    for row in tier:
        for name, value in row.labels.items():
            if labels.setdefault(name, value) != value:
                conflicts.add(name)
    if "threat" in conflicts:
        conflicts.update(THREAT_KINDS)
    labels = {name: value for name, value in labels.items() if name not in conflicts}
    sentiments = {row.sentiment for row in tier if row.sentiment}
    sentiment = sentiments.pop() if len(sentiments) == 1 else None
    return replace(tier[0], labels=labels, sentiment=sentiment) if labels or sentiment else None


def sample_epoch(
    rows: list[Row],
    share: float,
    seed: int,
    relabelled: float = 1.0,
    replay: Mapping[str, float] | None = None,
) -> list[Row]:
    """One epoch: our own rows, a share of the relabelled ones, and of each other corpus at most
    `share` of its quota (`replay` names another share for some), drawn anew.
    """
    shares = defaultdict(lambda: share, replay or {})
    chance = random.Random(seed)
    by_source: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_source[row.source].append(row)
    epoch: list[Row] = []
    for source, members in sorted(by_source.items()):
        if source in ("own", RELABELLED):
            quota = round(len(members) * (relabelled if source == RELABELLED else 1.0))
        else:
            quota = round(CORPORA[source].rows * shares[source])
        epoch += members if quota >= len(members) else chance.sample(members, quota)
    return epoch
