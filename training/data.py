"""All rows of a run with their splits: train, dev (choices, calibration, thresholds) and test."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from training.corpora import load_corpora
from training.mixture import build_training_rows, text_key
from training.own import DATASETS, apply_real_labels, load_written
from training.rows import Row

log = logging.getLogger(__name__)
_HELD_OUT_PERCENT = {"customers_relabelled": 10}
_OTHER_HELD_OUT_PERCENT = 3


@dataclass
class Data:
    """Rows of each split; no text of dev or test occurs in train.

    `official` names the corpora that come with a dev or test split of their own.
    """

    train: list[Row]
    dev: list[Row]
    test: list[Row]
    official: frozenset[str] = frozenset()


def load_data(
    corpora: Path | None, datasets: Path = DATASETS, permissive_only: bool = False
) -> Data:
    """Load, split, and clear the training rows of duplicates and leaks.

    Official splits stay; a corpus without one is split by the hash of its texts (10 % dev and 10 %
    test of the relabelled customer messages, 3 % each of the others), our own rows by situation.
    Texts with labels in `real_labels.jsonl` take their split from there.
    """
    public = load_corpora(corpora, permissive_only)
    official = {row.source for row in public if row.split in ("dev", "test")}
    for row in public:
        if row.source not in official:
            row.split = _hashed_split(row)
    public = apply_real_labels(public, datasets, official)
    public = [row for row in public if row.labels or row.sentiment]
    rows = load_written(datasets) + public
    test = _one_of_each_text(row for row in rows if row.split == "test")
    test_keys = {text_key(row.text) for row in test}
    dev = _one_of_each_text(row for row in rows if row.split == "dev")
    dev = [row for row in dev if text_key(row.text) not in test_keys]
    train = build_training_rows((row for row in rows if row.split == "train"), dev + test)
    log.info("%d train, %d dev, %d test rows", len(train), len(dev), len(test))
    return Data(train, dev, test, frozenset(official))


def _one_of_each_text(rows: Iterable[Row]) -> list[Row]:
    """Equal texts count once; our own rows come first, then the corpora in their order."""
    return list({text_key(row.text): row for row in reversed(list(rows))}.values())[::-1]


def _hashed_split(row: Row) -> str:
    percent = _HELD_OUT_PERCENT.get(row.source, _OTHER_HELD_OUT_PERCENT)
    digest = hashlib.sha256(text_key(row.text).encode()).digest()
    place = int.from_bytes(digest[:4], "big") % 100
    return "test" if place < percent else "dev" if place < 2 * percent else "train"
